//! The figures of an overload, and what they have to be.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking, and not every test needs all of it"
)]

use std::{
    fmt::{self, Write as _},
    time::Duration,
};

use tower_user_sessions::store::StoreErrorKind;

use super::{
    ledger::Balance,
    load::{Told, answered},
    overload::Cell,
};

/// How long a call may take, in ms: the deadline, and a little for a busy machine.
const ANSWERED: usize = 1_300;

/// What came of it, in all processes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    /// Calls that were answered while the load lasted.
    answered: usize,
    busy: usize,
    /// Calls that failed in another way.
    otherwise: usize,
    /// Calls that failed 2 s after the load had fallen.
    later: usize,
    /// The longest time to an answer, and the longest to a refusal, in ms.
    longest: usize,
    longest_busy: usize,
    failed_sign_ins: usize,
    evicted_by_failed: usize,
    orphans: usize,
    over_limit: usize,
    wrong: usize,
    connects: usize,
}

impl Figures {
    /// None yet, and so many connections were made.
    pub(crate) fn after(connects: u32) -> Self {
        Self {
            connects: connects as usize,
            ..Self::default()
        }
    }

    pub(crate) fn of(all: &[Told], calm: &[Told], lasts: Duration, balance: Balance) -> Self {
        let busy = |told: &&Told| told.failed == Some(StoreErrorKind::Busy);
        let longest = |is: &dyn Fn(&&Told) -> bool| {
            let took = all.iter().filter(is).map(|told| told.took.as_millis());
            took.max().unwrap_or_default() as usize
        };
        let in_time = |told: &&Told| told.failed.is_none() && told.at + told.took <= lasts;
        let refused = all.iter().filter(busy).count();
        Self {
            answered: all.iter().filter(in_time).count(),
            busy: refused,
            otherwise: all.len() - answered(all) - refused,
            later: calm.len() - answered(calm),
            longest: longest(&|told| told.failed.is_none()),
            longest_busy: longest(&busy),
            failed_sign_ins: balance.failed,
            evicted_by_failed: balance.evicted_by_failed,
            orphans: balance.orphans,
            over_limit: balance.over_limit,
            wrong: balance.wrong,
            connects: 0,
        }
    }

    fn fields(&mut self) -> [&mut usize; 12] {
        [
            &mut self.answered,
            &mut self.busy,
            &mut self.otherwise,
            &mut self.later,
            &mut self.longest,
            &mut self.longest_busy,
            &mut self.failed_sign_ins,
            &mut self.evicted_by_failed,
            &mut self.orphans,
            &mut self.over_limit,
            &mut self.wrong,
            &mut self.connects,
        ]
    }

    pub(crate) fn line(mut self) -> String {
        let mut line = String::new();
        for field in self.fields() {
            write!(line, " {field}").unwrap();
        }
        line
    }

    pub(crate) fn read(line: &str) -> Self {
        let mut figures = Self::default();
        let mut words = line.split_whitespace();
        for field in figures.fields() {
            *field = words.next().unwrap().parse().unwrap();
        }
        figures
    }

    pub(crate) fn add(&mut self, other: &Self) {
        let mut other = *other;
        let longest = self.longest.max(other.longest);
        let longest_busy = self.longest_busy.max(other.longest_busy);
        for (field, more) in self.fields().into_iter().zip(other.fields()) {
            *field += *more;
        }
        (self.longest, self.longest_busy) = (longest, longest_busy);
    }

    fn share(&self, cell: Cell) -> f64 {
        self.answered as f64 / f64::from(cell.capacity * cell.seconds)
    }

    /// Why this is not as promised, if it is not: at least 0.9 of the capacity is answered, with at most 2 new
    /// connections. Failed sign-ins evict at most one session and leave none. 2 s after the load fell to
    /// half of the capacity, all calls are answered. No call takes longer than its deadline.
    /// What was in flight when connections fell silent may be lost: it leaves no session all the same.
    pub(crate) fn complaint(&self, cell: Cell) -> Option<String> {
        // Where all connections fall silent, each primary gets new ones. The map is read over one of its own, twice at
        // most: the answers of the primaries wait behind their old replies for too long.
        let connects = if cell.silent && cell.is_cluster { 8 } else { 2 };
        let is_answered = self.share(cell) >= 0.9 && self.evicted_by_failed <= 1;
        let as_promised = (is_answered || cell.silent)
            && self.connects <= connects
            && self.later == 0
            && self.longest.max(self.longest_busy) <= ANSWERED
            && [self.orphans, self.over_limit, self.wrong] == [0; 3];
        (!as_promised).then(|| format!("{cell} {:.2} of it, {self}", self.share(cell)))
    }

    /// A row of the table in `benches/results/redis_faults.md`.
    pub(crate) fn row(&self, cell: Cell) -> String {
        let verdict = if self.complaint(cell).is_some() {
            "NO"
        } else {
            "yes"
        };
        format!("{cell} {:.2} {self} {verdict} |", self.share(cell))
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            answered: _,
            busy,
            otherwise,
            later,
            longest,
            longest_busy,
            failed_sign_ins,
            evicted_by_failed,
            orphans,
            over_limit,
            wrong,
            connects,
        } = self;
        write!(
            f,
            "| {busy} | {otherwise} | {later} | {longest} | {longest_busy} | {connects} | {failed_sign_ins} | \
             {evicted_by_failed} | {orphans} | {} |",
            over_limit + wrong
        )
    }
}
