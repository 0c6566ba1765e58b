//! One session set in memory, and its copy on the way to the disk.

use std::mem;

use tokio::sync::oneshot;

use super::{
    disk::{Parts, Row},
    queue::{Outcome, Waiting},
};
use crate::{
    model::{Tag, Timestamp},
    store::{End, Ended, FeedNews, SessionSet, session_set::Changed},
};

/// One session set: what requests see, and what it is going to be.
#[derive(Default)]
pub(super) struct Entry {
    /// What requests see.
    pub(super) set: SessionSet,
    pub(super) guest: bool,
    /// Whether the set is among those whose activity has to be written.
    pub(super) listed: bool,
    /// Whether it is known when to look whether the set has expired.
    pub(super) due: bool,
    pending: Option<Box<Pending>>,
}

/// What is not on the disk yet, apart from activity.
#[derive(Default)]
struct Pending {
    /// The set after operations that take effect when they are on the disk.
    next: Option<SessionSet>,
    /// Whether the thread that writes has this set in its queue.
    queued: bool,
    parts: Parts,
    waiting: Vec<Waiting>,
    flight: Option<Flight>,
}

/// A commit that runs.
struct Flight {
    /// Whether it writes `next`, or else what requests see.
    copy: bool,
    waiting: Vec<Waiting>,
    /// Operations that wait for their turn.
    behind: Vec<Waiting>,
}

/// An operation on a session set.
pub(super) enum Step<T> {
    /// It changed nothing.
    Same(T),
    /// Its change takes effect after this commit. The set has to be queued if the flag says so.
    Changed(T, oneshot::Receiver<Outcome>, bool),
    /// The copy is on its way to the disk. Try again after that.
    Later(oneshot::Receiver<Outcome>),
}

/// What is to be done after a commit.
pub(super) struct Landed {
    pub(super) waiting: Vec<Waiting>,
    /// What requests did meanwhile has to be written too.
    pub(super) again: bool,
    /// What clients notice.
    pub(super) news: Vec<FeedNews>,
}

impl Entry {
    /// A set that requests see from now on.
    pub(super) fn of(set: SessionSet, guest: bool) -> Self {
        Self {
            set,
            guest,
            ..Self::default()
        }
    }

    /// Whether no operation waits.
    pub(super) fn is_idle(&self) -> bool {
        let is_idle =
            |it: &Pending| it.next.is_none() && it.waiting.is_empty() && it.flight.is_none();
        self.pending.as_deref().is_none_or(is_idle)
    }

    /// Runs an operation on a copy. The copy takes the place of the set when it is on the disk.
    pub(super) fn change<T>(&mut self, work: impl FnOnce(&mut SessionSet) -> T) -> Step<T> {
        let pending = self.pending.get_or_insert_default();
        if let Some(flight) = &mut pending.flight
            && flight.copy
        {
            let (behind, landed) = oneshot::channel();
            flight.behind.push(behind);
            return Step::Later(landed);
        }
        // Operations before the commit begins are in the same commit.
        let first = pending.next.is_none();
        let next = pending.next.get_or_insert_with(|| self.set.clone());
        let answer = work(next);
        if first && next.changed_since(&self.set) == Changed::Nothing {
            pending.next = None;
            self.tidy();
            return Step::Same(answer);
        }
        let (done, queue) = pending.wait();
        Step::Changed(answer, done, queue)
    }

    /// Ends sessions at once, and in the copy too.
    pub(super) fn end(
        &mut self,
        end: &End,
        run: impl Fn(&mut SessionSet, &End) -> Ended,
    ) -> Step<Ended> {
        let before = self.set.clone();
        let mut answer = run(&mut self.set, end);
        let changed = self.set.changed_since(&before) != Changed::Nothing;
        if answer == Ended::CallerEnded {
            return Step::Same(answer);
        }
        let next = self.pending.as_mut().and_then(|it| it.next.as_mut());
        if let Some(next) = next {
            // The caller was live when it called.
            let mut end = end.clone();
            end.caller = None;
            match run(next, &end) {
                after @ Ended::Ended { .. } => answer = after,
                Ended::Unknown | Ended::CallerEnded => {}
            }
        } else if !changed && self.pending.is_none() {
            return Step::Same(answer);
        }
        let (done, queue) = self.pending.get_or_insert_default().wait();
        Step::Changed(answer, done, queue)
    }

    /// What requests see changed by more than activity. Returns whether the set has to be queued.
    pub(super) fn write_soon(&mut self) -> bool {
        let pending = self.pending.get_or_insert_default();
        pending.parts = pending.parts.max(Parts::Changed);
        !mem::replace(&mut pending.queued, true)
    }

    /// What the commit that begins now has to write.
    pub(super) fn take_off(&mut self, tag: Tag) -> Row {
        self.listed = false;
        let Some(pending) = &mut self.pending else {
            return row(tag, &self.set, Parts::Same);
        };
        pending.queued = false;
        let parts = mem::take(&mut pending.parts);
        pending.flight = Some(Flight {
            copy: pending.next.is_some(),
            waiting: mem::take(&mut pending.waiting),
            behind: Vec::new(),
        });
        row(tag, pending.next.as_ref().unwrap_or(&self.set), parts)
    }

    /// The commit is on the disk, or failed. Then it may be on the disk or not, and has to be undone there.
    pub(super) fn land(&mut self, written: bool, is_read: bool) -> Landed {
        let mut landed = Landed {
            waiting: Vec::new(),
            again: false,
            news: Vec::new(),
        };
        let Some(pending) = &mut self.pending else {
            if !written {
                self.write_all();
            }
            return landed;
        };
        let Some(flight) = pending.flight.take() else {
            return landed;
        };
        landed.waiting = flight.waiting;
        landed.waiting.extend(flight.behind);
        if !written {
            if flight.copy {
                pending.next = None;
            }
            self.write_all();
            return landed;
        }
        if flight.copy
            && let Some(mut next) = pending.next.take()
        {
            // Requests saw the set as it was before.
            landed.again = next.catch_up(&self.set);
            if is_read {
                landed.news = next.news_since(&self.set);
            }
            self.set = next;
        }
        if landed.again {
            landed.again = self.write_soon();
        }
        self.tidy();
        landed
    }

    /// It is not known what is on the disk. The thread that writes keeps such sets itself, and an operation wakes it.
    fn write_all(&mut self) {
        let pending = self.pending.get_or_insert_default();
        pending.parts = Parts::All;
    }

    fn tidy(&mut self) {
        self.pending.take_if(|pending| pending.is_done());
    }

    /// Whether nothing of the set is worth a place in memory at `now`.
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        self.pending.is_none() && self.set.kept_until().is_none_or(|until| until <= now)
    }
}

impl Pending {
    fn wait(&mut self) -> (oneshot::Receiver<Outcome>, bool) {
        let (waiting, done) = oneshot::channel();
        self.waiting.push(waiting);
        self.parts = self.parts.max(Parts::Changed);
        (done, !mem::replace(&mut self.queued, true))
    }

    fn is_done(&self) -> bool {
        let Self {
            next,
            queued,
            parts,
            waiting,
            flight,
        } = self;
        next.is_none() && !queued && *parts == Parts::Same && waiting.is_empty() && flight.is_none()
    }
}

fn row(tag: Tag, set: &SessionSet, parts: Parts) -> Row {
    // An empty set is no set.
    let set = set.kept_until().is_some().then(|| set.clone());
    let parts = if set.is_none() {
        parts.max(Parts::Changed)
    } else {
        parts
    };
    Row { tag, set, parts }
}
