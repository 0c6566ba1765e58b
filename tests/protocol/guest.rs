//! A guest with a cart signs in, while another request puts something into the cart.

use crate::{
    check::{breaks, holds},
    corner::Limit,
    props::{CART_KEPT, COSTS_NOTHING, LATE_ANSWER},
    rules::Rules,
    scene::{ANNA, Budget, Deed, GUEST, Plan, Scene, Sight, Token},
};

fn scene(rules: Rules) -> Scene {
    Scene {
        rules,
        limit: Limit {
            sessions: 1,
            refuse: true,
        },
        jars: [Some(Token::old(GUEST)), None],
        sessions: vec![Token::old(GUEST)],
        plans: vec![
            Plan {
                browser: 0,
                node: 1,
                deed: Deed::LogIn(ANNA),
            },
            Plan {
                browser: 0,
                node: 2,
                deed: Deed::Put(1),
            },
            Plan {
                browser: 0,
                node: 2,
                deed: Deed::Look,
            },
            Plan {
                browser: 1,
                node: 1,
                deed: Deed::LogIn(ANNA),
            },
        ],
        budget: Budget {
            breaks: 1,
            losses: 1,
            ..Budget::default()
        },
        deadline: None,
        shows: &[Sight::Refusal, Sight::CartMoved, Sight::CookieStayed],
    }
}

#[test]
fn a_guest_signs_in_where_there_is_room_and_where_not() {
    holds(scene(Rules::ALL), 1);
}

#[test]
fn without_ending_after_created() {
    let rules = Rules {
        ends_after_created: false,
        ..Rules::ALL
    };
    breaks(scene(rules), COSTS_NOTHING);
}

#[test]
fn without_bringing_along() {
    let rules = Rules {
        brings_along: false,
        ..Rules::ALL
    };
    breaks(scene(rules), CART_KEPT);
}

#[test]
fn without_keeping_the_cookie() {
    let rules = Rules {
        keeps_cookie: false,
        ..Rules::ALL
    };
    breaks(scene(rules), LATE_ANSWER);
}
