//! One session with a token that rotates. Requests of its browser run in parallel, responses are
//! late or lost, a thief copied a token, and a stranger knows the session id.
//!
//! Messages between browser and store take less than the grace. Handlers take any time.

use stateright::{Model, Property};

use super::{
    check::{breaks, holds},
    parallel::{Request, Seen, Stage, State},
    rules::Rules,
    tokens::Record,
};

/// T46, T48.
const SIGNS_NOBODY_OUT: &str = "rotation signs no client out";
/// T46.
const CONVERGES: &str = "a token has one successor";
/// T61.
const NO_UPGRADE: &str = "no cookie once the successor was seen";
/// T47.
const REUSE_ENDS: &str = "reuse ends the session";
/// T47.
const STRANGER: &str = "a stranger ends nothing";

#[derive(Clone, Debug)]
struct Rotation {
    rules: Rules,
    ticks: u8,
    sends: u8,
    losses: u8,
    thefts: u8,
    strangers: u8,
}

#[derive(Clone, Debug, PartialEq)]
enum Act {
    Tick,
    Send,
    Steal,
    SendStolen,
    MakeUp,
    Resolve(Request),
    Rotate(Request),
    RotateUnanswered(Request),
    Stay(Request),
    Arrive(Request),
    Lose(Request),
}

impl Model for Rotation {
    type State = State;
    type Action = Act;

    fn init_states(&self) -> Vec<State> {
        let record = Record {
            present: 0,
            made: 0,
            unused: false,
            previous: [None; 2],
        };
        vec![State {
            time: 0,
            record: Some(record),
            jar: 0,
            loot: None,
            requests: Vec::new(),
            left: [
                self.ticks,
                self.sends,
                self.losses,
                self.thefts,
                self.strangers,
            ],
            seen: Seen::default(),
        }]
    }

    fn actions(&self, state: &State, acts: &mut Vec<Act>) {
        let [ticks, sends, losses, thefts, strangers] = state.left;
        if ticks > 0 && state.may_tick() {
            acts.push(Act::Tick);
        }
        if sends > 0 && state.requests.len() < 3 {
            acts.push(Act::Send);
            if state.loot.is_some() {
                acts.push(Act::SendStolen);
            }
        }
        if thefts > 0 {
            acts.push(Act::Steal);
        }
        if strangers > 0 {
            acts.push(Act::MakeUp);
        }
        for request in &state.requests {
            match request.stage {
                Stage::Sent => acts.push(Act::Resolve(*request)),
                Stage::Open { due } => {
                    acts.push(Act::Rotate(*request));
                    if !due {
                        acts.push(Act::Stay(*request));
                    }
                    if losses > 0 {
                        acts.push(Act::RotateUnanswered(*request));
                    }
                }
                Stage::Answered(_) => {
                    acts.push(Act::Arrive(*request));
                    if losses > 0 {
                        acts.push(Act::Lose(*request));
                    }
                }
            }
        }
    }

