//! The thread that writes. All operations that wait at one moment share a commit.

use std::{
    collections::HashSet,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError, Weak},
    thread,
    time::Duration,
    vec::Drain,
};

use redb::Database;

use super::{
    disk::{Disk, Times},
    front::Front,
    log::{Activity, Group},
    queue::{Failure, Gather, Landing, Outcome, Waiting},
    shard::Seen,
};
use crate::{
    model::{Tag, clock::Monotonic},
    store::meter::file as meter,
};

/// How often activity is written.
const ACTIVITY_EVERY: Duration = Duration::from_secs(1);

/// The most sets of one commit that nobody waits for, so that nobody waits long behind them.
const UNHURRIED: usize = if cfg!(test) { 8 } else { 512 };

/// The most sessions of one commit of which only the activity is written. That takes a tenth of what a set takes.
const ACTIVE: usize = 8 * UNHURRIED;

/// The longest that a commit waits for more session sets.
const GATHER_MAX: Duration = Duration::from_millis(1);

/// The least time between two tries while the disk fails.
const PAUSE: Duration = Duration::from_millis(5);

/// The database that a backup may read from.
pub(super) type Shown = Arc<Mutex<Weak<Database>>>;

/// The thread, and what it keeps between commits.
pub(super) struct Writer {
    front: Arc<Front>,
    disk: Disk,
    shown: Shown,
    /// Sets whose commit failed.
    failed: HashSet<Tag>,
    /// Sets that nobody waits for.
    unhurried: Vec<Tag>,
    /// Activity of other sets.
    active: Vec<Activity>,
    /// The end of the last try that failed, and how long to leave the disk alone after it.
    rest: Option<(Monotonic, Duration)>,
    /// Whether sign-ins were refused since the disk last had enough space.
    is_short: bool,
    /// When activity was last collected.
    collected: Monotonic,
    /// The last commit: its end is when session sets were last written.
    last: Gather,
}

impl Writer {
    /// Starts the thread. It ends after [`Queue::stop`](super::queue::Queue::stop).
    pub(super) fn start(
        front: Arc<Front>,
        disk: Disk,
        shown: Shown,
    ) -> std::io::Result<thread::JoinHandle<()>> {
        let mut writer = Self {
            front,
            disk,
            shown,
            failed: HashSet::new(),
            unhurried: Vec::new(),
            active: Vec::new(),
            rest: None,
            is_short: false,
            collected: Monotonic::now(),
            last: Gather {
                last: 0,
                at: Monotonic::now(),
                most: Duration::ZERO,
            },
        };
        writer.show();
        writer.look();
        thread::Builder::new()
            .name("session file".to_owned())
            .spawn(move || writer.run())
    }

    fn run(&mut self) {
        loop {
            let work = self.front.queue.take(self.patience(), &self.last);
            let mut tags = work.tags;
            // What was collected is written first. Else there would be more and more of it while the disk fails.
            let is_due = !self.has_left() && self.collected.elapsed() >= ACTIVITY_EVERY;
            if work.stops || is_due {
                self.collect();
            }
            let mut active = Vec::new();
            let is_asked = !tags.is_empty() || !work.waiting.is_empty() || work.stops;
            let is_again = self.rest.is_some_and(is_over) || self.is_cleaning();
            if is_asked || is_again || self.rest.is_none() {
                // A few at a time: the disk may have room for some of them, and others wait for this commit.
                tags.extend(self.failed.iter().take(UNHURRIED));
                for tag in &tags {
                    self.failed.remove(tag);
                }
                tags.extend(last(&mut self.unhurried, UNHURRIED));
                active = last(&mut self.active, ACTIVE).collect();
            }
            if is_asked || is_again || !tags.is_empty() || !active.is_empty() {
                self.write(tags, active, work.waiting, work.settles);
            }
            let is_done = !self.has_left() && self.failed.is_empty();
            let is_done = is_done || self.rest.is_some();
            if work.stops && is_done {
                return;
            }
        }
    }

    /// How long to wait for operations. `None`: until there is one.
    fn patience(&self) -> Option<Duration> {
        if let Some((at, pause)) = self.rest {
            // Nobody waits, so there is no hurry.
            return Some(pause.max(ACTIVITY_EVERY).saturating_sub(at.elapsed()));
        }
        if self.has_left() || !self.failed.is_empty() || self.is_cleaning() {
            return Some(Duration::ZERO);
        }
        let has_seen = self.front.queue.has_seen();
        has_seen.then(|| ACTIVITY_EVERY.saturating_sub(self.collected.elapsed()))
    }

    /// Whether to make space although nobody waits.
    fn is_cleaning(&self) -> bool {
        self.rest.is_none() && self.disk.has_older()
    }

    /// Whether something is left of what was collected.
    fn has_left(&self) -> bool {
        !self.unhurried.is_empty() || !self.active.is_empty()
    }

