//! One session whose token rotates: its browser's requests run in parallel, answers are late or lost,
//! a thief copied a token, and a stranger knows the session's id.
//!
//! Messages between browser and store take less than the grace; handlers take any time.

use stateright::{Model, Property};

use crate::{
    check::{breaks, holds},
    rules::Rules,
};

/// T46, T48.
const LOGS_NOBODY_OUT: &str = "rotation logs nobody out";
/// T46.
const CONVERGES: &str = "a token has one successor";
/// T61.
const NO_UPGRADE: &str = "no cookie once the successor was seen";
/// T47.
const REUSE_ENDS: &str = "reuse ends the session";
/// T47.
const STRANGER: &str = "a stranger ends nothing";

/// In ticks.
const GRACE: u8 = 2;

/// The how many-eth of its session; that nobody can guess it is no matter of the protocol.
type Token = u8;

#[derive(Clone, Debug)]
struct Rotation {
    rules: Rules,
    ticks: u8,
    sends: u8,
    losses: u8,
    thefts: u8,
    strangers: u8,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct State {
    time: u8,
    /// Nothing once it ended.
    record: Option<Record>,
    jar: Token,
    loot: Option<Token>,
    requests: Vec<Request>,
    left: [u8; 5],
    seen: Seen,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Record {
    present: Token,
    /// How many tokens there were.
    made: Token,
    /// The present one has not been shown.
    unseen: bool,
    /// The newer first.
    formers: [Option<Former>; 2],
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Former {
    token: Token,
    /// From when on it is reuse; not before its successor was seen.
    until: Option<u8>,
}

#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
struct Seen {
    /// Which successor each token was answered with.
    successors: Vec<(Token, Token)>,
    logged_out: bool,
    diverged: bool,
    upgraded: bool,
    reused: bool,
    ended_by_stranger: bool,
    took: bool,
    kept: bool,
    in_grace: bool,
}

#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
struct Request {
    thief: bool,
    token: Token,
    since: u8,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
enum Stage {
    Sent,
    /// The handler is at work. A successor that was not seen yet is handed out again.
    Open {
        due: bool,
    },
    Answered(Token),
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

impl Record {
    fn former(&self, token: Token) -> Option<Former> {
        self.formers
            .into_iter()
            .flatten()
            .find(|former| former.token == token)
    }

    /// `rotate.lua`: the token for the answer.
    fn rotate(&mut self, shown: Token, now: u8, rules: Rules) -> Option<Token> {
        let open = |former: &Former| former.until.is_none_or(|until| now < until);
        if shown != self.present {
            let newest = self.formers[0].filter(|former| former.token == shown && open(former));
            newest?;
            if !self.unseen {
                return (!rules.no_upgrade).then_some(self.present);
            }
            if !rules.derived {
                self.made += 1;
                self.present = self.made;
            }
            return Some(self.present);
        }
        self.see(now, rules);
        let open = self
            .formers
            .iter()
            .flatten()
            .filter(|former| open(former))
            .count();
        if open > usize::from(!rules.one_at_a_time) {
            return None;
        }
        self.made += 1;
        self.present = self.made;
        self.unseen = true;
        let until = (!rules.until_seen).then_some(now + GRACE);
        self.formers = [
            Some(Former {
                token: shown,
                until,
            }),
            self.formers[0],
        ];
        Some(self.present)
    }

    /// The present token is shown.
    fn see(&mut self, now: u8, rules: Rules) {
        if std::mem::take(&mut self.unseen)
            && let Some(former) = &mut self.formers[0]
        {
            former.until = Some(if rules.grace { now + GRACE } else { now });
        }
    }
}

impl Rotation {
    fn resolve(&self, state: &mut State, request: Request) {
        let (now, rules) = (state.time, self.rules);
        let honest = !request.thief && state.left[3] == self.thefts;
        let Some(record) = &mut state.record else {
            state.seen.logged_out |= honest && !state.seen.ended_by_stranger;
            return;
        };
        if request.token == record.present {
            record.see(now, rules);
        } else {
            match record.former(request.token) {
                Some(Former { until, .. }) if until.is_none_or(|until| now < until) => {
                    state.seen.in_grace |= until.is_some();
                }
                Some(_) => {
                    state.seen.reused = true;
                    state.seen.logged_out |= honest;
                    if rules.reuse_ends {
                        state.record = None;
                    }
                    return;
                }
                None => {
                    state.seen.logged_out |= honest;
                    return;
                }
            }
        }
        let stage = Stage::Open { due: record.unseen };
        state.put(Request { stage, ..request });
    }

    fn rotate(&self, state: &mut State, request: Request, answered: bool) {
        let now = state.time;
        let Some(record) = &mut state.record else {
            return;
        };
        let (before, unseen) = (record.present, record.unseen);
        let Some(next) = record.rotate(request.token, now, self.rules) else {
            state.seen.kept = true;
            return;
        };
        state.seen.took |= request.token != before;
        state.seen.upgraded |= request.token != before && !unseen;
        if !answered {
            return;
        }
        let known = state
            .seen
            .successors
            .iter()
            .find(|(token, _)| *token == request.token);
        match known {
            Some((_, successor)) => state.seen.diverged |= *successor != next,
            None => state.seen.successors.push((request.token, next)),
        }
        state.put(Request {
            stage: Stage::Answered(next),
            since: now,
            ..request
        });
    }
}

impl State {
    fn put(&mut self, request: Request) {
        let at = self.requests.partition_point(|other| *other < request);
        self.requests.insert(at, request);
    }

    fn take(&mut self, request: Request) {
        let at = self
            .requests
            .iter()
            .position(|other| *other == request)
            .unwrap();
        self.requests.remove(at);
    }

    /// What is on its way takes less than the grace.
    fn may_tick(&self) -> bool {
        let on_the_way = |it: &&Request| !it.thief && !matches!(it.stage, Stage::Open { .. });
        let mut requests = self.requests.iter().filter(on_the_way);
        requests.all(|request| self.time + 1 - request.since < GRACE)
    }
}

impl Model for Rotation {
    type State = State;
    type Action = Act;

    fn init_states(&self) -> Vec<State> {
        let record = Record {
            present: 0,
            made: 0,
            unseen: false,
            formers: [None; 2],
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
                if !self.rules.knows_formers && state.record.take().is_some() {
                    state.seen.ended_by_stranger = true;
                }
            }
            Act::Resolve(request) => {
                state.take(request);
                self.resolve(&mut state, request);
            }
            Act::Rotate(request) => {
                state.take(request);
                self.rotate(&mut state, request, true);
            }
            Act::RotateUnanswered(request) => {
                state.left[2] -= 1;
                state.take(request);
                self.rotate(&mut state, request, false);
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
            Property::always(LOGS_NOBODY_OUT, |_, state: &State| !state.seen.logged_out),
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
            Property::sometimes("a former token is used in its grace", |_, state: &State| {
                state.seen.in_grace
            }),
            Property::sometimes("the second successor is there", |_, state: &State| {
                state
                    .record
                    .as_ref()
                    .is_some_and(|record| record.present == 2 && !record.unseen)
            }),
        ];
        if self.thefts > 0 {
            properties.push(Property::sometimes(
                "a former token is reused",
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

#[test]
fn requests_in_parallel_with_answers_late_and_lost() {
    holds(parallel(Rules::ALL), 1);
}

#[test]
fn a_thief_and_a_stranger() {
    holds(attacked(Rules::ALL), 1);
}

#[test]
fn without_deriving() {
    breaks(
        parallel(Rules {
            derived: false,
            ..Rules::ALL
        }),
        CONVERGES,
    );
}

#[test]
fn without_waiting_until_it_is_seen() {
    breaks(
        parallel(Rules {
            until_seen: false,
            ..Rules::ALL
        }),
        LOGS_NOBODY_OUT,
    );
}

#[test]
fn without_a_grace() {
    breaks(
        parallel(Rules {
            grace: false,
            ..Rules::ALL
        }),
        LOGS_NOBODY_OUT,
    );
}

#[test]
fn without_one_at_a_time() {
    breaks(
        parallel(Rules {
            one_at_a_time: false,
            ..Rules::ALL
        }),
        LOGS_NOBODY_OUT,
    );
}

#[test]
fn without_refusing_the_upgrade() {
    breaks(
        attacked(Rules {
            no_upgrade: false,
            ..Rules::ALL
        }),
        NO_UPGRADE,
    );
}

#[test]
fn without_ending_at_reuse() {
    breaks(
        attacked(Rules {
            reuse_ends: false,
            ..Rules::ALL
        }),
        REUSE_ENDS,
    );
}

#[test]
fn without_knowing_the_formers() {
    breaks(
        attacked(Rules {
            knows_formers: false,
            ..Rules::ALL
        }),
        STRANGER,
    );
}
