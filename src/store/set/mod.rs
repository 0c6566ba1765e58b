//! Session sets in any storage that can write under a condition.

mod attempt;
mod builder;
mod everyone;
mod operations;
mod storage;
mod stored;
mod turns;
mod undelivered;
mod urgency;
mod version;
mod write;

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

#[cfg(feature = "postgres")]
pub(super) use self::urgency::{Rows, Waiting};
pub use self::{
    builder::SetStoreBuilder,
    storage::SetStorage,
    stored::Stored,
    urgency::Urgency,
    version::Version,
    write::{Row, Write, WriteKind, Written},
};
use self::{turns::Turns, undelivered::Undelivered};
use super::{Horizon, StoreError, identity, together::left};
use crate::model::clock::Monotonic;

/// A store of sessions in any storage that can read bytes and write them under a condition.
///
/// Implement [`SetStorage`], two methods, and you have a [`SessionStore`](super::SessionStore). The rules are
/// those of [`SessionSet`](super::SessionSet), so your code decides nothing about sessions. The guide has an
/// [example of seventy lines](crate::guide::writing_a_store).
///
/// # When others write
///
/// Each operation reads the session set, applies the rules, and writes the set if it still has the same version.
///
/// | operation | if another write was faster |
/// |---|---|
/// | activity | is not written. If the stored one is older than a seventeenth of the idle time, it is tried twice again |
/// | a sign-in, a sign-out, new data, a new token | is tried again, in turn with others of the same user in this process |
///
/// Ends have their turn first, and sign-ins after them. At most 1,000 operations wait for their turn on one session set, in
/// each process. One more is [`Busy`](super::StoreErrorKind::Busy) at once. But an end takes the place of a less urgent
/// operation, the last that came, which is then `Busy` instead. Only if all 1,000 are ends, the next end is `Busy` too. A
/// sign-in takes the place of a request or of new data in the same way.
///
/// After an error of the storage that leaves open whether a write ran, the store reads the set to find out.
/// An end is repeated until it is known to have run, within the [patience](SetStoreBuilder::patience). A `save` under a
/// condition whose outcome cannot be known is [`Uncertain`](super::StoreErrorKind::Uncertain).
///
/// # Sign-ins that were given up
///
/// A sign-in whose response was never sent must end. Spawn [`run`](Self::run) for that, or each operation ends
/// one of them. Call [`drain`](Self::drain) at shutdown.
///
/// Clones share everything.
pub struct SetStore<S>(Arc<Inner<S>>);

/// Waits until no failover can undo what a read of the storage returned.
pub(crate) type Confirms<S> =
    for<'a> fn(&'a S, Urgency) -> Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send + 'a>>;

struct Inner<S> {
    storage: S,
    identity: u64,
    notice_kept: Duration,
    activity_every: Duration,
    patience: Duration,
    confirms: Option<Confirms<S>>,
    /// The deadline that the operations of a commit share, if the owner has one. Then it replaces the patience.
    shares: Option<Duration>,
    horizon: Horizon,
    turns: Turns,
    undelivered: Undelivered,
}

impl<S: SetStorage> SetStore<S> {
    /// A store in this storage.
    #[must_use]
    pub fn new(storage: S) -> Self {
        Self::builder(storage).build()
    }

    /// As [`new`](Self::new), with settings.
    pub fn builder(storage: S) -> SetStoreBuilder<S> {
        SetStoreBuilder::new(storage)
    }

    fn from_builder(builder: SetStoreBuilder<S>) -> Self {
        let SetStoreBuilder {
            storage,
            notice_kept,
            activity_every,
            patience,
            confirms,
            shares,
        } = builder;
        Self(Arc::new(Inner {
            identity: storage.identity().unwrap_or_else(identity::next),
            storage,
            notice_kept,
            activity_every,
            patience,
            confirms,
            shares,
            horizon: Horizon::shared(),
            turns: Turns::default(),
            undelivered: Undelivered::default(),
        }))
    }

