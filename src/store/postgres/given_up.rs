//! Ends sign-ins that were given up, beside the calls.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::{runtime::Handle, sync::Notify, time};

use super::{gate::jitter, tables::Tables};
use crate::store::SetStore;

/// The pauses after an end that failed.
const SHORTEST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_secs(1);

/// The task that ends them, while there are any.
#[derive(Debug, Default)]
pub(super) struct GivenUp {
    works: AtomicBool,
    /// Wakes who waits for all to have ended.
    ended: Notify,
}

impl GivenUp {
    /// Starts the task, unless it runs. Without a runtime the next operations end them.
    pub(super) fn work(self: &Arc<Self>, sets: &SetStore<Tables>) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        if self.works.swap(true, SeqCst) {
            return;
        }
        let (at_work, sets) = (AtWork(Arc::clone(self)), sets.clone());
        runtime.spawn(async move {
            let mut pause = SHORTEST;
            while sets.drain().await > 0 {
                time::sleep(jitter(pause)).await;
                pause = (2 * pause).min(LONGEST);
            }
            drop(at_work);
        });
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
                if sets.given_up() == 0 && !self.works.load(SeqCst) {
                    return;
                }
                self.work(sets);
                ended.await;
            }
        };
        match time::timeout(within, all).await {
            Ok(()) => 0,
            // The task has one in its hands.
            Err(_elapsed) => sets.given_up() + 1,
        }
    }
}

/// Also if the runtime stops the task.
struct AtWork(Arc<GivenUp>);

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.works.store(false, SeqCst);
        self.0.ended.notify_waiters();
    }
}
