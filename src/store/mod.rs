//! Where sessions are stored.
//!
//! Most apps choose one when they build the layer: [`MemoryStore`] for one process, or `RedisStore`
//! (feature `redis`) for several servers. To use another backend, implement [`SessionStore`] and run
//! the `conformance` suite (a feature) on your store.

use std::{future::Future, time::Duration};

mod error;
pub(crate) mod feed;
mod genuine;
mod identity;
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

#[cfg(feature = "redis")]
pub(crate) use self::op::nonce;

#[cfg(feature = "conformance")]
pub mod conformance;

#[cfg(feature = "redis")]
pub use self::redis::{
    IntoRedisSource, RedisCheck, RedisFinding, RedisLive, RedisSource, RedisStore,
    RedisStoreBuilder, RedisUrlError,
};
pub use self::{
    error::{StoreError, StoreErrorKind},
    feed::{
        Feed, FeedMessage, FeedNews, FeedReader, FeedSource, FeedState, Interest as FeedInterest,
    },
    memory::{MemoryStore, MemoryStoreBuilder},
    op::{
        Authenticated, Create, Created, Deadlines, End, Ended, Forget, Found, List, Look, Looked,
        NewSession, NoteClient, Offer, Presence, Redeem, Renewal, Resolve, Resolved, Reused,
        Rotate, Rotated, Save, Saved, SeenDevice, Ticketed, Touch, UNCOUNTED_MAX, Which,
    },
    shared::SharedStore,
};
pub use crate::model::{
    Arrival, Change, Changes, Clock, Data, Digest, EndNotice, LastSeen, ManualClock,
    ParseDataError, ParseSessionIdError, ParseTokenError, ParseUserIdError, Previous, RandomError,
    Realm, Record, RecordError, Rotation, Salt, Tag, TagKey, TagKeyError, Timestamp, Token,
};
use crate::model::{SessionId, UserId};

/// How long a cutoff is kept. A sign-in that takes as long is rejected.
pub(crate) const CUTOFF_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// A cutoff that is further in the future is moved to now: the clock stepped back. Cutoffs in one millisecond
/// are each a millisecond later than the one before, so a cutoff may be ahead of the clock a little.
pub(crate) const CUTOFF_AHEAD: Duration = Duration::from_millis(100);

/// How long an end notice is kept by default.
pub(crate) const NOTICE_KEPT: Duration = Duration::from_secs(60 * 60);

/// How long a ticket works.
pub(crate) const TICKET_KEPT: Duration = Duration::from_secs(5 * 60);

/// The most tickets of one user.
pub(crate) const TICKETS_MAX: usize = 4;

/// The most remembered devices of one user.
pub(crate) const DEVICES_MAX: usize = 32;

/// The most end notices of one user after a sign-in.
pub(crate) const NOTICES_MAX: usize = 64;

/// The most remembered sessions of other session sets that were replaced by one of this set.
pub(crate) const MARKERS_MAX: usize = 8;

/// How long the id of a session that ended before its `create` ran is remembered.
pub(crate) const TOMBSTONE_KEPT: Duration = Duration::from_secs(60);