    fn next_state(&self, before: &State, act: Act) -> Option<State> {
        let mut state = before.clone();
        let send = |thief, token| Request {
            thief,
            token,
            since: before.time,
            stage: Stage::Sent,
        };
        match act {
            Act::Tick => {
                state.time += 1;
                state.left[0] -= 1;
            }
            Act::Send => {
                state.left[1] -= 1;
                state.put(send(false, before.jar));
            }
            Act::SendStolen => {
                state.left[1] -= 1;
                state.put(send(true, before.loot?));
            }
            Act::Steal => {
                state.left[3] -= 1;
                state.loot = Some(before.jar);
            }
            Act::MakeUp => {
                state.left[4] -= 1;
                if !self.rules.knows_previous && state.record.take().is_some() {
                    state.seen.ended_by_stranger = true;
                }
            }
            Act::Resolve(request) => {
                state.take(request);
                state.resolve(request, self.rules);
            }
            Act::Rotate(request) => {
                state.take(request);
                state.rotate(request, self.rules, true);
            }
            Act::RotateUnanswered(request) => {
                state.left[2] -= 1;
                state.take(request);
                state.rotate(request, self.rules, false);
            }
            Act::Stay(request) => state.take(request),
            Act::Arrive(request) => {
                state.take(request);
                if let Stage::Answered(token) = request.stage {
                    if request.thief {
                        state.loot = Some(token);
                    } else {
                        state.jar = token;
                    }
                }
            }
            Act::Lose(request) => {
                state.left[2] -= 1;
                state.take(request);
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(SIGNS_NOBODY_OUT, |_, state: &State| !state.seen.logged_out),
            Property::always(CONVERGES, |_, state: &State| !state.seen.diverged),
            Property::always(NO_UPGRADE, |_, state: &State| !state.seen.upgraded),
            Property::always(REUSE_ENDS, |_, state: &State| {
                !state.seen.reused || state.record.is_none()
            }),
            Property::always(STRANGER, |_, state: &State| !state.seen.ended_by_stranger),
            Property::sometimes("a successor is given twice", |_, state: &State| {
                state.seen.took
            }),
            Property::sometimes("a rotation is refused", |_, state: &State| state.seen.kept),
            Property::sometimes(
                "a previous token is used in its grace",
                |_, state: &State| state.seen.in_grace,
            ),
            Property::sometimes("the second successor is there", |_, state: &State| {
                state
                    .record
                    .as_ref()
                    .is_some_and(|record| record.present == 2 && !record.unused)
            }),
        ];
        if self.thefts > 0 {
            properties.push(Property::sometimes(
                "a previous token is reused",
                |_, state: &State| state.seen.reused,
            ));
        }
        properties
    }
}

fn parallel(rules: Rules) -> Rotation {
    Rotation {
        rules,
        ticks: 5,
        sends: 5,
        losses: 1,
        thefts: 0,
        strangers: 0,
    }
}

fn attacked(rules: Rules) -> Rotation {
    Rotation {
        rules,
        ticks: 4,
        sends: 4,
        losses: 0,
        thefts: 1,
        strangers: 1,
    }
}

// T46 T48
#[test]
fn rotation_signs_no_client_out_with_parallel_requests_and_late_or_lost_responses() {
    holds(parallel(Rules::ALL), 150_000);
}

// T47 T61
#[test]
fn a_thief_gets_no_new_token_and_a_stranger_ends_nothing() {
    holds(attacked(Rules::ALL), 350_000);
}

#[test]
fn random_new_tokens_do_not_converge() {
    breaks(
        parallel(Rules {
            derived: false,
            ..Rules::ALL
        }),
        CONVERGES,
    );
}

#[test]
fn a_previous_token_that_dies_before_its_successor_is_used_locks_out_a_client_that_lost_the_cookie()
{
    breaks(
        parallel(Rules {
            until_seen: false,
            ..Rules::ALL
        }),
        SIGNS_NOBODY_OUT,
    );
}

#[test]
fn without_a_grace_a_parallel_request_is_signed_out() {
    breaks(
        parallel(Rules {
            grace: false,
            ..Rules::ALL
        }),
        SIGNS_NOBODY_OUT,
    );
}

#[test]
fn a_rotation_that_waits_for_only_one_of_two_previous_tokens_signs_out() {
    breaks(
        parallel(Rules {
            one_at_a_time: false,
            ..Rules::ALL
        }),
        SIGNS_NOBODY_OUT,
    );
}

#[test]
fn a_previous_token_answered_after_its_successor_was_used_gives_a_thief_the_new_token() {
    breaks(
        attacked(Rules {
            no_upgrade: false,
            ..Rules::ALL
        }),
        NO_UPGRADE,
    );
}

#[test]
fn reuse_that_ends_nothing_leaves_the_session_to_the_thief() {
    breaks(
        attacked(Rules {
            reuse_ends: false,
            ..Rules::ALL
        }),
        REUSE_ENDS,
    );
}

#[test]
fn taking_any_wrong_secret_for_reuse_lets_a_stranger_end_a_session() {
    breaks(
        attacked(Rules {
            knows_previous: false,
            ..Rules::ALL
        }),
        STRANGER,
    );
}
