//! The data of one session: requests on two nodes change it, and one ends it.

use stateright::{Model, Property};

use super::{
    check::{breaks, holds},
    rules::Rules,
};

/// Row "two requests change different keys of one session".
const BOTH_KEPT: &str = "changes of different keys are both kept";
/// Row "two requests change the same key". An update of unknown outcome is reported as such.
const COUNTS_ONCE: &str = "an update counts once";
/// Row "request in flight while its session ends"; T20.
const STAYS_ENDED: &str = "what ended stays ended";

const SENDS: u8 = 2;

#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
struct Data {
    /// One bit a key.
    keys: u8,
    /// What updates count up.
    count: u8,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Deed {
    Set(u8),
    Count,
    End,
}

#[derive(Clone, Debug)]
struct Saves {
    rules: Rules,
    deeds: Vec<Deed>,
    breaks: u8,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct State {
    data: Data,
    revision: u8,
    /// The last writer.
    op: Option<(usize, u8)>,
    live: bool,
    requests: Vec<Stage>,
    flight: Vec<Flying>,
    breaks: u8,
    came_back: bool,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Stage {
    Waiting,
    /// The value it read.
    Open(Data, u8),
    Asked {
        read: Data,
        revision: u8,
        /// Names the operation. A repeated call has the same name.
        op: u8,
        sends: u8,
    },
    Done,
    Ended,
    /// The outcome is unknown.
    Unknown,
}

#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
struct Flying {
    request: usize,
    op: u8,
    send: u8,
    read: Data,
    expect: u8,
    answer: Option<Answer>,
}

#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
enum Answer {
    Saved,
    Conflict(Data, u8),
    Ended,
}

#[derive(Clone, Debug, PartialEq)]
enum Act {
    Read(usize),
    Save(usize),
    Run(Flying),
    Vanish(Flying),
    Receive(Flying),
    Break(usize),
}

impl Saves {
    /// `save.lua`, and `end.lua`.
    fn run(&self, state: &mut State, flying: &Flying) -> Answer {
        let (rules, deed) = (self.rules, self.deeds[flying.request]);
        if deed == Deed::End {
            state.live = false;
            return Answer::Saved;
        }
        if !state.live {
            if rules.saves_live {
                return Answer::Ended;
            }
            (state.live, state.came_back) = (true, true);
        }
        let op = (flying.request, flying.op);
        if state.op == Some(op) {
            return Answer::Saved;
        }
        let based = if rules.merges {
            state.data
        } else {
            flying.read
        };
        state.data = match deed {
            Deed::Set(keys) => Data {
                keys: based.keys | keys,
                ..based
            },
            Deed::Count if rules.compares && flying.expect != state.revision => {
                return Answer::Conflict(state.data, state.revision);
            }
            // The node computed this from what it read.
            Deed::Count | Deed::End => Data {
                count: flying.read.count + 1,
                ..based
            },
        };
        (state.revision, state.op) = (state.revision + 1, Some(op));
        Answer::Saved
    }

    fn send(state: &mut State, request: usize) {
        if let Stage::Asked {
            read,
            revision,
            op,
            sends,
        } = state.requests[request]
        {
            let (expect, answer) = (revision, None);
            state.put(Flying {
                request,
                op,
                send: sends,
                read,
                expect,
                answer,
            });
        }
    }
}

impl State {
    fn put(&mut self, flying: Flying) {
        let at = self.flight.partition_point(|other| *other < flying);
        self.flight.insert(at, flying);
    }

    fn take(&mut self, flying: Flying) {
        self.flight.retain(|other| *other != flying);
    }

    fn is_awaited(&self, flying: &Flying) -> bool {
        matches!(self.requests[flying.request],
            Stage::Asked { op, sends, .. } if (op, sends) == (flying.op, flying.send))
    }

    fn count(&self, saves: &Saves, deed: impl Fn(Deed) -> bool, stage: Stage) -> u8 {
        let both = saves.deeds.iter().zip(&self.requests);
        both.filter(|(of, at)| deed(**of) && **at == stage)
            .map(|_| 1)
            .sum()
    }
}

impl Model for Saves {
    type State = State;
    type Action = Act;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            data: Data { keys: 0, count: 0 },
            revision: 0,
            op: None,
            live: true,
            requests: vec![Stage::Waiting; self.deeds.len()],
            flight: Vec::new(),
            breaks: self.breaks,
            came_back: false,
        }]
    }

    fn actions(&self, state: &State, acts: &mut Vec<Act>) {
        for (at, stage) in state.requests.iter().enumerate() {
            match stage {
                Stage::Waiting => acts.push(Act::Read(at)),
                Stage::Open(..) => acts.push(Act::Save(at)),
                Stage::Asked { .. } if state.breaks > 0 => acts.push(Act::Break(at)),
                Stage::Asked { .. } | Stage::Done | Stage::Ended | Stage::Unknown => {}
            }
        }
        for flying in &state.flight {
            if flying.answer.is_some() {
                acts.push(Act::Receive(*flying));
                continue;
            }
            acts.push(Act::Run(*flying));
            if !state.is_awaited(flying) {
                acts.push(Act::Vanish(*flying));
            }
        }
    }