    /// The storage.
    #[must_use]
    pub fn storage(&self) -> &S {
        &self.0.storage
    }

    /// Ends sign-ins that were given up. It never returns: spawn it on your runtime. If the storage fails, it goes on once
    /// an operation was answered.
    ///
    /// ```no_run
    /// # use tower_user_sessions::store::{SetStorage, SetStore};
    /// # async fn spawn(store: SetStore<impl SetStorage>) {
    /// let ends = store.clone();
    /// tokio::spawn(async move { ends.run().await });
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// What was not ended is ended by other operations if this is dropped.
    pub async fn run(&self) {
        let worker = self.0.undelivered.worker();
        loop {
            self.end_waiting(|| true).await;
            worker.work().await;
        }
    }

    /// Ends all sessions that were given up, unless this time is over before or the storage fails. Returns how many are left.
    ///
    /// A sign-in is given up if its response was not delivered, for example because it answered 503. So is a session that a
    /// sign-in replaced, if the store could not end it at once. Call this at shutdown, after the last request. First stop the
    /// task of [`run`](Self::run): one that it is ending at this moment is counted as left.
    ///
    /// No end begins after this time. The last one may take longer, by the [patience](SetStoreBuilder::patience) and two
    /// calls of the storage at most: this type has no timer. It does not try again after an error. The sessions that are left
    /// stay until they expire.
    ///
    /// # Cancel safety
    ///
    /// What was not ended waits again if this is dropped.
    pub async fn drain(&self, within: Duration) -> usize {
        let began = Monotonic::now();
        self.end_waiting(|| began.elapsed() < within).await
    }

    /// Ends sign-ins that were given up while `goes_on` says so, until the storage fails. Returns how many are left.
    async fn end_waiting(&self, goes_on: impl Fn() -> bool) -> usize {
        while goes_on()
            && let Some(next) = self.0.undelivered.take()
        {
            if !self.end_taken(next).await {
                break;
            }
        }
        self.0.undelivered.count()
    }

    /// Ends the next one of those that were given up. Returns whether there was one and it has ended.
    #[cfg(feature = "postgres")]
    pub(crate) async fn end_one(&self) -> bool {
        match self.0.undelivered.take() {
            Some(next) => self.end_taken(next).await,
            None => false,
        }
    }

    /// How long an operation is tried again. A sign-in must not be written after its caller has given it up.
    fn patience(&self) -> Duration {
        match self.0.shares {
            Some(deadline) => left(deadline) / 2,
            None => self.0.patience,
        }
    }

    /// Waits until no failover can undo what was found done, if the storage can do that.
    ///
    /// A write that was not acknowledged may have been done by one server alone. A repetition finds it and writes nothing.
    async fn confirm(&self, urgency: Urgency) -> Result<(), StoreError> {
        match self.0.confirms {
            Some(confirms) => confirms(&self.0.storage, urgency).await,
            None => Ok(()),
        }
    }

    /// Its owner has a task that ends sign-ins which were given up, so no operation does.
    #[cfg(feature = "postgres")]
    pub(crate) fn has_own_task(&self) {
        self.0.undelivered.has_worker();
    }

    /// The task that had taken some of them does not run any more.
    #[cfg(feature = "postgres")]
    pub(crate) fn recover_given_up(&self) {
        self.0.undelivered.recover();
    }

    /// How many sign-ins were given up and have not ended.
    #[cfg(feature = "postgres")]
    pub(crate) fn given_up(&self) -> usize {
        self.0.undelivered.count()
    }

    /// How many sign-ins were given up so far, also those that have ended.
    #[cfg(feature = "postgres")]
    pub(crate) fn given_up_so_far(&self) -> usize {
        self.0.undelivered.added()
    }
}

impl<S> Clone for SetStore<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: fmt::Debug> fmt::Debug for SetStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetStore")
            .field("storage", &self.0.storage)
            .field("notice_kept", &self.0.notice_kept)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, feature = "postgres"))]
mod tests;
