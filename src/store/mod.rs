#![doc = include_str!("overview.md")]

use std::future::{self, Future};

pub(crate) mod boxed;
#[cfg(all(debug_assertions, not(test)))]
mod compiled;
mod due;
mod error;
pub(crate) mod feed;
#[cfg(feature = "file")]
mod file;
mod genuine;
mod horizon;
mod identity;
mod kept;
pub(crate) mod known;
pub(crate) mod memory;
#[cfg(feature = "metrics")]
pub(crate) mod meter;
#[cfg(not(feature = "metrics"))]
#[path = "no_meter.rs"]
pub(crate) mod meter;
#[cfg(feature = "live")]
mod near;
mod op;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod outage;
#[cfg(feature = "test")]
pub(crate) mod outage_store;
mod parts;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
pub(crate) mod redis;
mod session_set;
mod set;
mod shared;
pub(crate) mod together;
#[cfg(any(feature = "live", feature = "postgres", feature = "redis"))]
pub(crate) mod worker;

#[cfg(feature = "postgres")]
pub(crate) use self::error::Lacks;
pub(crate) use self::error::in_full;
#[cfg(any(feature = "file", feature = "postgres", feature = "redis"))]
pub(crate) use self::op::nonce;

#[cfg(feature = "conformance")]
pub mod conformance;

#[cfg(feature = "live")]
pub(crate) use self::feed::FeedMark;
#[cfg(feature = "file")]
pub use self::file::{FileStore, FileStoreBuilder, FileStoreError, FileStoreErrorKind};
#[cfg(feature = "live")]
pub(crate) use self::near::near_was_made;
#[cfg(feature = "live")]
pub use self::near::{Near, NearBuilder};
#[cfg(feature = "postgres")]
pub use self::postgres::{PostgresStore, PostgresStoreBuilder};
#[cfg(feature = "redis")]
pub use self::redis::{
    IntoRedisSource, RedisCheck, RedisFinding, RedisLive, RedisSource, RedisStore,
    RedisStoreBuilder, RedisUrlError,
};
pub use self::{
    error::{StoreError, StoreErrorKind},
    feed::{Feed, FeedInterest, FeedMessage, FeedNews, FeedReader, FeedSource, FeedState},
    horizon::Horizon,
    kept::{
        CUTOFF_AHEAD, CUTOFF_KEPT, DEVICES_MAX, MARKERS_MAX, MARKS_MAX, NOTICE_KEPT, NOTICES_MAX,
        TICKET_KEPT, TICKETS_MAX, TOMBSTONE_KEPT,
    },
    memory::{MemoryStore, MemoryStoreBuilder},
    op::{
        Authenticated, Create, Created, Deadlines, End, EndEveryone, Ended, Forget, Found, List,
        Look, Looked, NewSession, NoteClient, Offer, Presence, Redeem, Renewal, Resolve, Resolved,
        Reused, Rotate, Rotated, Save, Saved, Scan, Scanned, SeenDevice, Ticketed, Touch,
        UNCOUNTED_MAX, Which,
    },
    session_set::SessionSet,
    set::{
        Row, SetStorage, SetStore, SetStoreBuilder, Stored, Urgency, Version, Write, WriteKind,
        Written,
    },
    shared::SharedStore,
};
#[cfg(doc)]
use crate::model::EndReason;
pub use crate::model::{
    Arrival, Change, Changes, Clock, Data, Digest, EndNotice, LastSeen, ManualClock,
    ParseDataError, ParseSessionIdError, ParseTokenError, ParseUserIdError, Previous, RandomError,
    Realm, Record, RecordError, Rotation, Salt, Tag, TagKey, TagKeyError, Timestamp, Token,
};
use crate::model::{SessionId, UserId};

