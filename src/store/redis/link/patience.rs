//! The time that a caller has.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::time::Sleep;

use super::{
    Inner,
    call::Call,
    flight::{Flight, Landed},
};
use crate::{
    model::clock::{Monotonic, millis},
    store::together::spent,
};

/// A timer that fires so much too late shows that the process was not running.
const PROLONGED: Duration = Duration::from_millis(50);

pin_project! {
    /// The time that a caller has: one timer, which also finds connections that fell silent.
    pub(in super::super) struct Patience {
        // All of it, with the time that replicas have.
        deadline: Duration,
        // Until then the server may begin with the call.
        runs: Duration,
        // Whether the calls before it in its commit have left less than usual.
        short: bool,
        #[pin]
        sleep: Sleep,
        // What is left after a quarter of the time.
        left: Duration,
        began: i64,
        // Whether a quarter of the time has passed.
        quarter: bool,
        // Whether the time was prolonged.
        prolonged: bool,
    }
}

enum Tick {
    Quarter,
    Deadline,
}

impl Patience {
    /// The time of a call to a server that has this deadline. The calls of a commit share it.
    pub(in super::super) fn of(call: &Call<'_>, deadline: Duration) -> Self {
        let (began, passed) = match call.began {
            Some(began) => (began, began.elapsed()),
            None => (Monotonic::now(), Duration::ZERO),
        };
        let usual = call.time(deadline);
        let most = match spent() {
            Duration::ZERO => usual,
            // Less one ms, because `given_up` is in whole ones.
            spent => (deadline.saturating_add(call.within).saturating_add(passed))
                .saturating_sub(spent + Duration::from_millis(1)),
        };
        let deadline = deadline.min(most);
        let all = usual.min(most);
        let left = all.saturating_sub(passed);
        let quarter = (usual / 4).saturating_sub(passed).min(left);
        Self {
            deadline: all,
            runs: deadline,
            short: all < usual,
            sleep: tokio::time::sleep(quarter),
            left: left - quarter,
            began: began.as_millis(),
            // In less time than that no connection shows that it is silent.
            quarter: all < usual && quarter == left,
            prolonged: false,
        }
    }

    /// Whether nothing is left of the deadline that the calls of its commit share.
    pub(in super::super) fn is_over(&self) -> bool {
        self.short
            && Monotonic::now().as_millis() >= self.began.saturating_add(millis(self.deadline))
    }

    /// Whether it is less than usual. Then it proves nothing that no reply came.
    pub(in super::super) fn is_short(&self) -> bool {
        self.short
    }

    /// When the call began, in ms.
    pub(in super::super) fn began(&self) -> i64 {
        self.began
    }

    /// When nobody waits any more, in ms.
    pub(super) fn given_up(&self) -> i64 {
        self.began.saturating_add(millis(self.runs))
    }

    /// How long replicas have after that.
    pub(super) fn confirms(&self) -> Duration {
        self.deadline.saturating_sub(self.runs)
    }

    /// Waits until the deadline; `None` once that has passed.
    pub(in super::super) async fn bear<T>(
        mut self: Pin<&mut Self>,
        future: impl Future<Output = T>,
    ) -> Option<T> {
        let mut future = pin!(future);
        poll_fn(|cx| {
            loop {
                if let Poll::Ready(done) = future.as_mut().poll(cx) {
                    return Poll::Ready(Some(done));
                }
                if let Tick::Deadline = ready!(self.as_mut().poll_tick(cx)) {
                    return Poll::Ready(None);
                }
            }
        })
        .await
    }

    /// Waits for a call. After a quarter of the time it looks whether anything comes on its connection.
    pub(super) async fn watch(
        mut self: Pin<&mut Self>,
        flight: &mut Flight,
        link: &Arc<Inner>,
    ) -> Option<Landed> {
        let mut flight = Pin::new(flight);
        poll_fn(|cx| {
            loop {
                if let Poll::Ready(landed) = flight.as_mut().poll(cx) {
                    return Poll::Ready(Some(landed));
                }
                match ready!(self.as_mut().poll_tick(cx)) {
                    Tick::Quarter => link.overdue(flight.connection(), self.began),
                    Tick::Deadline => return Poll::Ready(None),
                }
            }
        })
        .await
    }

