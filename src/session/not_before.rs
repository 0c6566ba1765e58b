//! The moment of [`SessionLayer::not_before`](crate::SessionLayer::not_before).

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use super::{Session, error::CommitError};
use crate::{
    model::{Timestamp, Token},
    store::Look,
};

/// The store's time was not asked for yet.
const UNKNOWN: i64 = i64::MAX;

/// A moment of the app's configuration. It may lie in the future.
///
/// A session that began at such a moment would be fresh until then, and its cookie would be over at once. So the moment is at
/// most the store's time before the first session that this process makes.
#[derive(Clone, Debug)]
pub(crate) struct NotBefore {
    moment: Option<Timestamp>,
    /// In ms. Clones of the layer share it.
    at_most: Arc<AtomicI64>,
}

impl NotBefore {
    pub(crate) fn new(moment: Option<Timestamp>) -> Self {
        Self {
            moment,
            at_most: Arc::new(AtomicI64::new(UNKNOWN)),
        }
    }

    #[inline]
    pub(crate) fn get(&self) -> Option<Timestamp> {
        let moment = self.moment?;
        Some(moment.min(Timestamp::from_millis(self.at_most.load(Ordering::Relaxed))))
    }

    fn is_bounded(&self) -> bool {
        self.moment.is_none() || self.at_most.load(Ordering::Relaxed) != UNKNOWN
    }

    fn bound(&self, now: Timestamp) {
        let now = now.as_millis();
        let first =
            (self.at_most).compare_exchange(UNKNOWN, now, Ordering::Relaxed, Ordering::Relaxed);
        if let (Ok(_), Some(moment)) = (first, self.moment)
            && now < moment.as_millis()
        {
            tracing::error!(
                %moment,
                "`SessionLayer::not_before` is in the future by the store's clock: it counts as now; give a moment of the \
                 past"
            );
        }
    }
}

impl Session {
    /// Asks the store for its time before this process makes its first session, if the layer has such a moment.
    pub(super) async fn bound_not_before(&self, token: &Token) -> Result<(), CommitError> {
        let rules = &self.0.rules;
        if !rules.not_before.is_bounded() {
            let look = Look::new(token.tag(), [token.session_id()]);
            rules.not_before.bound(rules.store.look(look).await?.now);
        }
        Ok(())
    }
}
