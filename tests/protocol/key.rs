//! One key of Redis: its TTL, and how long it holds what.
//!
//! The idle time of a session is four ticks. A quarter of it stands for the sixteenth that the TTL
//! has to spare. The absolute time is ten ticks. A notice is kept for one, a cutoff for three.

use stateright::{Model, Property};

use super::{
    check::{breaks, holds},
    rules::Rules,
};

/// T50.
const HAS_TTL: &str = "no key is without a TTL";
/// Row "a lifetime has two parts"; T14, T15.
const SESSION_KEPT: &str = "a key outlives the sessions in it";
/// Row "login while end all runs"; T21.
const CUTOFF_KEPT: &str = "a key outlives its cutoff";
/// Row "an app node's wall clock": the clock of the store may step back; store contract 2.
const NOT_SHORTENED: &str = "no request shortens a session";

const IDLE: i8 = 4;
const STEP: i8 = 2;
const ABSOLUTE: i8 = 10;
const NOTICE: i8 = 1;
const CUTOFF: i8 = 3;

#[derive(Clone, Debug)]
struct Key {
    rules: Rules,
    ticks: u8,
    back: i8,
    deeds: u8,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct State {
    now: i8,
    /// There is nothing without a TTL.
    expires: Option<i8>,
    fields: Fields,
    /// What would be there if keys never expired.
    wanted: Fields,
    ticks: u8,
    back: i8,
    deeds: u8,
    shortened: bool,
}

#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
struct Fields {
    sessions: [Option<Session>; 2],
    /// When each notice expires.
    notices: [Option<i8>; 2],
    cutoff: Option<i8>,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Session {
    activity: i8,
    deadline: i8,
}

#[derive(Clone, Debug, PartialEq)]
enum Act {
    Tick,
    StepBack,
    Create(usize),
    Resolve(usize),
    End(usize),
    EndAll,
}

impl Session {
    fn is_live(self, now: i8) -> bool {
        now < self.deadline && now < self.activity + IDLE
    }
}

impl Fields {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn live(&self, at: usize, now: i8) -> Option<Session> {
        self.sessions[at].filter(|session| session.is_live(now))
    }

    fn end(&mut self, at: usize, now: i8) {
        if self.live(at, now).is_some() {
            (self.sessions[at], self.notices[at]) = (None, Some(now + NOTICE));
        }
    }

    fn drop_passed(&mut self, now: i8) {
        for session in &mut self.sessions {
            *session = session.filter(|session| session.is_live(now));
        }
        for notice in &mut self.notices {
            *notice = notice.filter(|kept| now < *kept);
        }
        self.cutoff = self.cutoff.filter(|cutoff| now < cutoff + CUTOFF);
    }
}

impl State {
    /// `keep` of `prelude.lua`, and what Redis does with it.
    fn keep(&mut self, ttl: i8, rules: Rules) {
        let expires = self.now + ttl;
        match self.expires {
            None if rules.nx || !rules.gt => self.expires = Some(expires),
            // For `GT`, a key without a TTL counts as the longest.
            None => {}
            Some(before) if rules.gt => self.expires = Some(before.max(expires)),
            Some(_) => self.expires = Some(expires),
        }
    }

    fn ttl(&self, deadline: i8, rules: Rules) -> i8 {
        let spare = if rules.spare { STEP } else { 0 };
        (self.now + IDLE + spare).min(deadline) - self.now
    }

    /// A key that expired or is empty does not exist.
    fn expire(&mut self) {
        if self.expires.is_some_and(|at| at <= self.now) {
            self.fields = Fields::default();
        }
        if self.fields.is_empty() {
            self.expires = None;
        }
    }

