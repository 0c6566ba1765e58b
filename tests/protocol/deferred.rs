//! What a node asks later, without the browser: a look of an open stream, and activity of a near cache.
//!
//! The token that the node knows may have a successor by then. A call that sends it is reuse.

use stateright::{Model, Property};

use super::check::{breaks, holds};

const GRACE: u8 = 2;
const TICKS: u8 = 6;

const ENDS_NOTHING: &str = "a session ends only if somebody ends it";

#[derive(Clone, Debug)]
struct Deferred {
    /// A look names the session by its id, and activity is a `touch`. Otherwise they send the token.
    look_by_id: bool,
    touch: bool,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct State {
    tick: u8,
    rotated: bool,
    /// When a request sent the new token first.
    used: Option<u8>,
    active: u8,
    ended: bool,
    /// When this node saw the last request with the first token.
    seen: Option<u8>,
    written: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Act {
    Tick,
    /// A request with the first token, answered from here.
    Hit,
    Rotate,
    UseNew,
    Look,
    WriteActivity,
}

impl State {
    /// A call that sends the first token.
    fn sends_first(&mut self) {
        match self.used {
            Some(used) if self.tick >= used + GRACE => self.ended = true,
            _ => self.active = self.tick,
        }
    }
}

impl Model for Deferred {
    type State = State;
    type Action = Act;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            tick: 0,
            rotated: false,
            used: None,
            active: 0,
            ended: false,
            seen: None,
            written: false,
        }]
    }

    fn actions(&self, state: &State, acts: &mut Vec<Act>) {
        if state.tick < TICKS {
            acts.push(Act::Tick);
        }
        if state.rotated {
            acts.extend(state.used.is_none().then_some(Act::UseNew));
        } else {
            acts.extend([Act::Hit, Act::Rotate]);
        }
        acts.push(Act::Look);
        if state.seen.is_some() && !state.written {
            acts.push(Act::WriteActivity);
        }
    }

    fn next_state(&self, before: &State, act: Act) -> Option<State> {
        let mut state = before.clone();
        match act {
            Act::Tick => state.tick += 1,
            Act::Hit => state.seen = Some(state.tick),
            Act::Rotate => state.rotated = true,
            Act::UseNew => {
                (state.used, state.active) = (Some(state.tick), state.tick);
            }
            Act::Look if self.look_by_id => return None,
            Act::Look => state.sends_first(),
            Act::WriteActivity => {
                state.written = true;
                if self.touch {
                    state.active = state.active.max(state.seen?);
                } else {
                    state.sends_first();
                }
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ENDS_NOTHING, |_, state: &State| !state.ended),
            Property::sometimes("activity after the grace", |_, state: &State| {
                state.written && state.used.is_some_and(|used| state.tick > used + GRACE)
            }),
        ]
    }
}

const ALL: Deferred = Deferred {
    look_by_id: true,
    touch: true,
};

// T73
#[test]
fn looks_and_late_activity_end_nothing() {
    holds(ALL, 100);
}

#[test]
fn a_look_that_sends_the_token_is_reuse() {
    let model = Deferred {
        look_by_id: false,
        ..ALL
    };
    breaks(model, ENDS_NOTHING);
}

#[test]
fn activity_by_resolve_is_reuse() {
    let model = Deferred {
        touch: false,
        ..ALL
    };
    breaks(model, ENDS_NOTHING);
}
