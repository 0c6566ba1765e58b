//! Two nodes, two users' keys: Anna's browser signs in as Bert, Bert signs in on another one, and all
//! of Bert's sessions end meanwhile, or just the one.

use crate::{
    check::{breaks, holds},
    corner::Limit,
    props::{COSTS_NOTHING, NOTHING_UNDELIVERED, ONCE, STAYS_ENDED},
    rules::Rules,
    scene::{ANNA, BERT, Budget, Deed, Plan, Scene, Sight, Token},
};

fn scene(rules: Rules, meanwhile: Deed) -> Scene {
    Scene {
        rules,
        limit: Limit {
            sessions: 1,
            refuse: false,
        },
        jars: [Some(Token::old(ANNA)), None],
        sessions: vec![Token::old(ANNA)],
        plans: vec![
            Plan {
                browser: 0,
                node: 1,
                deed: Deed::LogIn(BERT),
            },
            Plan {
                browser: 1,
                node: 2,
                deed: Deed::LogIn(BERT),
            },
            Plan {
                browser: 1,
                node: 2,
                deed: meanwhile,
            },
        ],
        budget: Budget {
            ticks: 1,
            breaks: 1,
            drops: 1,
            ..Budget::default()
        },
        deadline: None,
        shows: &[
            Sight::Eviction,
            Sight::Again,
            Sight::OtherUser,
            Sight::AllSignedIn,
        ],
    }
}

fn first() -> Deed {
    Deed::Revoke(Token {
        corner: BERT,
        id: 0,
    })
}

#[test]
fn two_sign_ins_and_an_end_of_all() {
    let mut scene = scene(Rules::ALL, Deed::EndAll(BERT));
    scene.shows = &[
        Sight::Eviction,
        Sight::Again,
        Sight::OtherUser,
        Sight::Void,
        Sight::VoidLater,
    ];

    holds(scene, 500_000);
}

#[test]
fn two_sign_ins_and_the_end_of_one() {
    holds(scene(Rules::ALL, first()), 500_000);
}

#[test]
fn without_knowing_its_own() {
    let rules = Rules {
        knows_its_own: false,
        ..Rules::ALL
    };
    breaks(scene(rules, first()), ONCE);
}

#[test]
fn without_staying_ended() {
    let rules = Rules {
        stays_ended: false,
        ..Rules::ALL
    };
    breaks(scene(rules, first()), STAYS_ENDED);
}

#[test]
fn without_giving_up_copies() {
    let rules = Rules {
        gives_up_copies: false,
        ..Rules::ALL
    };
    breaks(scene(rules, Deed::EndAll(BERT)), NOTHING_UNDELIVERED);
}

#[test]
fn without_ending_after_created() {
    let rules = Rules {
        ends_after_created: false,
        ..Rules::ALL
    };
    breaks(scene(rules, Deed::EndAll(BERT)), COSTS_NOTHING);
}
