//! The calls of one commit, which have one deadline together.
//!
//! A client waits for all of them, one after the other. So a store with a deadline counts it from the beginning of the
//! commit. What runs in a task of its own, such as the end of a sign-in that was given up, has a deadline of its own.
//!
//! The moment is known while the commit is polled. So it reaches the store through stores around it, and other stores need
//! not know of it.

use std::{
    cell::Cell,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use pin_project_lite::pin_project;

use crate::model::Arrival;

thread_local! {
    /// The wait for the calls that are being polled.
    static WAIT: Cell<Option<Wait>> = const { Cell::new(None) };
}

/// How long a client has waited.
#[derive(Clone, Copy, Debug)]
struct Wait {
    since: Arrival,
    /// What of it was not for the store.
    uncounted: Duration,
}

impl Wait {
    fn spent(self) -> Duration {
        self.since.age().saturating_sub(self.uncounted)
    }
}

/// Calls that have one deadline together, from now on.
pub(crate) fn together<F: Future>(calls: F) -> Together<F> {
    after(Duration::ZERO, calls)
}

/// The same, with so much of the deadline used.
pub(super) fn after<F: Future>(spent: Duration, calls: F) -> Together<F> {
    let wait = Wait {
        since: Arrival::ago(spent),
        uncounted: Duration::ZERO,
    };
    Together {
        wait: Some(wait),
        calls,
    }
}

/// Calls that each have a deadline of their own, also amid those of a commit.
pub(crate) fn apart<F: Future>(calls: F) -> Together<F> {
    Together { wait: None, calls }
}

/// Work of the app amid the calls of a commit. The time that it takes is not theirs, and its own calls are none of them.
pub(crate) async fn uncounted<F: Future>(work: F) -> F::Output {
    let began = Arrival::now();
    let done = apart(work).await;
    WAIT.set(WAIT.get().map(|wait| Wait {
        uncounted: wait.uncounted.saturating_add(began.age()),
        ..wait
    }));
    done
}

/// How much of their deadline the calls that are being polled have used.
pub(super) fn spent() -> Duration {
    WAIT.get().map_or(Duration::ZERO, Wait::spent)
}

/// How much is left of a deadline for the call that is being polled.
pub(super) fn left(deadline: Duration) -> Duration {
    deadline.saturating_sub(spent())
}

/// Whether earlier calls of the commit have used all of this deadline. Then the next one is not sent.
#[cfg(feature = "postgres")]
pub(super) fn is_over(deadline: Duration) -> bool {
    WAIT.get().is_some_and(|wait| wait.spent() >= deadline)
}

pin_project! {
    /// See [`together`] and [`apart`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub(crate) struct Together<F> {
        wait: Option<Wait>,
        #[pin]
        calls: F,
    }
}

impl<F: Future> Future for Together<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        /// Restores what was before, also after a panic.
        struct Before(Option<Wait>);

        impl Drop for Before {
            fn drop(&mut self) {
                WAIT.set(self.0);
            }
        }

        let this = self.project();
        let _before = Before(WAIT.replace(*this.wait));
        let polled = this.calls.poll(cx);
        // What is not counted was noted there.
        *this.wait = WAIT.get();
        polled
    }
}

#[cfg(test)]
mod tests {
    use tokio_test::{assert_pending, assert_ready, task};

    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    #[test]
    fn calls_of_a_commit_have_one_beginning_and_others_have_none() {
        let calls = async {
            let first = spent();
            tokio::task::yield_now().await;
            (first, spent())
        };

        let (first, second) = tokio_test::block_on(after(HOUR, calls));

        assert!(HOUR <= first && first <= second, "{first:?} {second:?}");
        assert_eq!(spent(), Duration::ZERO);
        #[cfg(feature = "postgres")]
        assert!(!is_over(Duration::ZERO), "no commit is being polled");
    }

    #[test]
    fn between_two_polls_of_a_commit_other_calls_are_not_its_own() {
        let mut commit = task::spawn(after(HOUR, async {
            tokio::task::yield_now().await;
            spent()
        }));
        assert_pending!(commit.poll());

        assert_eq!(spent(), Duration::ZERO);
        assert!(assert_ready!(commit.poll()) >= HOUR);
    }

    #[test]
    fn a_call_that_is_set_apart_has_no_part_in_the_deadline() {
        let calls = async { (apart(async { spent() }).await, spent()) };

        let (apart, again) = tokio_test::block_on(after(HOUR, calls));

        assert_eq!(apart, Duration::ZERO);
        assert!(again >= HOUR);
    }

    #[test]
    fn time_that_the_app_takes_amid_a_commit_is_not_counted() {
        let began = Arrival::now();
        let calls = async {
            let took = uncounted(async {
                let began = Arrival::now();
                while began.age() < Duration::from_millis(2) {
                    tokio::task::yield_now().await;
                }
                (began.age(), spent())
            });
            (took.await, spent())
        };

        let ((took, of_its_own), spent) = tokio_test::block_on(after(HOUR, calls));

        assert_eq!(of_its_own, Duration::ZERO, "its calls are none of them");

        let beside = began.age() - took;
        assert!(HOUR <= spent && spent <= HOUR + beside, "{spent:?}");
    }

    #[test]
    fn a_panic_leaves_nothing_behind() {
        let panics = || tokio_test::block_on(after(HOUR, async { panic!("of a handler") }));

        std::panic::catch_unwind(panics).unwrap_err();

        assert_eq!(spent(), Duration::ZERO);
    }
}
