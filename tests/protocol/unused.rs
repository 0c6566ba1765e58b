//! A phone and a laptop in use, and sign-ins of clients that keep no cookie.

use stateright::{Model, Property};

use super::{
    check::{breaks, holds},
    rules::Rules,
    session_set::{Create, Id, Limit, Moment, Proven, SessionSet},
};

/// T67: neither device is evicted.
pub(crate) const DEVICES_STAY: &str = "a device in use stays signed in";

const PHONE: Id = 0;
const LAPTOP: Id = 1;
const STEPS: u8 = 8;

struct Unused {
    rules: Rules,
    /// Each time passes these ticks before it signs in, and keeps no cookie.
    forgetful: &'static [(u8, Moment)],
    limit: usize,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct State {
    set: SessionSet,
    now: Moment,
    made: u8,
    steps: u8,
    evicted: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Act {
    /// A device sends a request.
    Look(Id),
    /// A client signs in whose response is lost, or that keeps no cookie.
    SignIn(u8, Moment),
}

impl State {
    fn sign_in(&mut self, client: u8, limit: usize, rules: Rules) {
        let create = Create {
            id: self.made,
            proven: Some(Proven::At(self.now)),
            latest: None,
            replaces: None,
            data: 0,
            client,
        };
        self.made += 1;
        let limit = Limit {
            sessions: limit,
            refuse: false,
        };
        self.set.create(create, self.now, limit, rules);
        self.evicted |= self.set.live().count() < usize::from(self.made);
    }
}

impl Model for Unused {
    type State = State;
    type Action = Act;

    fn init_states(&self) -> Vec<State> {
        let mut state = State {
            set: SessionSet::default(),
            now: 0,
            made: 0,
            steps: 0,
            evicted: false,
        };
        for device in [PHONE, LAPTOP] {
            state.sign_in(device, self.limit, self.rules);
            state.set.touch(device, state.now);
        }
        vec![state]
    }

    fn actions(&self, state: &State, acts: &mut Vec<Act>) {
        if state.steps < STEPS {
            acts.extend([PHONE, LAPTOP].map(Act::Look));
            let sign_ins = self.forgetful.iter();
            acts.extend(sign_ins.map(|(client, ticks)| Act::SignIn(*client, *ticks)));
        }
    }

    fn next_state(&self, before: &State, act: Act) -> Option<State> {
        let mut state = before.clone();
        state.steps += 1;
        match act {
            Act::Look(device) => state.set.touch(device, state.now),
            Act::SignIn(client, ticks) => {
                state.now += ticks;
                state.sign_in(client, self.limit, self.rules);
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(DEVICES_STAY, |_, state: &State| {
                state.set.is_live(PHONE) && state.set.is_live(LAPTOP)
            }),
            Property::sometimes("a session is evicted", |_, state: &State| state.evicted),
        ]
    }
}

/// One client that signs in again and again, fast or slowly.
fn one(rules: Rules) -> Unused {
    Unused {
        rules,
        forgetful: &[(7, 0), (7, 1), (7, 3)],
        limit: 3,
    }
}

/// Two clients that sign in slowly.
fn two(rules: Rules) -> Unused {
    Unused {
        rules,
        forgetful: &[(7, 3), (8, 3)],
        limit: 3,
    }
}

// T67
#[test]
fn clients_that_keep_no_cookie_evict_no_device_in_use() {
    holds(one(Rules::ALL), 5_000);
    holds(two(Rules::ALL), 800);
}

#[test]
fn without_unused_first_slow_sign_ins_of_two_clients_evict_a_device() {
    let rules = Rules {
        unused_first: false,
        ..Rules::ALL
    };
    breaks(two(rules), DEVICES_STAY);
}

#[test]
fn without_own_unused_next_fast_sign_ins_evict_a_device() {
    let rules = Rules {
        own_unused_next: false,
        ..Rules::ALL
    };
    breaks(one(rules), DEVICES_STAY);
}
