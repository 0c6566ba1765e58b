//! Two sign-ins sent with the same previous token, at once or in turn.

use super::{
    check::{breaks, holds},
    props::ONE_PLACE,
    rules::Rules,
    scene::{ANNA, BERT, Budget, Deed, GUEST, Plan, Scene, Sight, Token},
    session_set::Limit,
};

fn scene(rules: Rules, previous: Token) -> Scene {
    let again = Plan {
        browser: 0,
        node: 1,
        deed: Deed::LogIn(ANNA),
    };
    Scene {
        rules,
        limit: Limit {
            sessions: 5,
            refuse: false,
        },
        jars: [Some(previous), None],
        sessions: vec![previous],
        plans: vec![again, Plan { node: 2, ..again }, again],
        budget: Budget {
            breaks: 1,
            losses: 2,
            ..Budget::default()
        },
        deadline: None,
        shows: &[
            Sight::Followed,
            Sight::Again,
            Sight::AllSignedIn,
            Sight::CookieStayed,
        ],
    }
}

// T29 T54
#[test]
fn sign_ins_sent_with_one_guest_token_make_one_session() {
    holds(scene(Rules::ALL, Token::old(GUEST)), 100_000);
}

// T29 T54
#[test]
fn sign_ins_sent_with_one_token_of_the_user_make_one_session() {
    holds(scene(Rules::ALL, Token::old(ANNA)), 35_000);
}

// T54
#[test]
fn sign_ins_sent_with_one_token_of_another_user_make_one_session() {
    holds(scene(Rules::ALL, Token::old(BERT)), 100_000);
}

#[test]
fn a_sign_in_that_follows_no_successor_makes_a_second_session() {
    let rules = Rules {
        follows: false,
        ..Rules::ALL
    };
    breaks(scene(rules, Token::old(ANNA)), ONE_PLACE);
}

#[test]
fn without_a_marker_the_second_sign_in_of_a_guest_makes_a_second_session() {
    let rules = Rules {
        marker: false,
        ..Rules::ALL
    };
    breaks(scene(rules, Token::old(GUEST)), ONE_PLACE);
}
