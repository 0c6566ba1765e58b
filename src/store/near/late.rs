//! Writes the activity of requests that were answered from here.

use std::{
    collections::VecDeque,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::{OwnedRwLockReadGuard, RwLock},
    task::JoinSet,
    time::timeout,
};

use super::{
    Inner,
    cache::LateFill,
    own::{What, Write},
    shard::Active,
};
use crate::store::{
    SessionStore, Touch,
    meter::timed,
    worker::{Shift, Worker},
};

/// How many writes are on their way at once.
const AT_ONCE: usize = 64;

/// How long a flush waits for the writes of others.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest sleep: a clock of tests does not wake anything.
const SLEEP: Duration = Duration::from_secs(1);

/// What is to be written, and the task that does it.
#[derive(Debug)]
pub(super) struct Late {
    plan: Mutex<Plan>,
    /// How many entries there are at most. The plan has room for as many: outside of a runtime nobody writes it.
    entries: usize,
    /// Held for reading from before activity is taken out of the plan until it is written.
    writing: Arc<RwLock<()>>,
}

/// A write that a flush waits for.
type Writing = OwnedRwLockReadGuard<()>;

#[derive(Debug, Default)]
struct Plan {
    /// In the order in which they are due.
    fills: VecDeque<LateFill>,
    /// Of entries that made room.
    active: VecDeque<Active>,
    worker: Worker,
}

impl Plan {
    fn add(&mut self, active: Vec<Active>, most: usize) {
        self.active.extend(active);
        let over = self.active.len().saturating_sub(most);
        self.active.drain(..over);
    }
}

impl Late {
    pub(super) fn new(entries: usize) -> Self {
        Self {
            plan: Mutex::default(),
            entries,
            writing: Arc::default(),
        }
    }

    /// How many writes are planned.
    #[cfg(test)]
    pub(super) fn planned(&self) -> usize {
        let plan = self.plan();
        plan.fills.len() + plan.active.len()
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn writing(&self) -> Writing {
        Arc::clone(&self.writing).read_owned().await
    }
}

impl<St: SessionStore> Inner<St> {
    /// Plans to write the activity of this fill.
    pub(super) fn note(this: &Arc<Self>, fill: LateFill) {
        let mut plan = this.late.plan();
        // Mostly the last one. Sessions with a short idle time have a shorter lease.
        let at = plan.fills.partition_point(|other| other.due <= fill.due);
        plan.fills.insert(at, fill);
        // As many again may be of entries that were replaced.
        if plan.fills.len() > this.late.entries.saturating_mul(2) {
            // The one that is due first is mostly such a one. Else it is written early: no later hit would plan it again.
            let first = plan.fills.pop_front();
            plan.add(this.taken(first), this.late.entries);
        }
        Self::work(this, plan);
    }

    /// Plans to write the activity of entries that made room.
    pub(super) fn evicted(this: &Arc<Self>, active: Vec<Active>) {
        if !active.is_empty() {
            let mut plan = this.late.plan();
            plan.add(active, this.late.entries);
            Self::work(this, plan);
        }
    }

    fn work(this: &Arc<Self>, mut plan: MutexGuard<'_, Plan>) {
        // Without a runtime it waits for the next one.
        if Handle::try_current().is_ok() && !plan.worker.runs() {
            let inner = Arc::downgrade(this);
            plan.worker.start(|shift| run(inner, shift));
        }
    }

    /// Writes all that is planned, also what is not due yet, and waits for what is on its way.
    pub(super) async fn write_all(self: &Arc<Self>) {
        let writing = self.late.writing().await;
        let (fills, mut active) = {
            let mut plan = self.late.plan();
            (mem::take(&mut plan.fills), mem::take(&mut plan.active))
        };
        active.extend(self.taken(fills));
        if Handle::try_current().is_err() {
            for each in active {
                self.touch(each).await;
            }
            return;
        }
        if active.is_empty() {
            drop(writing);
        } else {
            self.write_in_task(active, writing).await;
        }
        if self.late.writing.try_write().is_err() {
            // Not for ever: their runtime may be one that nobody drives.
            let _ = timeout(PATIENCE, self.late.writing.write()).await;
        }
    }

    /// In a task of its own: what was taken is also written if nobody waits.
    async fn write_in_task(self: &Arc<Self>, active: VecDeque<Active>, writing: Writing) {
        let inner = Arc::clone(self);
        let own = tokio::spawn(async move {
            inner.write(active).await;
            drop(writing);
        });
        let _ = own.await;
    }

    /// The activity of these fills. Nothing of those whose entries were replaced, or removed by a message.
    fn taken(&self, fills: impl IntoIterator<Item = LateFill>) -> Vec<Active> {
        let Some(cache) = &self.cache else {
            return Vec::new();
        };
        let taken = fills.into_iter().filter_map(|fill| cache.take(&fill));
        taken.collect()
    }

    async fn write(self: &Arc<Self>, active: VecDeque<Active>) {
        let mut writes = JoinSet::new();
        for each in active {
            if writes.len() >= AT_ONCE {
                writes.join_next().await;
            }
            let inner = Arc::clone(self);
            writes.spawn(async move { inner.touch(each).await });
        }
        while writes.join_next().await.is_some() {}
    }

    async fn touch(self: &Arc<Self>, active: Active) {
        let Some(cache) = self.cache.as_deref() else {
            return;
        };
        let newer = |active| Self::evicted(self, active);
        let _write = Write::begin(Some(cache), active.tag, What::One(active.id), newer);
        let age = cache.now().since(active.at);
        let mut touch = Touch::new(active.tag, active.id, age);
        touch.not_before = self.store.horizon().and_then(|horizon| horizon.moment());
        if let Err(error) = timed("touch", self.store.touch(&touch)).await {
            tracing::debug!(kind = ?error.kind(), "the activity of a session is not written");
        }
    }

    /// What is due now, or how long to wait for it; nothing if the work is done, which ends the shift.
    fn next(&self, shift: &Shift) -> Option<Result<VecDeque<Active>, Duration>> {
        let now = self.cache.as_ref()?.now();
        let mut plan = self.late.plan();
        let mut active = mem::take(&mut plan.active);
        let mut due = Vec::new();
        while due.len() < AT_ONCE && plan.fills.front().is_some_and(|fill| fill.due <= now) {
            due.extend(plan.fills.pop_front());
        }
        if active.is_empty() && due.is_empty() {
            let Some(next) = plan.fills.front() else {
                shift.ends();
                return None;
            };
            return Some(Err(next.due.since(now).min(SLEEP)));
        }
        drop(plan);
        active.extend(self.taken(due));
        Some(Ok(active))
    }
}

async fn run<St: SessionStore>(inner: Weak<Inner<St>>, shift: Shift) {
    loop {
        let Some(inner) = inner.upgrade() else {
            return;
        };
        let writing = inner.late.writing().await;
        match inner.next(&shift) {
            None => return,
            Some(Ok(active)) => inner.write_in_task(active, writing).await,
            Some(Err(pause)) => {
                drop((writing, inner));
                tokio::time::sleep(pause).await;
            }
        }
    }
}
