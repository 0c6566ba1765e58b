//! Ends sign-ins that were given up, beside the calls.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::Notify,
    task::{JoinError, JoinSet},
    time,
};

use super::{listen::unless, tables::Tables};
use crate::store::{
    SetStore,
    outage::jitter,
    worker::{DOUBT, Shift, Worker},
};

/// The pauses after an end that failed.
const SHORTEST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_secs(1);

/// How many are ended at the same time at first: each takes two round trips, and one may wait for a lock.
const AT_ONCE: usize = 4;

/// How many follow one that has ended: a storm leaves hundreds. So their number grows for as long as pool and server
/// have room for them.
const FOLLOW: usize = 2;

/// How many are ended at the same time at most.
const MOST: usize = 16;

/// The task that ends them, while there are any.
#[derive(Debug, Default)]
pub(super) struct GivenUp {
    worker: Mutex<Worker>,
    /// Wakes who waits for all to have ended.
    ended: Notify,
    /// Wakes the task: one more is to be ended.
    added: Arc<Notify>,
}

impl GivenUp {
    /// One more is to be ended.
    pub(super) fn add(self: &Arc<Self>, sets: &SetStore<Tables>) {
        self.added.notify_one();
        self.work(sets);
    }

    /// Starts the task, unless it runs. Without a runtime the next operations end them.
    pub(super) fn work(self: &Arc<Self>, sets: &SetStore<Tables>) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let mut worker = self.worker();
        if !worker.runs() {
            sets.recover_given_up();
            let (this, added) = (Arc::downgrade(self), Arc::clone(&self.added));
            worker.start(|shift| end_all(this, sets.clone(), added, shift));
        } else if worker.comes_into_doubt() {
            let (this, sets) = (Arc::clone(self), sets.clone());
            // Nothing may drive the runtime of the task.
            runtime.spawn(async move {
                time::sleep(DOUBT).await;
                if this.worker().is_in_doubt() {
                    this.work(&sets);
                }
            });
        }
    }

    /// Waits until none is left, at most for this time. Returns how many are.
    pub(super) async fn drain(
        self: &Arc<Self>,
        sets: &SetStore<Tables>,
        within: Duration,
    ) -> usize {
        // As many as may are ended at the same time, from now on.
        self.added.notify_one();
        let all = async {
            loop {
                let ended = self.ended.notified();
                if sets.given_up() == 0 {
                    return;
                }
                self.work(sets);
                // The runtime of the task may stop meanwhile.
                let _ = time::timeout(DOUBT, ended).await;
            }
        };
        let _ = time::timeout(within, all).await;
        sets.given_up()
    }

    fn worker(&self) -> MutexGuard<'_, Worker> {
        self.worker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends them all. It has no hold on its `GivenUp`: that goes with the last clone of the store, and stops this task.
async fn end_all(
    given_up: Weak<GivenUp>,
    sets: SetStore<Tables>,
    added: Arc<Notify>,
    shift: Shift,
) {
    loop {
        let mut pause = SHORTEST;
        while end_several(&sets, &added).await > 0 {
            time::sleep(jitter(pause)).await;
            pause = (2 * pause).min(LONGEST);
        }
        let Some(given_up) = given_up.upgrade() else {
            return;
        };
        let worker = given_up.worker();
        if sets.given_up() == 0 {
            shift.ends();
            drop(worker);
            given_up.ended.notify_waiters();
            return;
        }
    }
}

/// Ends all that wait, until the storage fails. Returns how many are left.
async fn end_several(sets: &SetStore<Tables>, added: &Notify) -> usize {
    // Dropped with this task, they put back what they have not ended.
    let mut tasks = JoinSet::new();
    let mut more = AT_ONCE;
    loop {
        // One connection is left for requests.
        let places = sets.storage().0.link.pool.status().max_size;
        let most = places.saturating_sub(1).clamp(AT_ONCE, MOST);
        let most = most.min(sets.given_up());
        for _ in 0..more.min(most.saturating_sub(tasks.len())) {
            let sets = sets.clone();
            tasks.spawn(async move { sets.end_one().await });
        }
        more = match unless(added.notified(), tasks.join_next()).await {
            Some(None) => return sets.given_up(),
            Some(Some(ended)) => followers(&ended),
            None => {
                // Those that are done leave room.
                let mut more = 0;
                while let Some(ended) = tasks.try_join_next() {
                    more += followers(&ended);
                }
                more.max(usize::from(tasks.len() < AT_ONCE))
            }
        };
    }
}

/// How many follow one that has ended. None does if it found nothing, or the storage failed.
fn followers(ended: &Result<bool, JoinError>) -> usize {
    match ended {
        Ok(true) => FOLLOW,
        Ok(false) | Err(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use deadpool_postgres::{Manager, Pool, tokio_postgres::NoTls};

    use super::*;
    use crate::{
        model::{SessionId, Tag},
        store::{SessionStore, postgres::PostgresStore},
    };

    /// Of a server that is not there: nothing listens on this port.
    fn pool() -> Pool {
        let server = "postgres://postgres@127.0.0.1:1/postgres".parse().unwrap();
        Pool::builder(Manager::new(server, NoTls)).build().unwrap()
    }

    #[tokio::test]
    async fn a_store_that_is_dropped_leaves_no_task_and_no_pool() {
        let store = PostgresStore::new(pool());
        let tables = Arc::downgrade(&store.sets.storage().0);
        store.end_undelivered(Tag::from_bytes([7; 12]), SessionId::from_bytes([1; 12]));
        assert_eq!(store.drain(Duration::from_millis(100)).await, 1);

        drop(store);

        for _ in 0..1_000 {
            if tables.strong_count() == 0 {
                return;
            }
            time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the task keeps the store");
    }

    /// As a sign-in that is refused while an attempt of it may still run.
    #[tokio::test]
    async fn one_that_an_operation_gives_up_is_ended_though_another_one_ended_meanwhile() {
        for before in 0..=1 {
            let deadline = Duration::from_secs(600);
            let store = PostgresStore::builder(pool()).deadline(deadline).build();
            // No set can have this tag, so these end without the server.
            let gives_up = |id| (Tag::from_bytes([0; 12]), SessionId::from_bytes([id; 12]));
            for id in 0..before {
                let (tag, id) = gives_up(id);
                store.end_undelivered(tag, id);
            }
            let gives_one_up = async {
                while store.sets.given_up() > 0 || store.given_up.worker().runs() {
                    time::sleep(Duration::from_millis(1)).await;
                }
                let (tag, id) = gives_up(9);
                store.sets.end_undelivered(tag, id);
                Ok(())
            };
            store.within(gives_one_up).await.unwrap();

            for _ in 0..1_000 {
                if store.sets.given_up() == 0 {
                    break;
                }
                time::sleep(Duration::from_millis(10)).await;
            }
            assert_eq!(store.sets.given_up(), 0, "{before}");
        }
    }
}
