//! The one background task of a link, of the map of a Cluster, or of a queue.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{runtime::Handle, task::AbortHandle};

use crate::model::clock::Monotonic;

/// How long a runtime may take to run a task that is ready, in ms.
pub(super) const DOUBT: i64 = 300;

/// A background task, in the runtime of the caller who started it.
///
/// That runtime may have stopped, or nothing may drive it any more: then the next caller starts the task again.
#[derive(Debug, Default)]
pub(super) struct Worker {
    task: Option<Task>,
    closed: bool,
}

#[derive(Debug)]
struct Task {
    handle: AbortHandle,
    runtime: Handle,
    /// When its runtime was asked last whether it runs, and whether it has answered.
    asked: Option<(i64, Arc<AtomicBool>)>,
}

impl Worker {
    /// Whether the task runs, by what is known. It is asked now, and believed at first.
    pub(super) fn runs(&mut self) -> bool {
        let now = Monotonic::now().as_millis();
        self.task.as_mut().is_some_and(|task| task.runs(now))
    }

    /// Whether it has not been found out yet if the task runs.
    pub(super) fn is_in_doubt(&self) -> bool {
        let asked = self.task.as_ref().and_then(|task| task.asked.as_ref());
        asked.is_some_and(|(_, answered)| !answered.load(Ordering::Acquire))
    }

    /// Starts the task in the caller's runtime, instead of the one that there may be.
    pub(super) fn start(&mut self, work: impl Future<Output = ()> + Send + 'static) {
        self.stop();
        if self.closed {
            return;
        }
        let runtime = Handle::current();
        self.task = Some(Task {
            handle: runtime.spawn(work).abort_handle(),
            runtime,
            asked: None,
        });
    }

    pub(super) fn stop(&mut self) {
        if let Some(task) = self.task.take() {
            task.handle.abort();
        }
    }

    /// Stops it for good.
    pub(super) fn close(&mut self) {
        self.closed = true;
        self.stop();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Task {
    fn runs(&mut self, now: i64) -> bool {
        if self.handle.is_finished() {
            return false;
        }
        if let Some((since, answered)) = &self.asked {
            if now.saturating_sub(*since) < DOUBT {
                return true;
            }
            if !answered.load(Ordering::Acquire) {
                return false;
            }
        }
        let answered = Arc::new(AtomicBool::new(false));
        self.asked = Some((now, Arc::clone(&answered)));
        self.runtime
            .spawn(async move { answered.store(true, Ordering::Release) });
        true
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, time::Duration};

    use tokio::runtime::{Builder, Runtime};

    use super::*;

    fn runtime() -> Runtime {
        Builder::new_current_thread().build().unwrap()
    }

    /// Asks twice, with enough time between for an answer.
    fn runs(worker: &mut Worker, meanwhile: impl FnOnce()) -> bool {
        worker.runs();
        meanwhile();
        std::thread::sleep(Duration::from_millis(DOUBT.unsigned_abs() + 20));
        worker.runs()
    }

    #[test]
    fn a_task_runs_no_more_if_nothing_drives_its_runtime() {
        let (runtime, mut worker) = (runtime(), Worker::default());
        assert!(!worker.runs());
        let guard = runtime.enter();
        worker.start(pending());
        drop(guard);

        assert!(worker.runs(), "it is asked first");
        let driven = runs(&mut worker, || {
            runtime.block_on(tokio::task::yield_now());
        });
        assert!(driven);
        assert!(!runs(&mut worker, || {}), "idle");

        drop(runtime);
        assert!(!worker.runs());
    }

    #[test]
    fn a_closed_worker_starts_no_task() {
        let (runtime, mut worker) = (runtime(), Worker::default());
        let _guard = runtime.enter();
        worker.close();

        worker.start(pending());

        assert!(!worker.runs());
    }
}
