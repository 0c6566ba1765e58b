//! Sign-ins that are given up: the deadline of the node passes, or the client leaves.

use super::{
    check::{breaks, holds},
    props::{GIVEN_UP, NOTHING_UNDELIVERED},
    rules::Rules,
    scene::{ANNA, Budget, Deed, Plan, Scene, Sight, Token},
    session_set::Limit,
};

fn scene(rules: Rules) -> Scene {
    Scene {
        rules,
        limit: Limit {
            sessions: 1,
            refuse: false,
        },
        jars: [None, None],
        sessions: vec![Token::old(ANNA)],
        plans: vec![
            Plan {
                browser: 0,
                node: 1,
                deed: Deed::LogIn(ANNA),
            },
            Plan {
                browser: 1,
                node: 2,
                deed: Deed::LogIn(ANNA),
            },
        ],
        budget: Budget {
            ticks: 3,
            breaks: 1,
            drops: 1,
            ..Budget::default()
        },
        deadline: Some(1),
        shows: &[
            Sight::Eviction,
            Sight::Undelivered,
            Sight::Tombstone,
            Sight::Late,
            Sight::AllSignedIn,
        ],
    }
}

// T25 T57
#[test]
fn sign_ins_that_are_given_up_leave_nothing_and_evict_none_later() {
    holds(scene(Rules::ALL), 400_000);
}

#[test]
fn without_a_latest_moment_a_given_up_sign_in_evicts_a_session() {
    let rules = Rules {
        latest: false,
        ..Rules::ALL
    };
    breaks(scene(rules), GIVEN_UP);
}

#[test]
fn without_giving_up_a_session_lives_that_no_client_has() {
    let rules = Rules {
        gives_up: false,
        ..Rules::ALL
    };
    breaks(scene(rules), NOTHING_UNDELIVERED);
}

#[test]
fn without_a_tombstone_a_late_create_makes_a_session_that_no_client_has() {
    let rules = Rules {
        tombstone: false,
        ..Rules::ALL
    };
    breaks(scene(rules), NOTHING_UNDELIVERED);
}