    fn poll_tick(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Tick> {
        let mut this = self.project();
        ready!(this.sleep.as_mut().poll(cx));
        if *this.quarter {
            let took = Monotonic::now().as_millis().saturating_sub(*this.began);
            let late = took.saturating_sub(millis(*this.deadline)) > millis(PROLONGED);
            if *this.prolonged || !late {
                return Poll::Ready(Tick::Deadline);
            }
            // This process stood still: the reply may be there, and nobody has read it yet.
            *this.prolonged = true;
            let deadline = tokio::time::sleep(PROLONGED).deadline();
            this.sleep.as_mut().reset(deadline);
            ready!(this.sleep.as_mut().poll(cx));
            return Poll::Ready(Tick::Deadline);
        }
        *this.quarter = true;
        if let Some(deadline) = this.sleep.deadline().checked_add(*this.left) {
            this.sleep.reset(deadline);
        }
        Poll::Ready(Tick::Quarter)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Confirm, *};
    use crate::store::{redis::script::source::Script, together::after};

    /// So long that it does not matter how long the test takes.
    const HOUR: Duration = Duration::from_secs(3_600);
    const MINUTE: i64 = 60_000;

    struct Left {
        /// In ms: when the server may begin with the call at the latest.
        runs: i64,
        confirms: Duration,
        is_short: bool,
        is_over: bool,
    }

    /// What is left of a deadline of one hour, after so much of it, to a call for which replicas may have another hour.
    async fn left_after(spent: Duration, is_confirmed: bool) -> Left {
        let script = Script::of(&[]);
        let mut call = Call::new(&script, "key", [0; 8]);
        call.within = HOUR;
        call.confirm = is_confirmed.then_some(Confirm {
            replicas: 1,
            within: HOUR,
        });
        let patience = after(spent, async { Patience::of(&call, HOUR) }).await;
        Left {
            // The call began before this moment: counted from an earlier one, it may have a millisecond more.
            runs: patience.given_up() - Monotonic::now().as_millis(),
            confirms: patience.confirms(),
            is_short: patience.is_short(),
            is_over: patience.is_over(),
        }
    }

    fn is_about(time: i64, expected: Duration) -> bool {
        let expected = millis(expected);
        (expected - MINUTE..=expected).contains(&time)
    }

    #[tokio::test]
    async fn the_first_call_of_a_commit_has_all_of_the_deadline() {
        let left = left_after(Duration::ZERO, false).await;

        assert!(is_about(left.runs, HOUR), "{}", left.runs);
        assert!(!left.is_over);
    }

    #[tokio::test]
    async fn a_later_call_has_what_is_left_and_does_not_run_after_that() {
        let left = left_after(HOUR + HOUR / 2, false).await;

        assert!(is_about(left.runs, HOUR / 2), "{}", left.runs);
        assert!(left.is_short && !left.is_over);
    }

    #[tokio::test]
    async fn replicas_have_what_is_left_when_the_script_has_run() {
        let first = left_after(HOUR / 2, true).await;
        let second = left_after(HOUR + HOUR / 2, true).await;

        assert!(is_about(first.runs, HOUR), "{}", first.runs);
        assert!(is_about(millis(first.confirms), HOUR / 2));
        assert!(is_about(second.runs, HOUR / 2), "{}", second.runs);
        assert_eq!(second.confirms, Duration::ZERO);
    }

    #[tokio::test]
    async fn once_the_deadline_is_used_up_nothing_is_sent() {
        let left = left_after(2 * HOUR, false).await;

        assert!(left.is_over);
    }

    #[tokio::test]
    async fn a_call_of_no_commit_has_all_of_the_deadline_also_if_that_is_endless() {
        let script = Script::of(&[]);
        let call = Call::new(&script, "key", [0; 8]);

        let patience = Patience::of(&call, Duration::MAX);

        assert!(!patience.is_short() && !patience.is_over());
        assert_eq!(patience.given_up(), i64::MAX);
        let endless = async { Patience::of(&call, Duration::MAX).is_over() };
        assert!(!after(HOUR, endless).await);
    }
}