/// Keeps sessions between requests.
///
/// Use [`MemoryStore`] or `RedisStore`; implement this trait only for another backend. Write the methods
/// as `async fn`. Then run the `conformance` suite (a feature), which tests the contract below.
///
/// A store keeps one *session set* for each user, and one for each guest session. A [`Tag`] names it. It
/// contains the live sessions, the end notices, the cutoff, the tickets, the known devices, and until
/// when the user is disabled.
///
/// # Contract
///
/// Each number has a test of this number in the suite.
///
/// 1. `resolve` returns a session only for its own token, and only while the session is live. A session
///    is live until one of its two deadlines passes or it ends. A session that began before `not_before`
///    is not live. A user's session that expired may stay for a while, see [`Resolved::Expired`].
/// 2. `resolve` records the activity if the request counts as activity. The last activity never moves
///    backwards. Activity renews the idle deadline and never the absolute one.
///    - With `activity_step` it is written only if the stored activity is older than that step, see
///      [`Record::activity_is_due`]. Otherwise `resolve` writes nothing, and returns the stored record.
///    - The first request with a token of the session is always written, and its activity too. The same
///      holds for the first request with a new token.
///    - A session is [unused](Record::unused) until the first request with its token, also one that does
///      not count as activity. An unused guest session lives for 15 minutes at most.
///    - All operations take the idle deadline from the stored activity.
/// 3. `create` with a limit that evicts leaves at most `limit` counted sessions of the user live. The new
///    session is one of them. The limit of the new session's class holds too.
///    - First sessions of the class end, then those of all classes.
///    - In each part those end first that have been unused for more than 20 s. Then come unused ones of the
///      same address and user agent as the new session, then the least recently active ones.
///    - On a tie the session that was created first ends, then the one whose id as text sorts first. That
///      is [`Record::eviction_order`].
/// 4. `create` with a limit that refuses changes no session when the limit is reached.
///    - Expired sessions do not count. Sessions that have been unused for more than 20 s do not count
///      either: as many of them end as is necessary.
///    - The store keeps the ticket that the refused `create` offers. A ticket works once, for five
///      minutes, and only in its session set. Four tickets are kept, the newest.
///    - `ticket` returns the terms that were offered with a ticket, while the ticket works. It changes
///      nothing, and neither does `create` with a ticket that does not work.
/// 5. `create` with `replaces` first ends that session, and the new session gets its data.
///    - If that session was replaced before, the session that replaced it ends instead.
///    - If its id is not in this session set, the store remembers the id for a minute. A second sign-in
///      that names it then replaces the first one.
/// 6. `create` with an id and a digest that are live returns that same session, and changes nothing.
///    - Within a minute, and before a request sends the token, the answer has the same `evicted`,
///      `replaced` and `first_sight` as the first one, but at most 64 sessions.
///    - After that session ended, the answer is [`Created::Ended`].
/// 7. `create` for a sign-in authenticated at or before the cutoff answers [`Created::Rejected`] and
///    changes nothing. So does one that meets a cutoff in the future. If the cutoff is more than 100 ms in
///    the future, the store also moves it to now.
///    - The store remembers a cutoff for a day. `create` for a user who authenticated a day ago or earlier
///      answers [`Created::TooOld`] and changes nothing.
/// 8. `save` changes live sessions only, and revives none. It merges changes key by key. With `expect` it
///    changes nothing unless the revision is that one. Each `save` increments the revision.
/// 9. `create` and `save` change nothing if the data would exceed `data_limit`.
/// 10. `list` returns exactly the live sessions of the session set.
/// 11. `end` ends the sessions that it names and leaves an end notice for each.
///     - Only the last token of the ended session gets the notice, from `resolve`. If the reuse of a previous
///       token ended it, that token gets the notice too.
///     - The store keeps it for its `notice_kept`. `create` keeps only the newest notices: as many as the
///       limit, or as sessions ended for it if those are more, and at most 64. A `create` that does not
///       count keeps 64.
///     - Ending a session twice gives the same answer while its notice is kept. A call with the same
///       [`End::call`] also returns the sessions that the first one ended.
///     - Ending all or all other sessions sets the cutoff to now, or to a millisecond after the previous
///       cutoff if that is later.
/// 12. `end` with a `caller` changes nothing if that session is not live.
/// 13. `end` as undelivered of an id that is not there prevents a later `create` of it for a minute. No
///     number of other ends shortens that.
/// 14. Every method is one atomic step. If its future is dropped, all of the change happens or none.
/// 15. Only the store's clock decides. No moment of the caller's clock takes part.
/// 16. `rotate` changes the token of a session and nothing else that `list` returns.
///     - After a derived token, the previous token works until a request sends the new one, and for the
///       grace period after that. Meanwhile every request with the previous token gets the same new one.
///     - After a re-authentication, previous tokens stop working at once.
///     - A previous token after its time is [`Resolved::Reused`], and ends the session if `rotate` asked
///       for that. Any other wrong secret is unknown.
///     - A token that a re-authentication made invalid never ends the session. After its time it is
///       [`Resolved::Reused`] once, and unknown from then on.
/// 17. `create` for a disabled user answers [`Created::Disabled`] and changes nothing.
/// 18. `save` with `shorten` sets each part of the lifetime to the shorter of the stored and the given one.
///     The absolute part counts from now. It never makes a lifetime longer. Without changes, data and
///     revision do not change. With changes, all of it happens or none.
/// 19. `forget` closes the end notice with this digest: no token opens it any more, and `resolve` answers
///     unknown. All else that the notice does stays, above all that its id cannot be created again.
/// 20. Sessions of several realms share a session set, and do not see each other.
///     - The limit of `create`, of its class too, counts the sessions of its realm and evicts no others. So
///       do the number of uncounted sessions and of tickets. A ticket ends only a session of the realm.
///     - `list` and `end` of one session leave out other realms than `within`.
///     - Ends of all and of all other sessions, the cutoff and the time until when a user is disabled are
///       those of all realms.
/// 21. `note_client` sets the [`last_seen`](Record::last_seen) of a live session, and changes nothing else.
///     It changes nothing if the stored one is not the one that its caller read. So of parallel requests
///     one notes its client. Sent again, it gives the same answer.
/// 22. `look` answers for each id what the session is, and changes nothing: it records no activity, removes
///     nothing, uses no token and closes no notice. A session that expired is unknown.
/// 23. `touch` sets the last activity of a live session to `now − age`, if that is later. It changes nothing
///     else: an unused session stays unused, and its tokens do not change.
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
    /// The layer calls it at most once a minute for each session, and raises the event
    /// [`ClientChanged`](crate::events::EventKind::ClientChanged) if it returns `true`.
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

    /// What changed in the session sets, as far as the store reports it.
    ///
    /// With it streams end within milliseconds, and a near cache is possible. Defaults to `None`: not reported.
    fn feed(&self) -> Option<Feed> {
        None
    }

    /// The tag of a user's session set.
    ///
    /// Defaults to [`Tag::of`]. A store with a secret key returns [`Tag::keyed`].
    fn tag(&self, user: &UserId) -> Tag {
        Tag::of(user)
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

    /// Ends a session whose token never reached its client, without waiting.
    ///
    /// The layer calls it from `Drop`, when a response was dropped. A failure is not reported. Defaults
    /// to doing nothing; then the session stays unused until it expires.
    fn end_undelivered(&self, tag: Tag, id: SessionId) {
        let _ = (tag, id);
    }
}
