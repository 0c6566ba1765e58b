//! The settings of a `SetStore`.

use std::time::Duration;

use super::{Confirms, SetStorage, SetStore};
use crate::{model::Lifetime, store::NOTICE_KEPT};

/// The settings of a [`SetStore`].
#[derive(Clone, Debug)]
#[must_use]
pub struct SetStoreBuilder<S> {
    pub(super) storage: S,
    pub(super) notice_kept: Duration,
    pub(super) activity_every: Duration,
    pub(super) patience: Duration,
    pub(super) confirms: Option<Confirms<S>>,
    pub(super) shares: Option<Duration>,
}

impl<S: SetStorage> SetStoreBuilder<S> {
    pub(super) fn new(storage: S) -> Self {
        Self {
            storage,
            notice_kept: NOTICE_KEPT,
            activity_every: Duration::from_secs(1),
            patience: Duration::from_secs(5),
            confirms: None,
            shares: None,
        }
    }

    /// How long an end notice is kept.
    ///
    /// A request with the token of an ended session gets the reason during this time: 400 days at most. Defaults to 1
    /// hour.
    pub fn notice_kept(mut self, kept: Duration) -> Self {
        self.notice_kept = kept.min(Lifetime::MAX);
        self
    }

    /// Writes the activity of a session at most once in this time.
    ///
    /// The layer's `activity_every` counts if that is longer. The activity of the last request may not be stored. So a
    /// session can expire too early by this time, at most by a seventeenth of its idle time. It is more only if other
    /// writes of the user win three times in a row; the next request puts that right. Zero writes each activity. A longer
    /// step saves writes: a session in use costs one in each step.
    ///
    /// Defaults to 1 s.
    pub fn activity_every(mut self, step: Duration) -> Self {
        self.activity_every = step;
        self
    }

    /// How long an operation tries again, after another process won or the storage failed.
    ///
    /// If others win all the time, it is [`Busy`](super::super::StoreErrorKind::Busy) then. A write that failed is tried three
    /// times in all, and an end twelve times. A read that failed is tried again only for an end, or if a write before it may
    /// have taken effect. It does not interrupt a call of the storage that takes longer.
    ///
    /// An operation that waits for its turn for longer than this is `Busy` when its turn comes. That is after one more call or two of
    /// the storage, if no more urgent ones come meanwhile. An end is tried then, too, unless the storage failed in the
    /// turn before.
    ///
    /// It also bounds sign-ins: the storage gets no write of a sign-in that began longer ago. With zero each sign-in is a
    /// [`Timeout`](super::super::StoreErrorKind::Timeout). Defaults to 5 s.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// What an end or a sign-in finds done is answered only after this.
    #[cfg(feature = "postgres")]
    pub(crate) fn confirms(mut self, confirms: Confirms<S>) -> Self {
        self.confirms = Some(confirms);
        self
    }

    /// The operations of a commit share this deadline. The owner gives an operation up then. The patience is half of what
    /// is left of it.
    #[cfg(feature = "postgres")]
    pub(crate) fn shares(mut self, deadline: Duration) -> Self {
        self.shares = Some(deadline);
        self
    }

    /// Makes the store.
    #[must_use]
    pub fn build(self) -> SetStore<S> {
        SetStore::from_builder(self)
    }
}
