//! Where sessions live: the contract that every store keeps, and the stores of this crate.
//!
//! Most apps only name a store when they build the layer: [`MemoryStore`], or `RedisStore` with the
//! feature `redis`. To bring a store of your own, implement [`SessionStore`] and run the
//! `conformance` suite (a feature) against it.

use std::{future::Future, time::Duration};

mod error;
pub(crate) mod memory;
#[cfg(feature = "metrics")]
pub(crate) mod meter;
#[cfg(not(feature = "metrics"))]
#[path = "no_meter.rs"]
pub(crate) mod meter;
mod op;
#[cfg(feature = "redis")]
pub(crate) mod redis;
mod shared;

#[cfg(feature = "conformance")]
pub mod conformance;

#[cfg(feature = "redis")]
pub use self::redis::{
    RedisCheck, RedisFinding, RedisSource, RedisStore, RedisStoreBuilder, RedisUrlError,
};
pub use self::{
    error::{StoreError, StoreErrorKind},
    memory::{MemoryStore, MemoryStoreBuilder},
    op::{
        Authenticated, Create, Created, End, Ended, Found, List, NewSession, Redeem, Renewal,
        Resolve, Resolved, Reused, Rotate, Rotated, Save, Saved, SeenDevice, Ticketed,
        UNCOUNTED_MAX, Which,
    },
    shared::SharedStore,
};
pub use crate::model::{
    Arrival, Change, Changes, Clock, Data, Digest, EndNotice, ManualClock, ParseDataError,
    ParseSessionIdError, ParseTokenError, ParseUserIdError, Previous, RandomError, Record,
    RecordError, Rotation, Salt, Tag, Timestamp, Token,
};
use crate::model::{SessionId, UserId};

/// How long a cutoff is kept: longer than any sign-in takes.
pub(crate) const CUTOFF_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// How long an end notice is kept unless the store is told otherwise.
pub(crate) const NOTICE_KEPT: Duration = Duration::from_secs(60 * 60);

/// How long a ticket is good for.
pub(crate) const TICKET_KEPT: Duration = Duration::from_secs(5 * 60);

/// The most tickets of one user.
pub(crate) const TICKETS_MAX: usize = 4;

/// The most devices of one user that are remembered.
pub(crate) const DEVICES_MAX: usize = 32;

/// The most previous sessions of other session sets whose successors are remembered.
pub(crate) const MARKERS_MAX: usize = 8;

/// How long an id that was ended before it was made is remembered.
pub(crate) const TOMBSTONE_KEPT: Duration = Duration::from_secs(60);