    fn next_state(&self, before: &State, act: Act) -> Option<State> {
        let mut state = before.clone();
        match act {
            Act::Read(at) => {
                let found = Stage::Open(state.data, state.revision);
                state.requests[at] = if state.live { found } else { Stage::Ended };
            }
            Act::Save(at) => {
                if let Stage::Open(read, revision) = state.requests[at] {
                    state.requests[at] = Stage::Asked {
                        read,
                        revision,
                        op: 0,
                        sends: 1,
                    };
                    Self::send(&mut state, at);
                }
            }
            Act::Run(flying) => {
                state.take(flying);
                let answer = Some(self.run(&mut state, &flying));
                if state.is_awaited(&flying) {
                    state.put(Flying { answer, ..flying });
                }
            }
            Act::Vanish(flying) => state.take(flying),
            Act::Receive(flying) => {
                state.take(flying);
                state.requests[flying.request] = match flying.answer? {
                    Answer::Saved => Stage::Done,
                    Answer::Ended => Stage::Ended,
                    Answer::Conflict(read, revision) => Stage::Asked {
                        read,
                        revision,
                        op: flying.op + 1,
                        sends: 1,
                    },
                };
                Self::send(&mut state, flying.request);
            }
            Act::Break(at) => {
                state.breaks -= 1;
                state
                    .flight
                    .retain(|flying| flying.request != at || flying.answer.is_none());
                let again = self.deeds[at] != Deed::Count || !self.rules.update_once;
                match &mut state.requests[at] {
                    Stage::Asked { sends, .. } if again && *sends < SENDS => {
                        *sends += 1;
                        Self::send(&mut state, at);
                    }
                    stage => *stage = Stage::Unknown,
                }
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(BOTH_KEPT, |saves: &Self, state: &State| {
                let both = saves.deeds.iter().zip(&state.requests);
                both.into_iter().all(|(deed, stage)| match deed {
                    Deed::Set(keys) => *stage != Stage::Done || state.data.keys & keys == *keys,
                    Deed::Count | Deed::End => true,
                })
            }),
            Property::always(COUNTS_ONCE, |saves: &Self, state: &State| {
                let done = state.count(saves, |deed| deed == Deed::Count, Stage::Done);
                let all: u8 = saves
                    .deeds
                    .iter()
                    .map(|it| u8::from(*it == Deed::Count))
                    .sum();
                (done..=all).contains(&state.data.count)
            }),
            Property::always(STAYS_ENDED, |_, state: &State| !state.came_back),
            Property::sometimes("all is done", |_, state: &State| {
                state.requests.iter().all(|stage| *stage == Stage::Done)
            }),
            Property::sometimes("an update runs again", |_, state: &State| {
                state
                    .flight
                    .iter()
                    .any(|it| matches!(it.answer, Some(Answer::Conflict(..))))
            }),
            Property::sometimes("an update is of unknown outcome", |_, state: &State| {
                state.requests.contains(&Stage::Unknown)
            }),
        ];
        if self.deeds.contains(&Deed::End) {
            properties.push(Property::sometimes(
                "a save comes late",
                |_, state: &State| {
                    state
                        .flight
                        .iter()
                        .any(|it| it.answer == Some(Answer::Ended))
                },
            ));
        }
        properties
    }
}

fn saves(rules: Rules) -> Saves {
    let deeds = vec![Deed::Set(1), Deed::Set(2), Deed::Count, Deed::Count];
    Saves {
        rules,
        deeds,
        breaks: 1,
    }
}

fn and_an_end(rules: Rules) -> Saves {
    let deeds = vec![Deed::Set(1), Deed::Count, Deed::Count, Deed::End];
    Saves {
        rules,
        deeds,
        breaks: 1,
    }
}

// T57
#[test]
fn changes_of_two_keys_and_two_updates_are_all_kept() {
    holds(saves(Rules::ALL), 180_000);
}

// T20
#[test]
fn no_save_brings_an_ended_session_back() {
    holds(and_an_end(Rules::ALL), 80_000);
}

#[test]
fn storing_all_data_at_once_loses_the_key_of_another_request() {
    breaks(
        saves(Rules {
            merges: false,
            ..Rules::ALL
        }),
        BOTH_KEPT,
    );
}

#[test]
fn an_update_that_compares_no_revision_is_lost() {
    breaks(
        saves(Rules {
            compares: false,
            ..Rules::ALL
        }),
        COUNTS_ONCE,
    );
}

#[test]
fn an_update_that_is_sent_again_counts_twice() {
    breaks(
        saves(Rules {
            update_once: false,
            ..Rules::ALL
        }),
        COUNTS_ONCE,
    );
}

#[test]
fn a_save_without_a_check_brings_an_ended_session_back() {
    breaks(
        and_an_end(Rules {
            saves_live: false,
            ..Rules::ALL
        }),
        STAYS_ENDED,
    );
}
