//! One session set in memory, and its copy on the way to the disk.

#[cfg(test)]
mod meanwhile;
#[cfg(test)]
mod tests;

use std::mem;

use tokio::sync::oneshot;

use super::{
    disk::Parts,
    log::Group,
    queue::{Landing, Waiting},
};
use crate::{
    model::{SessionId, Tag, Timestamp},
    store::{End, Ended, FeedNews, SessionSet, session_set::Changed},
};

/// One session set: what requests see, and what it is going to be.
#[derive(Default)]
pub(super) struct Entry {
    /// What requests see.
    pub(super) set: SessionSet,
    pub(super) guest: bool,
    /// Where the set is among those that have to be written within the second, if it is.
    pub(super) seen: u32,
    /// When to look whether the set has expired, as soon as that is known.
    pub(super) due: Option<Timestamp>,
    /// Whether the data of its sessions may be on the disk.
    pub(super) has_parts: bool,
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
    /// Operations on `next` that saw the copy which is on its way. If that fails, they have to run again.
    behind: Vec<Waiting>,
    flight: Option<Flight>,
}

/// A commit that runs.
struct Flight {
    /// The copy that it writes, or else what requests see.
    copy: Option<SessionSet>,
    waiting: Vec<Waiting>,
    /// Operations that changed nothing of the copy. If it fails, they have to run again.
    watching: Vec<Waiting>,
}

/// An operation on a session set.
pub(super) enum Step<T> {
    /// It changed nothing.
    Same(T),
    /// Its change takes effect after this commit. The set has to be queued if the flag says so.
    Changed(T, oneshot::Receiver<Landing>, bool),
}

/// What is to be done after a commit.
pub(super) struct Landed {
    pub(super) waiting: Vec<Waiting>,
    /// Operations that have to run again.
    pub(super) behind: Vec<Waiting>,
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
    ///
    /// While a copy is on its way to the disk, the operation runs on a copy of that one. So all operations of a user
    /// that wait at one moment are in the next commit.
    pub(super) fn change<T>(&mut self, work: impl FnOnce(&mut SessionSet) -> T) -> Step<T> {
        let pending = self.pending.get_or_insert_default();
        let Pending { next, flight, .. } = &mut **pending;
        let mut copy = flight.as_mut().and_then(|flight| {
            let watching = &mut flight.watching;
            flight.copy.as_ref().map(|copy| (copy, watching))
        });
        let base = copy.as_ref().map_or(&self.set, |(copy, _)| copy);
        let first = next.is_none();
        let changed = next.get_or_insert_with(|| base.clone());
        let answer = work(changed);
        if first && changed.changed_since(base) == Changed::Nothing {
            *next = None;
            if let Some((_, watching)) = &mut copy {
                // What it saw is not on the disk yet.
                let (done, landing) = oneshot::channel();
                watching.push(done);
                return Step::Changed(answer, landing, false);
            }
            self.tidy();
            return Step::Same(answer);
        }
        let is_behind = copy.is_some();
        let (done, queue) = pending.wait(is_behind);
        Step::Changed(answer, done, queue)
    }

    /// Ends sessions at once, and in the copy too. Also returns all that ended for requests or in the copy.
    pub(super) fn end(
        &mut self,
        end: &End,
        run: impl Fn(&mut SessionSet, &End) -> Ended,
    ) -> (Step<Ended>, Vec<SessionId>) {
        let mut end = end.clone();
        if let Some(newer) = self.newer(&mut end, &run) {
            return (Step::Same(newer), Vec::new());
        }
        let before = self.set.clone();
        let mut answer = run(&mut self.set, &end);
        let changed = self.set.changed_since(&before) != Changed::Nothing;
        let mut all = Vec::new();
        if answer == Ended::CallerEnded || !changed && self.pending.is_none() {
            return (Step::Same(answer), all);
        }
        let mut add = |answer: &Ended| match answer {
            Ended::Ended { ids, .. } => all.extend_from_slice(ids),
            Ended::Unknown | Ended::CallerEnded => {}
        };
        add(&answer);
        // The caller was live when it called.
        end.caller = None;
        for copy in self.pending.iter_mut().flat_map(|it| it.copies()) {
            let after = run(copy, &end);
            add(&after);
            if matches!(after, Ended::Ended { .. }) {
                answer = after;
            }
        }
        all.sort_unstable_by_key(|id| *id.as_bytes());
        all.dedup();
        let (done, queue) = self.pending.get_or_insert_default().wait(false);
        (Step::Changed(answer, done, queue), all)
    }