/// Keeps sessions between requests.
///
/// Everything about one user (or one guest) is one *session set*, named by a [`Tag`]. Implementors write
/// `async fn`; the layer erases the type once.
///
/// # Contract
///
/// The `conformance` suite tests these number by number.
///
/// 1. `resolve` gives a session only to the holder of its token, and only while it is live: before
///    both of its deadlines, not begun before `not_before`, not ended.
/// 2. `resolve` records the activity when asked to, and never moves it backwards; it prolongs the
///    idle part of the lifetime, never the absolute one.
/// 3. After an evicting `create` at most `limit` counted sessions of the user are live, the new one
///    among them, and at most its class's limit of its class. The least recently active end: first
///    of the class, then of all; ties by creation, then by the id's text.
/// 4. A refusing `create` at the limit changes nothing but that it leaves the ticket that it offers.
///    Expired sessions never count. The ticket works once, for five minutes, in its session set.
/// 5. `create` with `replaces` ends that session first and keeps its data; if that one was replaced
///    before, the session that took its place. An id that is not of the session set is remembered for a
///    minute, so that a second sign-in that names it replaces the first.
/// 6. `create` again with the same id and digest is the same session; after that session ended, it
///    is [`Created::Ended`].
/// 7. A sign-in authenticated at or before the cutoff is [`Created::Void`] and changes nothing. A cutoff
///    in the future is moved to now by the first sign-in that meets it, which is itself void.
/// 8. `save` changes a live session only, and never brings one back. Changes are merged key by key;
///    `expect` makes it depend on the revision; each write counts the revision up.
/// 9. `create` and `save` that would exceed `data_limit` change nothing.
/// 10. `list` is exactly the live sessions of the session set.
/// 11. `end` ends what it names and leaves an end notice, shown only to the holder of the previous
///     token, for a set time; at most as many as the limit of the next `create`, the newest. Ending
///     twice is known as long as the notice is kept. Ending several sets the cutoff.
/// 12. `end` with a `caller` that is not live changes nothing.
/// 13. Ending an id that is not there as undelivered keeps a later `create` of it from running, for a
///     minute, however many sessions end meanwhile.
/// 14. Every method is one atomic step. A dropped future leaves the old state or the new one.
/// 15. The store owns the time: no moment of the caller's clock takes part in any decision.
/// 16. `rotate` changes the token and nothing else that is listed. A derived successor leaves the
///     previous token open until the successor was resolved, and for the grace after that; meanwhile
///     requests with the previous token all come to the same successor. After a proven one previous
///     tokens open nothing. A previous token after its time is [`Resolved::Reused`], and ends the session
///     where it was asked to; any other wrong secret is unknown.
/// 17. A barred user's `create` is [`Created::Disabled`] and changes nothing.
pub trait SessionStore: Send + Sync + 'static {
    /// Verifies the token, records the activity and reads the session, in one step.
    ///
    /// # Errors
    ///
    /// If the store cannot answer, which is never the same as "no such session".
    fn resolve(
        &self,
        resolve: &Resolve,
    ) -> impl Future<Output = Result<Resolved, StoreError>> + Send;

    /// Makes a session and holds its user to the limit, in one step.
    ///
    /// # Errors
    ///
    /// If the store cannot answer. Whether the session was made is not known then: run it again with
    /// the same id and digest, or give it up with [`end_undelivered`](Self::end_undelivered).
    fn create(&self, create: &Create) -> impl Future<Output = Result<Created, StoreError>> + Send;

    /// Changes the data of a live session.
    ///
    /// # Errors
    ///
    /// If the store cannot answer. [`StoreErrorKind::Uncertain`] where a conditional write may or
    /// may not have happened.
    fn save(&self, save: &Save) -> impl Future<Output = Result<Saved, StoreError>> + Send;

    /// Gives a live session another token.
    ///
    /// # Errors
    ///
    /// If the store cannot answer. Asking again with the same digests is harmless.
    fn rotate(&self, rotate: &Rotate) -> impl Future<Output = Result<Rotated, StoreError>> + Send;

    /// The live sessions of one session set, in no particular order.
    ///
    /// # Errors
    ///
    /// If the store cannot answer.
    fn list(&self, list: &List) -> impl Future<Output = Result<Vec<Record>, StoreError>> + Send;

    /// Ends sessions of one session set.
    ///
    /// # Errors
    ///
    /// If the store cannot answer. Ending again is harmless.
    fn end(&self, end: &End) -> impl Future<Output = Result<Ended, StoreError>> + Send;

    /// The session set of a user.
    ///
    /// Defaults to [`Tag::of`]; a store that is given a key answers [`Tag::keyed`].
    fn tag(&self, user: &UserId) -> Tag {
        Tag::of(user)
    }

    /// [`resolve`](Self::resolve), if the answer needs no waiting; `None` sends the caller there.
    ///
    /// Defaults to `None`. A store in this process saves the caller a box with it.
    fn resolve_now(&self, resolve: &Resolve) -> Option<Result<Resolved, StoreError>> {
        let _ = resolve;
        None
    }

    /// Ends a session whose token never reached its client, without waiting: best effort.
    ///
    /// Called from `Drop`. Defaults to nothing: the session then lives unused until it expires.
    fn end_undelivered(&self, tag: Tag, id: SessionId) {
        let _ = (tag, id);
    }
}
