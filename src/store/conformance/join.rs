//! Runs futures at the same time without a runtime, because the suite must run on any.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::Poll,
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

/// Polls the future once and drops it.
pub(super) async fn begin_and_drop(future: impl Future) {
    let mut future = pin!(future);
    poll_fn(|cx| {
        let _ = future.as_mut().poll(cx);
        Poll::Ready(())
    })
    .await;
}
