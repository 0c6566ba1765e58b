//! Waits for one of two.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
};

/// Waits for `work`; `None` if `other` is done before. The caller pins both: this future would hold them twice.
pub(in super::super) fn unless<T>(
    mut work: Pin<&mut impl Future<Output = T>>,
    mut other: Pin<&mut impl Future>,
) -> impl Future<Output = Option<T>> {
    poll_fn(move |cx| match work.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => other.as_mut().poll(cx).map(|_| None),
    })
}
