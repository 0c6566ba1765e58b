//! Two nodes and the keys of two users. The browser of Anna signs in as Bert, and Bert signs in on
//! another one. Meanwhile all of Bert's sessions end, or only one.

use super::{
    check::{breaks, holds},
    props::{COSTS_NOTHING, NOTHING_UNDELIVERED, ONCE, STAYS_ENDED},
    rules::Rules,
    scene::{ANNA, BERT, Budget, Deed, Plan, Scene, Sight, Token},
    session_set::Limit,
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
    Deed::Revoke(Token { set: BERT, id: 0 })
}

// T20 T21 T25 T57
#[test]
fn sign_ins_on_two_nodes_keep_every_rule_while_all_sessions_end() {
    let mut scene = scene(Rules::ALL, Deed::EndAll(BERT));
    scene.shows = &[
        Sight::Eviction,
        Sight::Again,
        Sight::OtherUser,
        Sight::Rejected,
        Sight::RejectedLater,
    ];

    holds(scene, 550_000);
}

// T20 T25 T57
#[test]
fn sign_ins_on_two_nodes_keep_every_rule_while_one_session_ends() {
    holds(scene(Rules::ALL, first()), 450_000);
}

#[test]
fn a_create_that_does_not_recognise_its_own_session_evicts_twice() {
    let rules = Rules {
        knows_its_own: false,
        ..Rules::ALL
    };
    breaks(scene(rules, first()), ONCE);
}

#[test]
fn a_create_that_ignores_a_notice_brings_an_ended_session_back() {
    let rules = Rules {
        stays_ended: false,
        ..Rules::ALL
    };
    breaks(scene(rules, first()), STAYS_ENDED);
}

#[test]
fn a_copy_of_a_refused_create_that_is_not_given_up_leaves_a_session() {
    let rules = Rules {
        gives_up_copies: false,
        ..Rules::ALL
    };
    breaks(scene(rules, Deed::EndAll(BERT)), NOTHING_UNDELIVERED);
}

#[test]
fn ending_the_old_session_before_the_new_one_is_created_loses_it_to_a_refusal() {
    let rules = Rules {
        ends_after_created: false,
        ..Rules::ALL
    };
    breaks(scene(rules, Deed::EndAll(BERT)), COSTS_NOTHING);
}
