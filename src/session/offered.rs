//! When bearer clients were last offered the successor of their token.

use std::time::Duration;

use super::recent::Recent;
use crate::model::{SessionId, Timestamp};

/// How long a client that does not take its new token is left alone.
const PAUSE: Duration = Duration::from_secs(30);

/// A client that never takes its new token would cost a second round trip on every request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Offered(Recent<Timestamp>);

impl Offered {
    /// Whether the response at `now` offers the successor. The next ones do not, for a while.
    pub(super) fn is_due(&self, id: SessionId, now: Timestamp) -> bool {
        let rests = |last: &Timestamp| *last <= now && now.since(*last) < PAUSE;
        self.0.note(id, now, rests)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_successor_is_offered_once_in_30_seconds() {
        const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
        let (offered, id) = (Offered::default(), SessionId::random().unwrap());

        let at = |after: Duration| offered.is_due(id, NOW.plus(after));

        let just_under = PAUSE.checked_sub(Duration::from_millis(1)).unwrap();
        assert_eq!([at(Duration::ZERO), at(just_under)], [true, false]);
        assert_eq!([at(PAUSE), at(PAUSE)], [true, false]);
        // The clock of the store stepped back.
        assert_eq!([at(Duration::ZERO), at(Duration::ZERO)], [true, false]);
    }
}
