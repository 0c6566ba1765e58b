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
use crate::model::clock::{Monotonic, millis};

/// A timer that fires so much too late shows that the process was not running.
const PROLONGED: Duration = Duration::from_millis(50);

pin_project! {
    /// The time that a caller has: one timer, which also finds connections that fell silent.
    pub(in super::super) struct Patience {
        deadline: Duration,
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
    /// The time of a call to a server that has this deadline.
    pub(in super::super) fn of(call: &Call<'_>, deadline: Duration) -> Self {
        let deadline = call.time(deadline);
        let (began, passed) = match call.began {
            Some(began) => (began, began.elapsed()),
            None => (Monotonic::now(), Duration::ZERO),
        };
        let left = deadline.saturating_sub(passed);
        let quarter = left.saturating_sub(deadline - deadline / 4);
        Self {
            deadline,
            sleep: tokio::time::sleep(quarter),
            left: left - quarter,
            began: began.as_millis(),
            quarter: false,
            prolonged: false,
        }
    }

    /// When the call began, in ms.
    pub(in super::super) fn began(&self) -> i64 {
        self.began
    }

    /// When nobody waits any more, in ms.
    pub(super) fn given_up(&self) -> i64 {
        self.began.saturating_add(millis(self.deadline))
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
