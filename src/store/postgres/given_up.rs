//! Ends sign-ins that were given up, beside the calls.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{runtime::Handle, sync::Notify, time};

use super::tables::Tables;
use crate::store::{
    SetStore,
    outage::jitter,
    worker::{DOUBT, Shift, Worker},
};

/// The pauses after an end that failed.
const SHORTEST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_secs(1);

/// The task that ends them, while there are any.
#[derive(Debug, Default)]
pub(super) struct GivenUp {
    worker: Mutex<Worker>,
    /// Wakes who waits for all to have ended.
    ended: Notify,
}

impl GivenUp {
    /// Starts the task, unless it runs. Without a runtime the next operations end them.
    pub(super) fn work(self: &Arc<Self>, sets: &SetStore<Tables>) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let mut worker = self.worker();
        if !worker.runs() {
            sets.recover_given_up();
            worker.start(|shift| Arc::clone(self).end_all(sets.clone(), shift));
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

    async fn end_all(self: Arc<Self>, sets: SetStore<Tables>, shift: Shift) {
        let mut pause = SHORTEST;
        loop {
            while sets.end_waiting(|| true).await > 0 {
                time::sleep(jitter(pause)).await;
                pause = (2 * pause).min(LONGEST);
            }
            let worker = self.worker();
            if sets.given_up() == 0 {
                shift.ends();
                drop(worker);
                self.ended.notify_waiters();
                return;
            }
        }
    }

    /// Waits until none is left, at most for this time. Returns how many are.
    pub(super) async fn drain(
        self: &Arc<Self>,
        sets: &SetStore<Tables>,
        within: Duration,
    ) -> usize {
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
