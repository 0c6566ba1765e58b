//! Since when a link is down, and why.

use super::super::outage::Outage;

#[derive(Debug)]
pub(super) struct Down {
    pub(super) since: i64,
    /// Since when callers wait for it to pass.
    pub(super) waited: i64,
    pub(super) outage: Option<Outage>,
    /// Whether nothing was tried since it was forgiven.
    pub(super) forgiven: bool,
}

impl Down {
    pub(super) fn new(since: i64, outage: Option<Outage>) -> Self {
        Self {
            since,
            waited: since,
            outage,
            forgiven: false,
        }
    }

    /// For how long callers have met an error.
    pub(super) fn lasted(&self, now: i64) -> Option<i64> {
        self.outage
            .is_some()
            .then(|| now.saturating_sub(self.since))
    }
}