    /// The answer to an end of a session whose newest data, perhaps not on the disk yet, the caller has not read. If it has,
    /// the session ends in each copy, whatever that has.
    fn newer(&self, end: &mut End, run: impl Fn(&mut SessionSet, &End) -> Ended) -> Option<Ended> {
        end.read_at?;
        let newest = self.pending.as_deref().and_then(Pending::newest);
        let mut newest = newest.unwrap_or(&self.set).clone();
        let answer = run(&mut newest, end);
        end.read_at = None;
        matches!(&answer, Ended::Ended { data: Some(_), .. }).then_some(answer)
    }

    /// What requests see changed by more than activity. Returns whether the set has to be queued.
    pub(super) fn write_soon(&mut self) -> bool {
        let pending = self.pending.get_or_insert_default();
        pending.parts = pending.parts.max(Parts::Changed);
        !mem::replace(&mut pending.queued, true)
    }

    /// Adds what the commit that begins now has to write.
    pub(super) fn take_off(&mut self, tag: Tag, group: &mut Group) {
        let Some(pending) = &mut self.pending else {
            return self.put(tag, group);
        };
        pending.queued = false;
        let parts = mem::take(&mut pending.parts);
        let flight = pending.flight.insert(Flight {
            copy: pending.next.take(),
            waiting: mem::take(&mut pending.waiting),
            watching: Vec::new(),
        });
        let set = match &mut flight.copy {
            Some(copy) => {
                // Requests since it was made. Their activity may be in the log already.
                copy.saw_with(&self.set);
                copy
            }
            None => &self.set,
        };
        self.has_parts = put(group, tag, set, parts, self.has_parts);
    }

    /// Adds what requests see.
    pub(super) fn put(&mut self, tag: Tag, group: &mut Group) {
        self.has_parts = put(group, tag, &self.set, Parts::Same, self.has_parts);
    }

    /// The commit is on the disk, or failed. Then it may be on the disk or not, and has to be undone there.
    pub(super) fn land(&mut self, written: bool, is_read: bool, now: Timestamp) -> Landed {
        let mut landed = Landed {
            waiting: Vec::new(),
            behind: Vec::new(),
            again: false,
            news: Vec::new(),
        };
        let Some(pending) = &mut self.pending else {
            if !written {
                self.write_all();
            }
            return landed;
        };
        let Some(Flight {
            copy,
            waiting,
            mut watching,
        }) = pending.flight.take()
        else {
            if !written {
                self.write_all();
            }
            return landed;
        };
        landed.waiting = waiting;
        if !written {
            landed.behind = watching;
            if copy.is_some() {
                // It was made of the copy that failed.
                pending.next = None;
                landed.waiting.append(&mut pending.waiting);
                landed.behind.append(&mut pending.behind);
            }
            self.write_all();
            return landed;
        }
        landed.waiting.append(&mut watching);
        pending.waiting.append(&mut pending.behind);
        if let Some(mut copy) = copy {
            // Requests saw the set as it was before.
            landed.again = copy.catch_up(&self.set, now);
            if is_read {
                landed.news = copy.news_since(&self.set, now);
            }
            self.set = copy;
        }
        if landed.again {
            landed.again = self.write_soon();
        }
        self.tidy();
        landed
    }

    /// It is not known what is on the disk. The thread that writes keeps such sets itself, and an operation wakes it.
    pub(super) fn write_all(&mut self) {
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
    /// The set that requests see last.
    fn newest(&self) -> Option<&SessionSet> {
        let copy = || self.flight.as_ref()?.copy.as_ref();
        self.next.as_ref().or_else(copy)
    }

    /// The sets that requests see later.
    fn copies(&mut self) -> impl Iterator<Item = &mut SessionSet> {
        let copy = self.flight.as_mut().and_then(|flight| flight.copy.as_mut());
        copy.into_iter().chain(&mut self.next)
    }

    fn wait(&mut self, is_behind: bool) -> (oneshot::Receiver<Landing>, bool) {
        let (waiting, done) = oneshot::channel();
        let row = match is_behind {
            true => &mut self.behind,
            false => &mut self.waiting,
        };
        row.push(waiting);
        self.parts = self.parts.max(Parts::Changed);
        (done, !mem::replace(&mut self.queued, true))
    }

    fn is_done(&self) -> bool {
        let Self {
            next,
            queued,
            parts,
            waiting,
            behind,
            flight,
        } = self;
        let nobody_waits = waiting.is_empty() && behind.is_empty();
        next.is_none() && !queued && *parts == Parts::Same && nobody_waits && flight.is_none()
    }
}

fn put(group: &mut Group, tag: Tag, set: &SessionSet, parts: Parts, has_parts: bool) -> bool {
    // An empty set is no set.
    match set.kept_until() {
        Some(_) => group.put(tag, Some(set), parts, has_parts),
        None => group.put(tag, None, parts.max(Parts::Changed), has_parts),
    }
}
