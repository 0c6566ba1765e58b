//! Runs futures at the same time without a runtime, because the suite must run on any.

use std::{
    future::{Future, poll_fn},
    mem,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    thread,
    time::Duration,
};

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Polls all futures in one task and returns their outputs in order.
pub(super) async fn together<T>(futures: Vec<Boxed<'_, T>>) -> Vec<T> {
    let mut running: Vec<(Option<Boxed<'_, T>>, Option<T>)> = futures
        .into_iter()
        .map(|future| (Some(future), None))
        .collect();
    poll_fn(|cx| {
        let mut waiting = false;
        for (future, answer) in &mut running {
            match future.as_mut().map(|future| future.as_mut().poll(cx)) {
                Some(Poll::Ready(done)) => (*future, *answer) = (None, Some(done)),
                Some(Poll::Pending) => waiting = true,
                None => {}
            }
        }
        if waiting {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    })
    .await;
    running
        .into_iter()
        .filter_map(|(_, answer)| answer)
        .collect()
}

/// Waits for so long. Works on any runtime.
pub(super) async fn sleep(time: Duration) {
    let done = Arc::new(AtomicBool::new(false));
    let mut began = false;
    poll_fn(|cx| {
        if done.load(Ordering::SeqCst) {
            return Poll::Ready(());
        }
        if !mem::replace(&mut began, true) {
            let (done, waker) = (Arc::clone(&done), cx.waker().clone());
            thread::spawn(move || {
                thread::sleep(time);
                done.store(true, Ordering::SeqCst);
                waker.wake();
            });
        }
        Poll::Pending
    })
    .await;
}

/// Polls the future once and drops it.
pub(super) async fn begin_and_drop(future: impl Future) {
    poll_and_drop(future, 1).await;
}

/// Polls the future so many times, and drops it. Other tasks run in between.
pub(super) async fn poll_and_drop(future: impl Future, mut polls: usize) {
    let mut future = pin!(future);
    poll_fn(|cx| {
        polls -= 1;
        if future.as_mut().poll(cx).is_ready() || polls == 0 {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
