//! Browsers, nodes, the store, and the messages between them.

use super::{
    scene::{ANNA, BERT, Budget, GUEST, Scene, Token},
    session_set::{Create, Created, Id, Live, Moment, Reason, Record, SessionSet},
};

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct World {
    /// The true time. The clock of the store may be behind.
    pub(crate) time: Moment,
    pub(crate) behind: Moment,
    pub(crate) sets: [SessionSet; 3],
    pub(crate) requests: Vec<Request>,
    pub(crate) jars: [Option<Token>; 2],
    /// Sorted, so that the same messages are the same state.
    pub(crate) flight: Vec<Flying>,
    pub(crate) left: Budget,
    pub(crate) seen: Seen,
}

/// What must not happen and can only be seen afterwards.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct Seen {
    /// When, by true time, the sessions of a user were last ended.
    pub(crate) cutoff: [Option<Moment>; 3],
    /// When a script last rejected a sign-in.
    pub(crate) rejected: Option<Moment>,
    pub(crate) came_back: bool,
    pub(crate) evicted_late: bool,
    pub(crate) evicted_twice: bool,
    pub(crate) locked_out: bool,
    pub(crate) made_though_rejected: bool,
    pub(crate) signed_out_late: bool,
}

/// A message to the store, and then its reply.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Flying {
    pub(crate) request: usize,
    /// The number of the message in its request. Replies to earlier ones are dropped.
    pub(crate) send: u8,
    pub(crate) sent_at: Moment,
    pub(crate) call: Call,
    pub(crate) answer: Option<Answer>,
}

#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Call {
    Create(usize, Create),
    Cutoff(usize),
    End {
        set: usize,
        id: Id,
        reason: Reason,
        by: Option<Id>,
        read_at: Option<u8>,
    },
    Save {
        set: usize,
        id: Id,
        keys: u8,
    },
}

#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Answer {
    Created(Created),
    /// By the store's clock, and by true time.
    Cutoff(Moment, Moment),
    Ended {
        /// Data that is newer than what was read, and its revision.
        newer: Option<(u8, u8)>,
    },
    Saved(bool),
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Request {
    pub(crate) stage: Stage,
    pub(crate) arrival: Moment,
    /// For how long its node was suspended since.
    pub(crate) slept: Moment,
    pub(crate) current: Current,
    /// When its own "end all" ran, by the store's clock and by true time.
    pub(crate) own_cutoff: Option<(Moment, Moment)>,
    /// How many messages it sent, how many of them for its current step, and since when.
    pub(crate) sends: u8,
    pub(crate) tries: u8,
    pub(crate) since: Moment,
    pub(crate) first_age: Moment,
    /// Its session was live once.
    pub(crate) made: bool,
    /// It gave up to end the earlier session, or to carry its data over.
    pub(crate) unsure: bool,
}

/// What the store said about the token of the request.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Current {
    Nothing,
    Live(Token, Live),
    Ended(Reason, Option<Id>),
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Stage {
    Waiting,
    /// The handler is running.
    Open,
    Asked(Wish),
    /// The response is on its way.
    Answered(Cookie, Outcome),
    Over(Outcome),
}