/// Keeps sessions between requests.
///
/// Most apps take a store of [this crate](crate::store). An app that chooses one at run time takes a [`SharedStore`], because
/// a `Box<dyn SessionStore>` is not possible. For another database implement [`SetStorage`], which has two
/// methods. Implement this trait only if that does not fit. Write the methods as `async fn`. Then run the
/// `conformance` suite (a feature), which tests the contract below.
///
/// A store keeps one *session set* for each user, and one for each guest session. A [`Tag`] names it. It
/// contains the live sessions, the end notices, the cutoff, the tickets, the known devices, and until
/// when the user is disabled.
///
#[doc = include_str!("contract.md")]
pub trait SessionStore: Send + Sync + 'static {
    /// Verifies the token, records the activity and reads the session, in one step.
    ///
    /// The layer calls it for each request that sends a token.
    ///
    /// # Errors
    ///
    /// If the store cannot answer. An unknown session is no error but [`Resolved::Unknown`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the activity is recorded or it is not.
    fn resolve(
        &self,
        resolve: &Resolve,
    ) -> impl Future<Output = Result<Resolved, StoreError>> + Send;

    /// Makes a session and enforces the user's limit, in one step.
    ///
    /// # Errors
    ///
    /// If the store cannot answer. Then the session may exist or not. Call it again with the same id and
    /// digest, or give the session up with [`end_undelivered`](Self::end_undelivered).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, all of it happens or nothing, as after an error.
    fn create(&self, create: &Create) -> impl Future<Output = Result<Created, StoreError>> + Send;

    /// Returns the terms of a ticket that works: the [`Offer::terms`] of the refused sign-in. `None` for
    /// anything else.
    ///
    /// The layer calls it before a sign-in by ticket. Anyone can make up a ticket, so a wrong one must cost
    /// one lookup and leave nothing.
    ///
    /// # Errors
    ///
    /// If the store cannot answer.
    ///
    /// # Cancel safety
    ///
    /// It changes nothing.
    fn ticket(
        &self,
        tag: Tag,
        ticket: &Ticketed,
    ) -> impl Future<Output = Result<Option<Vec<u8>>, StoreError>> + Send;

    /// Changes the data of a live session.
    ///
    /// # Errors
    ///
    /// If the store cannot answer. The kind is [`StoreErrorKind::Uncertain`] if a write with `expect` may
    /// have happened or not.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, all changes are stored or none.
    fn save(&self, save: &Save) -> impl Future<Output = Result<Saved, StoreError>> + Send;

    /// Gives a live session a new token.
    ///
    /// # Errors
    ///
    /// If the store cannot answer. Calling it again with the same digests does no harm.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the session has the new token or the one before.
    fn rotate(&self, rotate: &Rotate) -> impl Future<Output = Result<Rotated, StoreError>> + Send;

    /// Returns the live sessions of one session set, in no particular order.
    ///
    /// # Errors
    ///
    /// If the store cannot answer.
    ///
    /// # Cancel safety
    ///
    /// It changes nothing that is live, so the future may be dropped at any time.
    fn list(&self, list: &List) -> impl Future<Output = Result<Vec<Record>, StoreError>> + Send;

    /// Ends sessions of one session set.
    ///
    /// # Errors
    ///
    /// If the store cannot answer. Calling it again does no harm.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, all of these sessions end or none.
    fn end(&self, end: &End) -> impl Future<Output = Result<Ended, StoreError>> + Send;

    /// Closes an end notice: the user has read why the session ended.
    ///
    /// # Errors
    ///
    /// If the store cannot answer. Calling it again does no harm.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the notice is closed or it is not.
    fn forget(&self, forget: &Forget) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Notes the client of a request that came from another address or agent than the one before. Returns
    /// whether it did.
    ///
    /// The layer calls it mostly once a minute at most for each session, also if a second client gets a new token. If it
    /// returns `true`, the layer raises the event [`ClientChanged`](crate::events::EventKind::ClientChanged) or
    /// [`TokenShared`](crate::events::EventKind::TokenShared), unless it did that for this client within the last hour.
    ///
    /// # Errors
    ///
    /// If the store cannot answer. The request goes on, and a later one tries again.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the client is noted or it is not.
    fn note_client(
        &self,
        note: &NoteClient,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Returns what these sessions are: live with their deadlines, ended with the notice, or unknown.
    ///
    /// Streams that stay open ask it, so that they end with their session. A token has no part in it.
    ///
    /// # Errors
    ///
    /// If the store cannot answer.
    ///
    /// # Cancel safety
    ///
    /// It changes nothing.
    fn look(&self, look: &Look) -> impl Future<Output = Result<Looked, StoreError>> + Send;

    /// Records activity that happened a short time ago, without a token.
    ///
    /// The near cache calls it after requests that it answered itself. A session that is not live is no error.
    ///
    /// # Errors
    ///
    /// If the store cannot answer. Calling it again does no harm.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the activity is recorded or it is not.
    fn touch(&self, touch: &Touch) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// What this process knows of the moment before which the sessions of all users ended.
    ///
    /// A store that has `everyone` and `end_everyone` keeps one [`Horizon`] for all its clones. Then the layer reads the
    /// moment every few seconds, and passes it on as the `not_before` of each call. Defaults to `None`: this store cannot
    /// end the sessions of all users, and requests pay nothing for it.
    fn horizon(&self) -> Option<&Horizon> {
        None
    }

    /// Returns the moment before which the sessions of all users ended; `None` if they never did.
    ///
    /// If the caller `knows` a later moment than the store has, the store has lost it, for example in a failover. It keeps
    /// that one from then on, and returns it. If the latest moment is in the future, it keeps what
    /// [`EndEveryone::kept`] makes of it, and returns that.
    ///
    /// # Errors
    ///
    /// If the store cannot answer. Defaults to [`StoreErrorKind::Unsupported`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the store has the moment that the caller knows, or not.
    fn everyone(
        &self,
        knows: Option<Timestamp>,
    ) -> impl Future<Output = Result<Option<Timestamp>, StoreError>> + Send {
        let _ = knows;
        future::ready(Err(StoreError::new(StoreErrorKind::Unsupported)))
    }

    /// Ends the sessions of all users, and returns the moment before which they ended.
    ///
    /// # Errors
    ///
    /// If the store cannot answer: then they may have ended or not. Call it again. Defaults to
    /// [`StoreErrorKind::Unsupported`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, they may have ended or not. Calling it again does no harm.
    fn end_everyone(
        &self,
        end: EndEveryone,
    ) -> impl Future<Output = Result<Timestamp, StoreError>> + Send {
        let _ = end;
        future::ready(Err(StoreError::new(StoreErrorKind::Unsupported)))
    }

    /// Reads a part of all session sets. For administrators, not for requests.
    ///
    /// # Errors
    ///
    /// If the store cannot answer. [`StoreErrorKind::Unsupported`], the default, for a cursor that is not its own.
    ///
    /// # Cancel safety
    ///
    /// It changes nothing.
    fn scan(&self, scan: &Scan) -> impl Future<Output = Result<Scanned, StoreError>> + Send {
        let _ = scan;
        future::ready(Err(StoreError::new(StoreErrorKind::Unsupported)))
    }

    /// About how many session sets there are: one for each user and guest session.
    ///
    /// # Errors
    ///
    /// If the store cannot answer. Defaults to [`StoreErrorKind::Unsupported`].
    ///
    /// # Cancel safety
    ///
    /// It changes nothing.
    fn estimate(&self) -> impl Future<Output = Result<u64, StoreError>> + Send {
        future::ready(Err(StoreError::new(StoreErrorKind::Unsupported)))
    }

    /// What changed in the session sets, as far as the store reports it.
    ///
    /// With it streams end within milliseconds, and a near cache is possible. Defaults to `None`: not reported.
    fn feed(&self) -> Option<Feed> {
        None
    }

    /// The secret key of tags. Defaults to none.
    ///
    /// With a key, a session of a user is unknown if its tag was not made with this key: lists, limits and ends would not
    /// find it.
    fn tag_key(&self) -> Option<&TagKey> {
        None
    }

    /// The tag of a user's session set.
    ///
    /// Defaults to [`Tag::keyed`] with the [key](Self::tag_key), and to [`Tag::of`] without one.
    fn tag(&self, user: &UserId) -> Tag {
        Tag::with(self.tag_key(), user)
    }

    /// A number that only stores with the same sessions share, such as clones.
    ///
    /// The layer warns if two layers without a realm use different cookies on the same sessions. Defaults to
    /// `None`: not known.
    fn identity(&self) -> Option<u64> {
        None
    }

    /// Answers [`resolve`](Self::resolve) without waiting, if the store can.
    ///
    /// `None` makes the caller use `resolve`. A store in memory saves an allocation with it. Defaults to
    /// `None`.
    fn resolve_now(&self, resolve: &Resolve) -> Option<Result<Resolved, StoreError>> {
        let _ = resolve;
        None
    }

    /// Ends a session that was given up, without waiting.
    ///
    /// The layer calls it from `Drop`, when a response was dropped, and for a session that a sign-in replaced if its
    /// [`end`](Self::end) failed twice. A failure is not reported. Defaults to doing nothing; then the session stays until it
    /// expires.
    ///
    /// The session ends whatever its current token is. After a re-authentication that was dropped, its [`rotate`](Self::rotate)
    /// may still run: a session that is live because it has another token now could get the undelivered one later.
    fn end_undelivered(&self, tag: Tag, id: SessionId) {
        let _ = (tag, id);
    }
}
