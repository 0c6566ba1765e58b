//! What the stores of Redis and PostgreSQL share for the time that their server is away.

use std::{error::Error, fmt, sync::Arc, time::Duration};

use crate::model::random;

/// A wrong password is tried again after this, lest the server lock the user out.
pub(super) const DENIED: Duration = Duration::from_secs(5);

/// A cause that several errors have: [`StoreError`](super::StoreError) owns its source.
#[derive(Clone, Debug)]
pub(super) struct SharedCause(Arc<dyn Error + Send + Sync>);

impl SharedCause {
    pub(super) fn new(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(cause.into().into())
    }
}

impl fmt::Display for SharedCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for SharedCause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

/// This long, give or take a half: app nodes that lost a server together come back one by one.
pub(super) fn jitter(pause: Duration) -> Duration {
    // Without a random number all wait for the same time, which is no error.
    let share = random::bytes().map_or(0.5, |bytes| {
        f64::from(u16::from_be_bytes(bytes)) / f64::from(u16::MAX)
    });
    pause.mul_f64(0.5 + share)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::store::{StoreError, StoreErrorKind};

    #[test]
    fn pauses_differ_by_a_half_at_most() {
        let pauses: HashSet<_> = (0..100).map(|_| jitter(Duration::from_secs(2))).collect();

        let (least, most) = (Duration::from_secs(1), Duration::from_secs(3));
        assert!(pauses.iter().all(|it| (least..=most).contains(it)));
        assert!(pauses.len() > 10, "{}", pauses.len());
    }

    #[test]
    fn a_shared_cause_has_the_cause_of_its_own() {
        let cause = StoreError::new(StoreErrorKind::Timeout).with_source("the first");

        let shared = SharedCause::new(cause);

        let source = shared.source().map(ToString::to_string);
        assert_eq!(source.as_deref(), Some("the first"));
    }
}
