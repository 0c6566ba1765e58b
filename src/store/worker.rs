//! A background task that runs while there is work: of a link, of the map of a Cluster, of a queue, of open streams.

use std::{
    future::Future,
    mem,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{runtime::Handle, task::AbortHandle};

use crate::model::clock::Monotonic;

/// How long a runtime may take to run a task that is ready. After this it is known whether it runs.
pub(crate) const DOUBT: Duration = Duration::from_millis(300);

/// A background task, in the runtime of the caller who started it.
///
/// That runtime may have stopped, or nothing may drive it any more: then the next caller starts the task again.
#[derive(Debug, Default)]
pub(crate) struct Worker {
    task: Option<Task>,
    closed: bool,
}

#[derive(Debug)]
struct Task {
    handle: AbortHandle,
    runtime: Handle,
    /// Whether it has work.
    works: Arc<AtomicBool>,
    asked: Option<Asked>,
}

/// The last question to the runtime of the task, whether it runs.
#[derive(Debug)]
struct Asked {
    since: Monotonic,
    answered: Arc<AtomicBool>,
    /// Whether a caller comes back for the answer.
    awaited: bool,
}

/// One run of the task.
#[derive(Debug)]
pub(crate) struct Shift(Arc<AtomicBool>);

impl Shift {
    /// There is no work left: the next caller with work starts the task again, also if this run has not returned yet.
    ///
    /// Called under the lock of the work, so that none comes meanwhile.
    pub(crate) fn ends(&self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Worker {
    /// Whether the task runs, by what is known. It is asked now, and believed at first.
    pub(crate) fn runs(&mut self) -> bool {
        self.task.as_mut().is_some_and(Task::runs)
    }

    /// Whether it has not been found out yet if the task runs.
    pub(crate) fn is_in_doubt(&self) -> bool {
        let asked = self.task.as_ref().and_then(|task| task.asked.as_ref());
        asked.is_some_and(Asked::is_open)
    }

    /// The same, once for each question. That caller comes back after [`DOUBT`], for there may be no other one.
    pub(crate) fn comes_into_doubt(&mut self) -> bool {
        let asked = self.task.as_mut().and_then(|task| task.asked.as_mut());
        asked.is_some_and(|asked| asked.is_open() && !mem::replace(&mut asked.awaited, true))
    }

    /// Starts the task in the caller's runtime, instead of the one that there may be.
    pub(crate) fn start<F>(&mut self, work: impl FnOnce(Shift) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.stop();
        if self.closed {
            return;
        }
        let (runtime, works) = (Handle::current(), Arc::new(AtomicBool::new(true)));
        self.task = Some(Task {
            handle: runtime
                .spawn(work(Shift(Arc::clone(&works))))
                .abort_handle(),
            runtime,
            works,
            asked: None,
        });
    }

    pub(crate) fn stop(&mut self) {
        if let Some(task) = self.task.take() {
            task.handle.abort();
        }
    }

    /// Stops it for good.
    #[cfg(feature = "redis")]
    pub(crate) fn close(&mut self) {
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
    fn runs(&mut self) -> bool {
        if self.handle.is_finished() || !self.works.load(Ordering::Acquire) {
            return false;
        }
        if let Some(asked) = &self.asked {
            if asked.since.elapsed() < DOUBT {
                return true;
            }
            if asked.is_open() {
                return false;
            }
        }
        let answered = Arc::new(AtomicBool::new(false));
        self.asked = Some(Asked {
            since: Monotonic::now(),
            answered: Arc::clone(&answered),
            awaited: false,
        });
        self.runtime
            .spawn(async move { answered.store(true, Ordering::Release) });
        true
    }
}

impl Asked {
    fn is_open(&self) -> bool {
        !self.answered.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::runtime::{Builder, Runtime};

    use super::*;

    fn runtime() -> Runtime {
        Builder::new_current_thread().build().unwrap()
    }

    /// Asks twice, with enough time between for an answer.
    fn runs(worker: &mut Worker, meanwhile: impl FnOnce()) -> bool {
        worker.runs();
        meanwhile();
        std::thread::sleep(DOUBT + Duration::from_millis(20));
        worker.runs()
    }

    #[test]
    fn a_task_runs_no_more_if_nothing_drives_its_runtime() {
        let (runtime, mut worker) = (runtime(), Worker::default());
        assert!(!worker.runs());
        let guard = runtime.enter();
        worker.start(|_| pending());
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
    fn a_task_without_work_is_started_again_before_it_returns() {
        let (runtime, mut worker) = (runtime(), Worker::default());
        let _guard = runtime.enter();
        let mut first = None;
        worker.start(|shift| {
            first = Some(shift);
            pending()
        });
        assert!(worker.runs());

        let first = first.unwrap();
        first.ends();
        assert!(!worker.runs());

        worker.start(|_| pending());
        first.ends();
        assert!(worker.runs(), "that was the run before");
    }

    #[cfg(feature = "redis")]
    #[test]
    fn a_closed_worker_starts_no_task() {
        let (runtime, mut worker) = (runtime(), Worker::default());
        let _guard = runtime.enter();
        worker.close();

        worker.start(|_| pending());

        assert!(!worker.runs());
    }
}
