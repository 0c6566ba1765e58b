//! The session sets in memory, which answer requests.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use super::{
    clock::FileClock,
    entry::{Landed, Step},
    load::Sets,
    log::{Activity, Group, latest},
    queue::{FAILED_MAX, Failure, Landing, Queue, landed},
    shard::{Seen, Shard},
};
use crate::{
    model::{Tag, Timestamp},
    store::{
        End, EndEveryone, Ended, Feed, FeedMessage, FeedSource, FeedState, Horizon, SessionSet,
        StoreError, StoreErrorKind, feed::report, memory::agents::Agents,
    },
};

/// How many locks there are; each protects a share of the users.
const SHARDS: usize = 64;

/// How many due session sets each operation looks at under its own lock, and every so many operations
/// under another lock. An operation adds at most one, so the removal catches up with any burst.
const SWEPT: usize = 64;
const SWEPT_ELSEWHERE: usize = 1_024;
const ELSEWHERE_EVERY: usize = 16;

/// The session sets in memory.
pub(super) struct Front {
    pub(super) clock: FileClock,
    pub(super) notice_kept: Duration,
    pub(super) max_guests: usize,
    pub(super) queue: Queue,
    pub(super) horizon: Horizon,
    pub(super) feed: Feed,
    guests: AtomicUsize,
    shards: Shards,
    /// Counts operations, so that locks which are not asked for are swept too.
    turn: AtomicUsize,
}

/// Messages are delivered where they are made, so none is lost.
struct InProcess;

impl FeedSource for InProcess {
    fn state(&self, _: Tag) -> FeedState {
        FeedState::new(0, true)
    }
}

/// The locks.
pub(super) struct Shards(Box<[Mutex<Shard>]>);

impl Shards {
    pub(super) fn new() -> Self {
        Self((0..SHARDS).map(|_| Mutex::default()).collect())
    }

    /// The set of this tag is under this lock.
    pub(super) fn of(&self, tag: Tag) -> Option<MutexGuard<'_, Shard>> {
        // A tag is a hash or random, so that any byte of it distributes the users evenly.
        let at = usize::from(tag.as_bytes()[0]) % SHARDS;
        self.0.get(at).map(lock)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = MutexGuard<'_, Shard>> {
        self.0.iter().map(lock)
    }
}

impl Sets for &Shards {
    fn add(&mut self, tag: Tag, set: SessionSet) {
        if let Some(mut shard) = self.of(tag) {
            shard.load(tag, set);
        }
    }

    fn saw(&mut self, tag: Tag, activity: &[Activity]) {
        if let Some(entry) = self.of(tag).as_mut().and_then(|shard| shard.get(tag)) {
            entry.set.saw(|id| latest(activity, id));
        }
    }
}

