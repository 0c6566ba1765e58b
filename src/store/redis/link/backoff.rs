//! How long to wait between two attempts to connect.

use std::time::Duration;

use super::outage::Outage;
use crate::store::{
    StoreErrorKind,
    outage::{DENIED, jitter},
};

/// A gap of 100 ms is bridged: so many attempts come so soon after one another.
const SOON: u32 = 6;
pub(super) const STEP: Duration = Duration::from_millis(50);

const LONGEST: Duration = Duration::from_secs(1);

/// The pause after so many attempts that failed.
pub(in super::super) fn pause(failed: u32, outage: &Outage) -> Duration {
    if outage.is_denied() {
        return DENIED;
    }
    if outage.kind == StoreErrorKind::Timeout {
        // The attempt was pause enough. The next one waits where a server that wakes up answers it at once.
        return Duration::ZERO;
    }
    if outage.refuses {
        // The name leads to a replica until it changes: each attempt is a connection that works for nothing.
        return after(failed, 1, LONGEST.saturating_mul(2));
    }
    after(failed, SOON, LONGEST)
}

/// The pause before a connection is opened to a server that broke so many of them, one after the other, as soon as calls
/// were sent.
pub(super) fn broken(times: u32) -> Duration {
    after(times, SOON, LONGEST)
}

fn after(failed: u32, soon: u32, longest: Duration) -> Duration {
    if failed < soon {
        return STEP;
    }
    let doublings = (failed - soon).min(8);
    // Not from 100 ms on: each process of the app would then try a closed port more than ten times in two seconds.
    let pause = Duration::from_millis(250 << doublings).min(longest);
    jitter(pause)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempts_in(time: Duration, outage: &Outage) -> usize {
        let (mut at, mut failed) = (Duration::ZERO, 0);
        while at <= time {
            failed += 1;
            at += pause(failed, outage);
        }
        failed as usize
    }

    #[test]
    fn a_closed_port_is_tried_ten_times_in_two_seconds_at_most_and_a_replica_five_times() {
        let mut closed = Outage::new(StoreErrorKind::Unavailable, "refused");
        let mut replica = closed.clone();
        replica.refuses = true;
        for _ in 0..1_000 {
            assert!(attempts_in(Duration::from_secs(2), &closed) <= 10);
            assert!(attempts_in(Duration::from_secs(2), &replica) <= 5);
        }
        closed.kind = StoreErrorKind::Denied;
        assert_eq!(attempts_in(Duration::from_secs(2), &closed), 1);
    }
}
