//! Sign-ins, a changed password, and ends of all in between.

use crate::{
    check::{breaks, holds},
    corner::Limit,
    props::{CUT_WINS, NOT_AHEAD, NOT_LOCKED_OUT, PASSWORD, VOID_IS_NOTHING},
    rules::Rules,
    scene::{ANNA, Budget, Deed, Plan, Scene, Sight, Token},
};

fn scene(rules: Rules, deeds: [Deed; 3]) -> Scene {
    let [first, second, third] = deeds;
    Scene {
        rules,
        limit: Limit {
            sessions: 3,
            refuse: false,
        },
        jars: [None, Some(Token::old(ANNA))],
        sessions: vec![Token::old(ANNA)],
        plans: vec![
            Plan {
                browser: 0,
                node: 1,
                deed: first,
            },
            Plan {
                browser: 1,
                node: 2,
                deed: second,
            },
            Plan {
                browser: 1,
                node: 2,
                deed: third,
            },
        ],
        budget: Budget {
            ticks: 3,
            breaks: 1,
            ..Budget::default()
        },
        deadline: None,
        shows: &[Sight::Void, Sight::VoidLater],
    }
}

/// A sign-in, one in the handler that changes the password, and an administrator's end of all.
fn password(rules: Rules) -> Scene {
    scene(
        rules,
        [Deed::LogIn(ANNA), Deed::Password(ANNA), Deed::EndAll(ANNA)],
    )
}

/// Two sign-ins and an end of all, while the clock steps back.
fn back(rules: Rules) -> Scene {
    let mut scene = scene(
        rules,
        [Deed::LogIn(ANNA), Deed::LogIn(ANNA), Deed::EndAll(ANNA)],
    );
    scene.budget = Budget {
        ticks: 4,
        back: 2,
        ..Budget::default()
    };
    scene
}

#[test]
fn a_password_is_changed() {
    holds(password(Rules::ALL), 1);
}

#[test]
fn the_clock_steps_back() {
    holds(back(Rules::ALL), 1);
}

#[test]
fn a_password_is_changed_while_the_clock_steps_back() {
    let mut scene = password(Rules::ALL);
    scene.budget = Budget {
        ticks: 3,
        back: 2,
        ..Budget::default()
    };
    holds(scene, 1);
}

#[test]
fn without_checking_again() {
    let rules = Rules {
        checked_again: false,
        ..Rules::ALL
    };
    breaks(password(rules), CUT_WINS);
}

#[test]
fn without_a_new_age() {
    let rules = Rules {
        new_age: false,
        ..Rules::ALL
    };
    breaks(password(rules), VOID_IS_NOTHING);
}

#[test]
fn without_counting_suspension() {
    let rules = Rules {
        counts_suspension: false,
        ..Rules::ALL
    };
    breaks(password(rules), CUT_WINS);
}

#[test]
fn without_the_own_cut() {
    let rules = Rules {
        own_cut: false,
        ..Rules::ALL
    };
    breaks(password(rules), PASSWORD);
}

#[test]
fn without_moving_the_cut() {
    let rules = Rules {
        cut_moves: false,
        ..Rules::ALL
    };
    breaks(back(rules), NOT_LOCKED_OUT);
}

#[test]
fn without_staying_in_the_present() {
    let rules = Rules {
        never_ahead: false,
        ..Rules::ALL
    };
    breaks(password(rules), NOT_AHEAD);
}