    fn touch(&mut self, at: usize, rules: Rules) {
        let now = self.now;
        let Some(session) = self.fields.live(at, now) else {
            return;
        };
        let before = session.activity;
        if now <= before && rules.activity_max {
            return;
        }
        self.shortened |= now < before;
        self.fields.sessions[at] = Some(Session {
            activity: now,
            ..session
        });
        self.wanted.sessions[at] = self.fields.sessions[at];
        if now - before > now.rem_euclid(STEP) {
            self.keep(self.ttl(session.deadline, rules), rules);
        }
    }
}

impl Model for Key {
    type State = State;
    type Action = Act;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            now: 0,
            expires: None,
            fields: Fields::default(),
            wanted: Fields::default(),
            ticks: self.ticks,
            back: self.back,
            deeds: self.deeds,
            shortened: false,
        }]
    }

    fn actions(&self, state: &State, acts: &mut Vec<Act>) {
        if state.ticks > 0 {
            acts.push(Act::Tick);
        }
        if state.back > 0 {
            acts.push(Act::StepBack);
        }
        if state.deeds > 0 {
            acts.extend([Act::Create(0), Act::Create(1), Act::EndAll]);
            acts.extend([Act::Resolve(0), Act::Resolve(1), Act::End(0), Act::End(1)]);
        }
    }

    fn next_state(&self, before: &State, act: Act) -> Option<State> {
        let (mut state, rules) = (before.clone(), self.rules);
        let now = state.now;
        match act {
            Act::Tick => (state.now, state.ticks) = (now + 1, state.ticks - 1),
            Act::StepBack => (state.now, state.back) = (now - state.back, 0),
            Act::Create(at) | Act::Resolve(at) | Act::End(at)
                if (matches!(act, Act::Create(_)) == state.fields.sessions[at].is_some()) =>
            {
                return None;
            }
            Act::Create(at) => {
                let deadline = now + ABSOLUTE;
                for fields in [&mut state.fields, &mut state.wanted] {
                    fields.sessions[at] = Some(Session {
                        activity: now,
                        deadline,
                    });
                    fields.drop_passed(now);
                }
                let notices = state.fields.notices != [None; 2];
                let ttl = state
                    .ttl(deadline, rules)
                    .max(if notices { NOTICE } else { 0 });
                state.keep(ttl, rules);
            }
            Act::Resolve(at) => state.touch(at, rules),
            Act::End(at) => {
                state.fields.end(at, now);
                state.wanted.end(at, now);
                state.keep(NOTICE, rules);
            }
            Act::EndAll => {
                for fields in [&mut state.fields, &mut state.wanted] {
                    fields.cutoff = Some(now);
                    (0..2).for_each(|at| fields.end(at, now));
                    fields.drop_passed(now);
                }
                state.keep(CUTOFF.max(NOTICE), rules);
            }
        }
        if !matches!(act, Act::Tick | Act::StepBack) {
            state.deeds -= 1;
        }
        state.wanted.drop_passed(state.now);
        state.expire();
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(HAS_TTL, |_, state: &State| {
                state.fields.is_empty() || state.expires.is_some()
            }),
            Property::always(SESSION_KEPT, |_, state: &State| {
                let wanted = |at| state.wanted.live(at, state.now);
                (0..2).all(|at| {
                    wanted(at).is_none() || wanted(at) == state.fields.live(at, state.now)
                })
            }),
            Property::always(CUTOFF_KEPT, |_, state: &State| {
                state.wanted.cutoff.is_none() || state.wanted.cutoff == state.fields.cutoff
            }),
            Property::always(NOT_SHORTENED, |_, state: &State| !state.shortened),
            Property::sometimes("a key is over", |_, state: &State| {
                state.fields.is_empty() && state.deeds < 3
            }),
            Property::sometimes(
                "two sessions share a key with a cutoff",
                |_, state: &State| {
                    state.fields.cutoff.is_some()
                        && state.fields.sessions.iter().all(Option::is_some)
                },
            ),
            Property::sometimes("a session reaches its absolute end", |_, state: &State| {
                let over =
                    |it: &Session| it.deadline <= state.now && state.now < it.activity + IDLE;
                state.fields.sessions.iter().flatten().any(over)
            }),
        ]
    }
}

fn key(rules: Rules) -> Key {
    Key {
        rules,
        ticks: 11,
        back: 3,
        deeds: 6,
    }
}

// T14 T50
#[test]
fn a_key_has_a_ttl_and_outlives_its_sessions() {
    holds(key(Rules::ALL), 1_000_000);
}

#[test]
fn gt_alone_leaves_a_key_without_a_ttl() {
    breaks(
        key(Rules {
            nx: false,
            ..Rules::ALL
        }),
        HAS_TTL,
    );
}

#[test]
fn without_gt_the_ttl_of_a_notice_removes_a_live_session() {
    breaks(
        key(Rules {
            gt: false,
            ..Rules::ALL
        }),
        SESSION_KEPT,
    );
}

#[test]
fn a_ttl_of_exactly_the_idle_time_loses_an_active_session() {
    breaks(
        key(Rules {
            spare: false,
            ..Rules::ALL
        }),
        SESSION_KEPT,
    );
}

#[test]
fn a_last_activity_that_moves_back_shortens_a_session() {
    breaks(
        key(Rules {
            activity_max: false,
            ..Rules::ALL
        }),
        NOT_SHORTENED,
    );
}
