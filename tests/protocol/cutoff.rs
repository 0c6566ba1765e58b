//! Sign-ins, a password change, and an end of all sessions in between.

use super::{
    check::{breaks, holds},
    props::{CUTOFF_WINS, NOT_AHEAD, NOT_LOCKED_OUT, PASSWORD, REJECTED_IS_NOTHING},
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

/// Sign-ins and an end of all sessions.
fn sign_ins_and_end_all(rules: Rules) -> Scene {
    let budget = Budget {
        ticks: 3,
        breaks: 1,
        ..Budget::default()
    };
    let mut scene = scene(rules, &[Deed::LogIn(ANNA), Deed::EndAll(ANNA)], budget);
    scene.shows = &[Sight::Rejected, Sight::RejectedLater, Sight::Again];
    scene
}

/// The same while the clock steps back.
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

/// A sign-in in the handler that changes the password, and an end of all by an administrator.
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

/// Further than the time that passes, so that no moment comes twice.
const STEPS_BACK: Budget = Budget {
    ticks: 2,
    back: 3,
    breaks: 1,
    drops: 0,
    losses: 0,
};

// T21
#[test]
fn a_sign_in_never_survives_a_later_end_all() {
    holds(sign_ins_and_end_all(Rules::ALL), 50_000);
}

// T21 T52
#[test]
fn a_sign_in_never_survives_a_later_end_all_while_the_clock_steps_back() {
    holds(back(Rules::ALL), 250_000);
}

// T21 T53
#[test]
fn a_password_change_signs_in_and_survives_no_later_end_all() {
    holds(password(Rules::ALL, STEADY), 25_000);
}

// T21
#[test]
fn a_password_change_survives_no_later_end_all_while_the_clock_steps_back() {
    holds(password(Rules::ALL, STEPS_BACK), 110_000);
}

#[test]
fn without_the_second_check_a_late_script_survives_the_cutoff() {
    let rules = Rules {
        checked_again: false,
        ..Rules::ALL
    };
    breaks(sign_ins_and_end_all(rules), CUTOFF_WINS);
}

#[test]
fn a_call_sent_again_with_its_old_age_makes_a_session_that_must_be_rejected() {
    let rules = Rules {
        new_age: false,
        ..Rules::ALL
    };
    breaks(sign_ins_and_end_all(rules), REJECTED_IS_NOTHING);
}

#[test]
fn with_a_clock_that_stops_in_suspension_a_sign_in_survives_the_cutoff() {
    let rules = Rules {
        counts_suspension: false,
        ..Rules::ALL
    };
    breaks(sign_ins_and_end_all(rules), CUTOFF_WINS);
}

#[test]
fn without_its_own_cutoff_a_password_change_does_not_sign_in() {
    let rules = Rules {
        own_cutoff: false,
        ..Rules::ALL
    };
    breaks(password(rules, STEADY), PASSWORD);
}

#[test]
fn an_own_cutoff_known_only_by_its_time_survives_a_later_one_when_the_clock_steps_back() {
    let rules = Rules {
        names_cutoff: false,
        ..Rules::ALL
    };
    breaks(password(rules, STEPS_BACK), CUTOFF_WINS);
}

#[test]
fn without_now_as_a_bound_a_sign_in_is_authenticated_in_the_future() {
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
