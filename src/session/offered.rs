//! When bearer clients were last offered the successor of their token.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::model::{SessionId, Timestamp};

/// How long a client that does not take its new token is left alone.
const PAUSE: Duration = Duration::from_secs(30);

/// How many sessions are remembered at most.
const MAX: usize = 4_096;

/// A client that never takes its new token would cost a second round trip on every request.
#[derive(Default)]
pub(crate) struct Offered(Mutex<HashMap<SessionId, Timestamp>>);

impl Offered {
    /// Whether the response at `now` offers the successor. The next ones do not, for a while.
    pub(super) fn is_due(&self, id: SessionId, now: Timestamp) -> bool {
        // Every step leaves plain values behind.
        let mut offered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let rests = |last: &Timestamp| *last <= now && now.since(*last) < PAUSE;
        if offered.get(&id).is_some_and(rests) {
            return false;
        }
        if offered.len() >= MAX {
            offered.retain(|_, last| rests(last));
        }
        if offered.len() >= MAX {
            // That costs the store some calls, and no more.
            offered.clear();
        }
        offered.insert(id, now);
        true
    }
}

/// Settings that are copied remember nothing.
impl Clone for Offered {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl fmt::Debug for Offered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Offered(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    #[test]
    fn a_successor_is_offered_once_in_30_seconds() {
        let (offered, id) = (Offered::default(), SessionId::random().unwrap());

        let at = |after: Duration| offered.is_due(id, NOW.plus(after));

        let just_under = PAUSE.checked_sub(Duration::from_millis(1)).unwrap();
        assert_eq!([at(Duration::ZERO), at(just_under)], [true, false]);
        assert_eq!([at(PAUSE), at(PAUSE)], [true, false]);
    }

    #[test]
    fn at_most_4096_sessions_are_remembered() {
        let offered = Offered::default();

        for _ in 0..20_000 {
            offered.is_due(SessionId::random().unwrap(), NOW);
        }

        assert!(offered.0.lock().unwrap().len() <= MAX);
    }
}