    fn collect(&mut self) {
        if self.front.queue.take_seen() {
            for seen in self.front.take_seen() {
                match seen {
                    Seen::Activity(activity) => self.active.push(activity),
                    Seen::Set(tag) => self.unhurried.push(tag),
                }
            }
        }
        self.collected = Monotonic::now();
    }

    fn write(
        &mut self,
        mut tags: Vec<Tag>,
        active: Vec<Activity>,
        waiting: Vec<Waiting>,
        settles: bool,
    ) {
        // In the order of the data of sessions, and each once.
        tags.sort_unstable_by_key(|tag| *tag.as_bytes());
        tags.dedup();
        if let Some((at, pause)) = self.rest {
            // A try may take long, because the database repairs its file. It takes half of the time at most.
            thread::sleep(pause.saturating_sub(at.elapsed()));
        }
        let mut group = self.front.take_off(&tags);
        active.iter().for_each(|activity| group.saw(activity));
        // After an error only once all sets were written again: a copy of the version before, with the data of one that failed and
        // is in the file, would be damage. And only once the disk works: it may be full, and a copy needs space.
        let clean = self.failed.is_empty() && self.rest.is_none();
        let began = Monotonic::now();
        let outcome = self.commit(group, clean, !settles);
        let took = began.elapsed();
        meter::committed(took, tags.len() + active.len(), outcome.is_ok());
        match &outcome {
            Ok(()) if self.rest.take().is_some() => {
                meter::went(true);
                tracing::info!("the file of sessions is written again");
            }
            Ok(()) => {}
            Err(failure) => self.fail(failure, took),
        }
        if outcome.is_err() {
            self.failed.extend(&tags);
            // Whether it is in the file or not, it may be written again.
            self.active.extend(active);
        }
        self.front.queue.note_failed(self.failed.len());
        self.look();
        self.front.land(&tags, &outcome);
        self.last = Gather {
            last: tags.len(),
            at: Monotonic::now(),
            most: took.min(GATHER_MAX),
        };
        for waiting in waiting {
            let _ = waiting.send(Landing::Done(outcome.clone()));
        }
        if outcome.is_ok() && self.disk.is_hollow() {
            self.compact();
        }
    }

    fn compact(&mut self) {
        let (disk, began) = (&mut self.disk, Monotonic::now());
        let done = catch_unwind(AssertUnwindSafe(|| disk.compact()));
        let done = self.seen(done);
        if matches!(done, Ok(false)) {
            // After the commit that finds the backup over.
            return;
        }
        // After an error the next commit opens the file again.
        let (ok, took) = (done.is_ok(), began.elapsed());
        tracing::info!(
            ok,
            ?took,
            "the file of sessions was compacted, and writes waited for that"
        );
        self.look();
    }

    /// Looks whether the disk has space for more sessions.
    fn look(&mut self) {
        let is_full = self.disk.look();
        self.front.queue.note_full(is_full);
        if is_full && !self.is_short {
            self.is_short = true;
            tracing::error!(
                "the disk of the file of sessions is nearly full: sign-ins get 503 until sessions end, and requests go on"
            );
        } else if self.is_short && !self.disk.is_low() {
            self.is_short = false;
            tracing::info!("the disk of the file of sessions has space again");
        }
    }

    /// Leaves the disk alone for a while.
    fn fail(&mut self, failure: &Failure, took: Duration) {
        if self.rest.is_none() {
            meter::went(false);
            tracing::error!(
                error = failure.cause(),
                kind = ?failure.kind(),
                "the file of sessions cannot be written: sign-ins get 503, and requests go on"
            );
        }
        self.rest = Some((Monotonic::now(), took.max(PAUSE)));
    }

    fn commit(&mut self, group: Group, clean: bool, may_wait: bool) -> Outcome {
        let now = self.front.clock.now();
        // A moment that may be wrong must not become the store's time.
        let times = Times {
            last: (!self.front.clock.is_doubted(now)).then_some(now),
            everyone: self.front.horizon.moment(),
        };
        let (disk, front) = (&mut self.disk, &self.front);
        let sets = |tag, group: &mut Group| front.put(tag, group);
        // A panic of the database must not leave operations waiting for ever.
        let done = catch_unwind(AssertUnwindSafe(|| {
            disk.commit(group, times, clean.then_some(&sets), may_wait)
        }));
        self.seen(done).map_err(Failure::from)
    }

    /// What came of what may have panicked.
    fn seen<T>(&mut self, done: thread::Result<Result<T, redb::Error>>) -> Result<T, redb::Error> {
        let done = done.unwrap_or_else(|_| {
            self.disk.close();
            Err(redb::Error::PreviousIo)
        });
        self.show();
        done
    }

    fn show(&self) {
        let database = self.disk.database();
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = database;
    }
}

/// Takes so many of them.
fn last<T>(all: &mut Vec<T>, most: usize) -> Drain<'_, T> {
    all.drain(all.len().saturating_sub(most)..)
}

fn is_over((at, pause): (Monotonic, Duration)) -> bool {
    at.elapsed() >= pause.max(ACTIVITY_EVERY)
}
