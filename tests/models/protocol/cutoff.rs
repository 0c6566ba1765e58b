//! Sign-ins, a changed password, and ends of all in between.

use super::{
    check::{breaks, holds},
    props::{CUTOFF_WINS, NOT_AHEAD, NOT_LOCKED_OUT, PASSWORD, VOID_IS_NOTHING},
    rules::Rules,
    scene::{ANNA, Budget, Deed, Plan, Scene, Sight, Token},
    session_set::Limit,
};

fn scene(rules: Rules, deeds: &[Deed], budget: Budget) -> Scene {
    let plans = deeds.iter().zip([(0, 1), (1, 2), (1, 2)]);
    Scene {
        rules,
        limit: Limit {
            sessions: 3,
            refuse: false,
        },
        jars: [None, Some(Token::old(ANNA))],
        sessions: vec![Token::old(ANNA)],
        plans: plans
            .map(|(deed, (browser, node))| Plan {
                browser,
                node,
                deed: *deed,
            })
            .collect(),
        budget,
        deadline: None,
        shows: &[],
    }
}

/// Sign-ins and an end of all.
fn straddle(rules: Rules) -> Scene {
    let budget = Budget {
        ticks: 3,
        breaks: 1,
        ..Budget::default()
    };
    let mut scene = scene(rules, &[Deed::LogIn(ANNA), Deed::EndAll(ANNA)], budget);
    scene.shows = &[Sight::Rejected, Sight::RejectedLater, Sight::Again];
    scene
}

/// While the clock steps back.
fn back(rules: Rules) -> Scene {
    let deeds = [Deed::LogIn(ANNA), Deed::LogIn(ANNA), Deed::EndAll(ANNA)];
    let budget = Budget {
        ticks: 2,
        back: 2,
        ..Budget::default()
    };
    let mut scene = scene(rules, &deeds, budget);
    scene.shows = &[Sight::Rejected, Sight::RejectedLater, Sight::AllSignedIn];
    scene
}

/// A sign-in in the handler that changes the password, and an administrator's end of all.
fn password(rules: Rules, budget: Budget) -> Scene {
    let mut scene = scene(rules, &[Deed::EndAll(ANNA), Deed::Password(ANNA)], budget);
    scene.shows = &[Sight::PasswordChanged, Sight::Rejected];
    scene
}

const STEADY: Budget = Budget {
    ticks: 2,
    back: 0,
    breaks: 1,
    drops: 0,
    losses: 0,
};

/// Further than the time that passes: no moment comes twice.
const STEPS_BACK: Budget = Budget {
    ticks: 2,
    back: 3,
    breaks: 1,
    drops: 0,
    losses: 0,
};

// T21
#[test]
fn a_sign_in_never_survives_a_later_end_of_all() {
    holds(straddle(Rules::ALL), 50_000);
}

// T21 T52
#[test]
fn nor_does_it_while_the_clock_steps_back_which_locks_nobody_out() {
    holds(back(Rules::ALL), 250_000);
}

// T21 T53
#[test]
fn a_changed_password_signs_in_and_survives_no_later_end_of_all() {
    holds(password(Rules::ALL, STEADY), 25_000);
}

// T21
#[test]
fn a_changed_password_survives_no_later_end_of_all_while_the_clock_steps_back() {
    holds(password(Rules::ALL, STEPS_BACK), 110_000);
}

#[test]
fn an_age_that_is_not_checked_again_survives_the_cutoff_in_a_late_script() {
    let rules = Rules {
        checked_again: false,
        ..Rules::ALL
    };
    breaks(straddle(rules), CUTOFF_WINS);
}

#[test]
fn a_call_sent_again_with_its_old_age_makes_what_is_rejected() {
    let rules = Rules {
        new_age: false,
        ..Rules::ALL
    };
    breaks(straddle(rules), VOID_IS_NOTHING);
}

#[test]
fn a_clock_that_stops_in_suspension_survives_the_cutoff() {
    let rules = Rules {
        counts_suspension: false,
        ..Rules::ALL
    };
    breaks(straddle(rules), CUTOFF_WINS);
}

#[test]
fn without_its_own_cutoff_a_changed_password_does_not_sign_in() {
    let rules = Rules {
        own_cutoff: false,
        ..Rules::ALL
    };
    breaks(password(rules, STEADY), PASSWORD);
}

#[test]
fn an_own_cutoff_that_is_but_a_moment_survives_a_later_one_when_the_clock_steps_back() {
    let rules = Rules {
        names_cutoff: false,
        ..Rules::ALL
    };
    breaks(password(rules, STEPS_BACK), CUTOFF_WINS);
}

#[test]
fn without_now_as_a_bound_somebody_is_authenticated_in_the_future() {
    let rules = Rules {
        never_ahead: false,
        ..Rules::ALL
    };
    breaks(password(rules, STEADY), NOT_AHEAD);
}

#[test]
fn a_cutoff_that_stays_in_the_future_locks_its_user_out() {
    let rules = Rules {
        cutoff_moves: false,
        ..Rules::ALL
    };
    breaks(back(rules), NOT_LOCKED_OUT);
}
