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
fn sign_ins_sent_with_one_guests_token_take_one_place() {
    holds(scene(Rules::ALL, Token::old(GUEST)), 100_000);
}

// T29 T54
#[test]
fn sign_ins_sent_with_one_token_of_the_user_take_one_place() {
    holds(scene(Rules::ALL, Token::old(ANNA)), 35_000);
}

// T54
#[test]
fn sign_ins_sent_with_one_token_of_another_user_take_one_place() {
    holds(scene(Rules::ALL, Token::old(BERT)), 100_000);
}

#[test]
fn a_sign_in_that_follows_nobody_takes_a_second_place() {
    let rules = Rules {
        follows: false,
        ..Rules::ALL
    };
    breaks(scene(rules, Token::old(ANNA)), ONE_PLACE);
}

#[test]
fn without_a_marker_a_guests_second_sign_in_takes_a_second_place() {
    let rules = Rules {
        marker: false,
        ..Rules::ALL
    };
    breaks(scene(rules, Token::old(GUEST)), ONE_PLACE);
}