/// What a request waits for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Wish {
    Cutoff,
    Create,
    /// Its own session is rejected, and ends.
    Rejected,
    /// The earlier session ends.
    Other,
    /// A late change of the earlier session is saved to the new one.
    Carry(u8),
    Save,
    Revoke,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Cookie {
    Keep,
    Remove,
    Set(Token),
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Outcome {
    SignedIn,
    Done,
    Refused,
    Rejected,
    Unavailable,
    Dropped,
    /// Its session ended during the request.
    Ended,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Act {
    Tick,
    /// Time passes while this node is suspended, and its clock does not count that.
    Suspend(u8),
    StepBack,
    /// A browser sends a request, and the store resolves its token.
    Send(usize),
    /// The handler has returned.
    Commit(usize),
    Run(Flying),
    /// A message is lost that no caller waits for.
    Vanish(Flying),
    Receive(Flying),
    Break(usize),
    GiveUp(usize),
    Drop(usize),
    /// The browser receives the response.
    Arrive(usize),
    Lose(usize),
}

impl World {
    pub(crate) fn new(scene: &Scene) -> Self {
        let mut sets = [ANNA, BERT, GUEST].map(|_| SessionSet::default());
        for token in &scene.sessions {
            let live = Record::Live(Live::default());
            sets[token.set].records.insert(token.id, live);
        }
        Self {
            time: 0,
            behind: 0,
            sets,
            requests: scene.plans.iter().map(|_| Request::new()).collect(),
            jars: scene.jars,
            flight: Vec::new(),
            left: scene.budget,
            seen: Seen::default(),
        }
    }

    pub(crate) fn now(&self) -> Moment {
        self.time - self.behind
    }

    /// Nothing is in progress, except responses on their way to browsers.
    pub(crate) fn is_at_rest(&self) -> bool {
        let asks = |request: &Request| matches!(request.stage, Stage::Open | Stage::Asked(_));
        self.flight.is_empty() && !self.requests.iter().any(asks)
    }

    pub(crate) fn put(&mut self, flying: Flying) {
        let at = self.flight.partition_point(|other| *other < flying);
        self.flight.insert(at, flying);
    }

    pub(crate) fn take(&mut self, flying: &Flying) {
        let at = self.flight.iter().position(|other| other == flying);
        if let Some(at) = at {
            self.flight.remove(at);
        }
    }

    /// Whether a caller still waits for the reply.
    pub(crate) fn is_awaited(&self, flying: &Flying) -> bool {
        let request = &self.requests[flying.request];
        matches!(request.stage, Stage::Asked(_)) && request.sends == flying.send
    }

    pub(crate) fn run(&mut self, mut flying: Flying, scene: &Scene) {
        let (now, rules) = (self.now(), scene.rules);
        let before: Vec<(usize, Id)> = self.ended();
        let answer = match flying.call.clone() {
            Call::Create(set, create) => {
                let created = self.sets[set].create(create, now, scene.limit, rules);
                self.note_created(&flying, set, &created);
                Answer::Created(created)
            }
            Call::Cutoff(set) => {
                self.sets[set].end_all(now);
                self.seen.cutoff[set] = Some(self.time);
                Answer::Cutoff(now, self.time)
            }
            Call::End {
                set,
                id,
                reason,
                by,
                read_at,
            } => {
                let newer = self.sets[set].end(id, reason, by, read_at, rules);
                Answer::Ended { newer }
            }
            Call::Save { set, id, keys } => Answer::Saved(self.sets[set].put(id, keys)),
        };
        let back = before.iter().any(|(set, id)| self.sets[*set].is_live(*id));
        self.seen.came_back |= back;
        if self.is_awaited(&flying) {
            flying.answer = Some(answer);
            self.put(flying);
        }
    }

    fn ended(&self) -> Vec<(usize, Id)> {
        let sets = self.sets.iter().enumerate();
        let records = sets.flat_map(|(at, set)| set.records.iter().map(move |it| (at, it)));
        let ended = records.filter(|(_, (_, record))| matches!(record, Record::Ended { .. }));
        ended.map(|(set, (id, _))| (set, *id)).collect()
    }

    fn note_created(&mut self, flying: &Flying, set: usize, created: &Created) {
        let request = &mut self.requests[flying.request];
        match created {
            Created::Made { again, room, .. } => {
                let gave_up = request.outcome() == Some(Outcome::Unavailable);
                self.seen.evicted_late |= gave_up && !room.is_empty();
                self.seen.evicted_twice |= request.made && !room.is_empty();
                request.made = true;
                let rejected =
                    self.seen.cutoff[set].is_some_and(|cutoff| request.is_before(cutoff));
                let at_once = flying.sent_at == self.time;
                self.seen.made_though_rejected |= rejected && at_once && !again;
            }
            Created::Rejected => {
                let (rejected, cutoff) = (self.seen.rejected, self.seen.cutoff[set]);
                let again = rejected
                    .is_some_and(|rejected| request.arrival > rejected && cutoff < Some(rejected));
                self.seen.locked_out |= again;
                self.seen.rejected = Some(self.time);
            }
            Created::Ended | Created::Late | Created::LimitReached => {}
        }
    }
}

impl Request {
    fn new() -> Self {
        Self {
            stage: Stage::Waiting,
            arrival: 0,
            slept: 0,
            current: Current::Nothing,
            own_cutoff: None,
            sends: 0,
            tries: 0,
            since: 0,
            first_age: 0,
            made: false,
            unsure: false,
        }
    }

    /// Whether its user proved who they are before this cutoff. An "end all" of its own comes
    /// before that.
    pub(crate) fn is_before(&self, cutoff: Moment) -> bool {
        match self.own_cutoff {
            Some((_, at)) => at < cutoff,
            None => self.arrival <= cutoff,
        }
    }

    pub(crate) fn outcome(&self) -> Option<Outcome> {
        match self.stage {
            Stage::Answered(_, outcome) | Stage::Over(outcome) => Some(outcome),
            Stage::Waiting | Stage::Open | Stage::Asked(_) => None,
        }
    }
}
