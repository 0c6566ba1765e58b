//! A guest with a cart signs in, while another request puts an item into the cart.

use super::{
    check::{breaks, holds},
    props::{CART_KEPT, COSTS_NOTHING, LATE_ANSWER},
    rules::Rules,
    scene::{ANNA, Budget, Deed, GUEST, Plan, Scene, Sight, Token},
    session_set::Limit,
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

// T33 T56
#[test]
fn a_guest_keeps_cart_and_cookie_whether_its_sign_in_succeeds_or_is_refused() {
    holds(scene(Rules::ALL), 14_000);
}

#[test]
fn ending_the_guest_session_before_create_loses_the_cart_to_a_refusal() {
    let rules = Rules {
        ends_after_created: false,
        ..Rules::ALL
    };
    breaks(scene(rules), COSTS_NOTHING);
}

#[test]
fn an_end_that_returns_no_data_loses_a_late_cart_item() {
    let rules = Rules {
        brings_along: false,
        ..Rules::ALL
    };
    breaks(scene(rules), CART_KEPT);
}

#[test]
fn an_end_that_takes_the_data_along_loses_a_late_cart_item_with_its_reply() {
    let rules = Rules {
        ends_as_read: false,
        ..Rules::ALL
    };
    breaks(scene(rules), CART_KEPT);
}

#[test]
fn removing_the_cookie_of_a_dead_token_signs_the_browser_out() {
    let rules = Rules {
        keeps_cookie: false,
        ..Rules::ALL
    };
    breaks(scene(rules), LATE_ANSWER);
}