// After a panic under a lock the data is still valid: every step leaves plain values behind.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Front {
    pub(super) fn new(
        shards: Shards,
        clock: FileClock,
        notice_kept: Duration,
        max_guests: usize,
        everyone: Option<Timestamp>,
    ) -> Self {
        let horizon = Horizon::of_process();
        if let Some(everyone) = everyone {
            horizon.recall(everyone);
        }
        let guests = shards.iter().map(|shard| shard.guests()).sum();
        Self {
            clock,
            notice_kept,
            max_guests,
            queue: Queue::default(),
            horizon,
            feed: Feed::new(InProcess),
            guests: AtomicUsize::new(guests),
            shards,
            turn: AtomicUsize::new(0),
        }
    }

    pub(super) fn sets(&self) -> usize {
        self.shards.iter().map(|shard| shard.sets()).sum()
    }

    /// Runs `work` under the lock of this tag. Time never steps back between two steps on one session set.
    pub(super) fn within<T>(
        &self,
        tag: Tag,
        work: impl FnOnce(&mut Shard, Timestamp) -> T,
    ) -> Option<T> {
        let mut shard = self.shards.of(tag)?;
        let now = self.clock.now();
        let guests = shard.guests();
        let done = work(&mut shard, now);
        self.sweep(&mut shard, now, SWEPT);
        self.count_guests(guests, shard.guests());
        Some(done)
    }

    fn sweep(&self, shard: &mut Shard, now: Timestamp, most: usize) {
        if !self.clock.is_doubted(now) && shard.sweep(now, most) {
            self.queue.note_seen();
        }
    }

    /// Only operations that may add a session set do it, because all of them share this counter.
    fn sweep_elsewhere(&self) {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        if turn.is_multiple_of(ELSEWHERE_EVERY)
            && let Some(other) = self.shards.0.get(turn / ELSEWHERE_EVERY % SHARDS)
            && let Ok(mut other) = other.try_lock()
        {
            let guests = other.guests();
            self.sweep(&mut other, self.clock.now(), SWEPT_ELSEWHERE);
            self.count_guests(guests, other.guests());
        }
    }

    /// The guest sessions under one lock were and are so many.
    fn count_guests(&self, were: usize, are: usize) {
        if were < are {
            self.guests.fetch_add(are - were, Ordering::Relaxed);
        } else if are < were {
            self.guests.fetch_sub(were - are, Ordering::Relaxed);
        }
    }

    /// Whether one more guest session is too many, after all expired ones were removed.
    pub(super) fn is_full(&self, tag: Tag) -> bool {
        let is_full = || self.guests.load(Ordering::Relaxed) >= self.max_guests;
        if !is_full() {
            return false;
        }
        self.sweep_all();
        is_full() && !self.has(tag)
    }

    fn sweep_all(&self) {
        let now = self.clock.now();
        for mut shard in self.shards.iter() {
            let guests = shard.guests();
            self.sweep(&mut shard, now, usize::MAX);
            self.count_guests(guests, shard.guests());
        }
    }

    /// An error while the disk has no space for more sessions. Looks again before.
    pub(super) async fn has_space(&self) -> Result<(), StoreError> {
        if !self.queue.is_full() {
            return Ok(());
        }
        self.sweep_all();
        let looked = landed(self.queue.wait()).await;
        looked.map_err(StoreError::known_not_run)?;
        match self.queue.is_full() {
            true => Err(StoreError::new(StoreErrorKind::Full).known_not_run()),
            false => Ok(()),
        }
    }

    fn has(&self, tag: Tag) -> bool {
        let has = |mut shard: MutexGuard<'_, Shard>| shard.get(tag).is_some();
        self.shards.of(tag).is_some_and(has)
    }

    /// Runs an operation on a copy of a set, which takes effect when it is on the disk.
    pub(super) async fn change<T>(
        &self,
        tag: Tag,
        make: Option<bool>,
        work: impl Fn(&mut SessionSet, &mut Agents, Timestamp) -> T,
    ) -> Result<Option<T>, StoreError> {
        if make.is_some() && self.queue.failed() >= FAILED_MAX && !self.has(tag) {
            // If its commit failed too, the thread that writes would have to remember it, and guests are new each time.
            landed(self.queue.wait()).await?;
        }
        loop {
            let step = self.within(tag, |shard, now| {
                shard.change(tag, make, |set, agents| work(set, agents, now))
            });
            if make.is_some() {
                self.sweep_elsewhere();
            }
            match step.flatten() {
                None => return Ok(None),
                Some(Step::Same(answer)) => return Ok(Some(answer)),
                Some(Step::Changed(answer, done, queue)) => {
                    if queue {
                        self.queue.push(tag);
                    }
                    if !landed(done).await? {
                        return Ok(Some(answer));
                    }
                }
            }
        }
    }

    /// Ends sessions at once.
    pub(super) fn end_now(&self, end: &End, make: bool) -> Option<Step<Ended>> {
        let step = self.within(end.tag, |shard, now| {
            shard.end(end.tag, end, make, |set, end| {
                set.end(end, now, self.notice_kept)
            })
        });
        let (step, all) = step.flatten()?;
        if let Step::Changed(_, _, queue) = &step {
            // Also what a sign-in on its way to the disk evicts: for requests, this ends it.
            self.report(|| report::these_ended(end, &all));
            if *queue {
                self.queue.push(end.tag);
            }
        }
        Some(step)
    }

    /// Delivers the message of an outcome, if anybody reads the feed.
    pub(super) fn report(&self, message: impl FnOnce() -> Option<FeedMessage>) {
        if self.feed.is_wanted()
            && let Some(message) = message()
        {
            self.feed.deliver(&message);
        }
    }

    pub(super) async fn end_everyone(&self, end: EndEveryone) -> Result<Timestamp, StoreError> {
        let moment = end.moment(self.clock.now(), self.horizon.moment());
        // It takes effect at once, and each commit writes it until one works.
        self.horizon.note(moment);
        self.report(|| Some(FeedMessage::everyone(moment)));
        landed(self.queue.wait()).await?;
        Ok(moment)
    }

    /// So many of the lowest tags after this one under one lock; `None` if there is no such lock.
    pub(super) fn tags(&self, at: usize, after: Option<Tag>, most: usize) -> Option<Vec<Tag>> {
        Some(lock(self.shards.0.get(at)?).tags(after, most))
    }

    /// What requests did since this was taken last.
    pub(super) fn take_seen(&self) -> impl Iterator<Item = Seen> {
        let shards = self.shards.iter();
        shards.flat_map(|mut shard| shard.take_seen())
    }

    /// Adds a set to a group as requests see it. Returns whether there is one.
    pub(super) fn put(&self, tag: Tag, group: &mut Group) -> bool {
        let put = |mut shard: MutexGuard<'_, Shard>| {
            let entry = shard.get(tag);
            entry.map(|entry| entry.put(tag, group))
        };
        self.shards.of(tag).and_then(put).is_some()
    }

    /// What a commit that begins now has to write.
    pub(super) fn take_off(&self, tags: &[Tag]) -> Group {
        let mut group = Group::new(tags.len());
        for tag in tags {
            if let Some(mut shard) = self.shards.of(*tag) {
                shard.take_off(*tag, &mut group);
            }
        }
        group
    }

    /// The commit is on the disk, or failed. Its operations take effect or not, and get their answers.
    pub(super) fn land(&self, tags: &[Tag], outcome: &Result<(), Failure>) {
        let is_read = self.feed.is_wanted();
        for tag in tags {
            let landed = self.within(*tag, |shard, now| {
                shard.land(*tag, outcome.is_ok(), is_read, now)
            });
            let Some(Landed {
                waiting,
                behind,
                again,
                news,
            }) = landed.flatten()
            else {
                continue;
            };
            if again {
                self.queue.push(*tag);
            }
            for news in news {
                self.feed.deliver(&FeedMessage::new(*tag, news));
            }
            // An operation that was dropped does not listen.
            for waiting in waiting {
                let _ = waiting.send(Landing::Done(outcome.clone()));
            }
            for waiting in behind {
                let _ = waiting.send(Landing::Again);
            }
        }
    }
}
