//! A browser's requests in parallel, and what a client may see of them.

use super::{
    rules::Rules,
    tokens::{GRACE, Previous, Record, Token},
};

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct State {
    pub(crate) time: u8,
    /// There is no token once the session ended.
    pub(crate) record: Option<Record>,
    pub(crate) jar: Token,
    pub(crate) loot: Option<Token>,
    pub(crate) requests: Vec<Request>,
    pub(crate) left: [u8; 5],
    pub(crate) seen: Seen,
}

#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct Seen {
    /// The successor that each token was answered with.
    pub(crate) successors: Vec<(Token, Token)>,
    pub(crate) logged_out: bool,
    pub(crate) diverged: bool,
    pub(crate) upgraded: bool,
    pub(crate) reused: bool,
    pub(crate) ended_by_stranger: bool,
    pub(crate) took: bool,
    pub(crate) kept: bool,
    pub(crate) in_grace: bool,
}

#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Request {
    pub(crate) thief: bool,
    pub(crate) token: Token,
    pub(crate) since: u8,
    pub(crate) stage: Stage,
}

#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Stage {
    Sent,
    /// The handler is running. A successor that was not used yet is sent again.
    Open {
        due: bool,
    },
    Answered(Token),
}

impl State {
    pub(crate) fn put(&mut self, request: Request) {
        let at = self.requests.partition_point(|other| *other < request);
        self.requests.insert(at, request);
    }

    pub(crate) fn take(&mut self, request: Request) {
        let at = self
            .requests
            .iter()
            .position(|other| *other == request)
            .unwrap();
        self.requests.remove(at);
    }

    /// A message takes less than the grace to arrive.
    pub(crate) fn may_tick(&self) -> bool {
        let on_the_way = |it: &&Request| !it.thief && !matches!(it.stage, Stage::Open { .. });
        let mut requests = self.requests.iter().filter(on_the_way);
        requests.all(|request| self.time + 1 - request.since < GRACE)
    }

    /// `resolve.lua`.
    pub(crate) fn resolve(&mut self, request: Request, rules: Rules) {
        let now = self.time;
        let honest = !request.thief && self.loot.is_none();
        let Some(record) = &mut self.record else {
            self.seen.logged_out |= honest && !self.seen.ended_by_stranger;
            return;
        };
        if request.token == record.present {
            record.see(now, rules);
        } else {
            match record.previous(request.token) {
                Some(Previous { until, .. }) if until.is_none_or(|until| now < until) => {
                    self.seen.in_grace |= until.is_some();
                }
                Some(_) => {
                    self.seen.reused = true;
                    self.seen.logged_out |= honest;
                    if rules.reuse_ends {
                        self.record = None;
                    }
                    return;
                }
                None => {
                    self.seen.logged_out |= honest;
                    return;
                }
            }
        }
        let stage = Stage::Open { due: record.unused };
        self.put(Request { stage, ..request });
    }

    /// `rotate.lua`, and whether its reply arrives.
    pub(crate) fn rotate(&mut self, request: Request, rules: Rules, answered: bool) {
        let now = self.time;
        let Some(record) = &mut self.record else {
            return;
        };
        let (before, unused) = (record.present, record.unused);
        let Some(next) = record.rotate(request.token, now, rules) else {
            self.seen.kept = true;
            return;
        };
        self.seen.took |= request.token != before;
        self.seen.upgraded |= request.token != before && !unused;
        if !answered {
            return;
        }
        let known = self
            .seen
            .successors
            .iter()
            .find(|(token, _)| *token == request.token);
        match known {
            Some((_, successor)) => self.seen.diverged |= *successor != next,
            None => self.seen.successors.push((request.token, next)),
        }
        self.put(Request {
            stage: Stage::Answered(next),
            since: now,
            ..request
        });
    }
}
