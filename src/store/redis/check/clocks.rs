//! Compares the clocks of the primaries of a Cluster.

use std::time::Duration;

use super::{RedisCheck, RedisFinding, ask::Ask};
use crate::model::clock::{Monotonic, millis};

/// How far the clocks of two primaries may differ: the end of all sessions allows for that.
pub(in super::super) const SKEW: Duration = Duration::from_secs(1);

/// By how much the clock of a server is ahead of the one of this process that does not jump, in ms.
///
/// It is known only as far as the time on the way is: it lies between the two.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ahead {
    least: i64,
    most: i64,
}

impl Ask<'_> {
    /// How far the clock of this server is ahead, if the server says the time.
    pub(super) async fn ahead(&self) -> Option<Ahead> {
        let before = Monotonic::now().as_millis();
        let time = self.time().await?;
        let after = Monotonic::now().as_millis();
        Some(Ahead {
            least: time.saturating_sub(after),
            most: time.saturating_sub(before),
        })
    }
}

/// Finds the primaries whose clocks are ahead of the slowest one by more than they may be.
pub(in super::super) fn compare(checks: &mut [RedisCheck]) {
    let known = checks
        .iter()
        .filter_map(|check| Some((check.ahead?.most, check.server.clone())));
    let Some((slowest, of)) = known.min() else {
        return;
    };
    for check in checks {
        let by = check
            .ahead
            .map_or(0, |ahead| ahead.least.saturating_sub(slowest));
        if by > millis(SKEW) {
            let by = Duration::from_millis(by.unsigned_abs());
            check.find(RedisFinding::ClockAhead { of: of.clone(), by });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The second primary is ahead of the first one by something in between. Returns what is found about each.
    fn found(least: i64, most: i64) -> [Vec<String>; 2] {
        let mut checks =
            [("one", 500, 510), ("two", 510 + least, 500 + most)].map(|(server, least, most)| {
                let mut check = RedisCheck::new(server.to_owned());
                check.ahead = Some(Ahead { least, most });
                check
            });
        compare(&mut checks);
        checks.map(|check| check.findings.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_clock_that_is_ahead_by_more_than_a_second_is_found() {
        let [one, two] = found(1_001, 1_020);

        assert!(one.is_empty());
        assert_eq!(two.len(), 1);
        assert!(two[0].starts_with("the clock is 1.0 s ahead of the one of one: "));
        assert!(found(1_000, 1_020).concat().is_empty());
    }

    #[test]
    fn a_slow_reply_is_no_other_clock() {
        assert!(found(-1_000, 5_000).concat().is_empty());
    }
}
