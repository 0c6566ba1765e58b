//! A guest with a cart signs in, while another request puts something into the cart.

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
fn a_guest_keeps_its_cart_and_its_cookie_whether_it_is_signed_in_or_refused() {
    holds(scene(Rules::ALL), 14_000);
}

#[test]
fn a_guest_that_ends_before_its_sign_in_is_created_loses_its_cart_to_a_refusal() {
    let rules = Rules {
        ends_after_created: false,
        ..Rules::ALL
    };
    breaks(scene(rules), COSTS_NOTHING);
}

#[test]
fn an_end_that_brings_nothing_along_loses_what_was_put_into_the_cart() {
    let rules = Rules {
        brings_along: false,
        ..Rules::ALL
    };
    breaks(scene(rules), CART_KEPT);
}

#[test]
fn removing_the_cookie_of_a_replaced_session_signs_its_browser_out() {
    let rules = Rules {
        keeps_cookie: false,
        ..Rules::ALL
    };
    breaks(scene(rules), LATE_ANSWER);
}
