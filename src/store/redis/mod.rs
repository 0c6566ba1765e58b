//! Sessions in Redis or Valkey, shared by all nodes.

use std::{sync::Arc, time::Duration};

mod builder;
mod check;
mod cluster;
mod confirm;
mod connect;
mod keys;
mod link;
mod live;
mod reply;
mod route;
mod script;
mod undelivered;

use self::script::Scripts;
use super::{
    Create, Created, End, EndEveryone, Ended, Feed, Forget, Horizon, List, Look, Looked,
    NoteClient, Resolve, Resolved, Rotate, Rotated, Save, Saved, Scan, Scanned, SessionStore,
    StoreError, Ticketed, Touch,
};
use crate::model::{Record, SessionId, Tag, TagKey, Timestamp};

pub use self::{
    builder::RedisStoreBuilder,
    check::{RedisCheck, RedisFinding},
    link::{IntoRedisSource, RedisSource, RedisUrlError},
    live::RedisLive,
};

/// Keeps sessions in Redis (7.0 or newer) or Valkey (8.0 or newer), shared by all nodes.
///
/// Everything about one user is one hash, and every operation is one script with that one key: one
/// round trip, atomic, on Cluster too. The server's clock decides; no clock of an app node does.
///
/// All requests share one connection to each server. A second one is kept open: it takes over when the first breaks,
/// and shows whether a silent connection or a silent server is to blame. With [`confirm`](RedisStoreBuilder::confirm) ends and
/// sign-ins have up to four of their own.
///
/// What is promised holds while Redis loses no write that it acknowledged. In a failover it can lose some, because
/// replication is asynchronous: an ended session may be live again then, and a new one be gone. With
/// [`confirm`](RedisStoreBuilder::confirm) the store waits until replicas have confirmed an end. Reads from replicas and
/// Active-Active replication are not supported.
///
/// The guide's page [`operations`](crate::guide::operations) has topologies, ACL rules, metrics and hosted services.
///
/// ```no_run
/// use tower_user_sessions::{RedisStore, SessionLayer};
///
/// let layer = SessionLayer::new(RedisStore::connect("redis://:password@localhost")?);
/// # let _ = layer;
/// # Ok::<_, tower_user_sessions::store::RedisUrlError>(())
/// ```
///
/// It connects when it is first used, so your app starts while Redis is down. Until Redis is back, requests with a token get
/// 503.
///
/// | you have | make the store with |
/// |---|---|
/// | one node | [`connect`](Self::connect) |
/// | Sentinel | [`connect_sentinel`](Self::connect_sentinel) |
/// | a Cluster | [`connect_cluster`](Self::connect_cluster) |
/// | passwords that change | [`connect_with`](Self::connect_with) |
/// | a pool of deadpool-redis, a `redis::Client`, a `SentinelClient` | [`new`](Self::new) |
/// | other settings | [`builder`](Self::builder) |
///
/// From a pool of deadpool-redis, which lends its settings:
///
/// ```no_run
/// use tower_user_sessions::{RedisStore, deadpool_redis::{Config, Runtime}};
///
/// let pool = Config::from_url("redis://localhost").create_pool(Some(Runtime::Tokio1))?;
/// let store = RedisStore::builder(pool).prefix("shop").build();
/// # let _ = store;
/// # Ok::<_, tower_user_sessions::deadpool_redis::CreatePoolError>(())
/// ```
///
/// # Outages
///
/// | what happens | what a request gets |
/// |---|---|
/// | Redis is away for up to 0.3 s | its answer, a little later |
/// | Redis is away for longer | the error of the outage at once, with its cause. A task of the store connects again |
/// | Redis is slower than the load | its answer, or [`Busy`](crate::store::StoreErrorKind::Busy) after a quarter of the deadline |
/// | one connection falls silent | its answer, from another connection |
/// | the server falls silent | the error of the outage at once, after about the first second |
/// | the master is lost, with Sentinel | the error of the outage until a sentinel names the new master, and its answer within 1 s after that. A master that was replaced and still answers is left [within 2 s](RedisStore::connect_sentinel) |
/// | replicas do not confirm in time, with [`confirm`](RedisStoreBuilder::confirm) | [`Unconfirmed`](crate::store::StoreErrorKind::Unconfirmed) |
/// | a proxy mixes replies up | its answer, from another connection: each reply names its request |
/// | a proxy mixes replies up, and one is an error of the server | its answer, or the error of another request: an error does not name its request |
/// | a proxy answers with an error of its own | the error. A conditional write may have run, so it is [`Uncertain`](crate::store::StoreErrorKind::Uncertain) |
/// | the reply to an `insert` is lost, and before it is sent again another request changes the value | its answer. The `insert` counts as the later one |
///
/// # Cluster
///
/// [`connect_cluster`](Self::connect_cluster) opens connections of its own to each primary. If a primary is lost, its
/// users are answered again half a second after a replica was promoted. Users of the other primaries do not notice, if
/// `cluster-require-full-coverage` is `no`. Beside its scripts the store sends `CLUSTER NODES` and `ASKING`, which
/// the ACL must allow.
///
/// With a Cluster pool the client library finds the way, and this does not hold:
///
/// - A primary that falls silent makes users of all primaries wait, and some of their requests fail. All are answered
///   again once a replica was promoted and the store has replaced the client, within about 5 s.
/// - The client may send a call twice by itself, so an update may happen twice.
/// - A sign-in that answered 503 may still run when its primary wakes up. The store ends it then, but the session
///   that it evicted is gone.
///
/// # Rolling upgrades
///
/// Each stored record begins with the version of its form. The version is 1; the changelog says when it
/// changes. Nodes of two versions can share a Redis. A node does not change records of another version:
///
/// - Their tokens are unknown to it: such a request is a guest, and its cookie stays. The node remembers that
///   for 5 s. So keep each client on nodes of one version.
/// - It does not list them, and it enforces the limit among sessions of its own version only.
/// - It does not end them by id. "End all" and "end others" delete them too, without a notice.
///
/// The first such token is a line in the log. Appending a field to what is stored of a client does not change the version:
/// older nodes keep it. A record of the same version that cannot be read is unknown, and a warning is logged.
///
/// The guide has more about [a new version](crate::guide::new_versions#a-new-version) and about
/// [settings that change](crate::guide::new_versions#a-setting-that-changes).
#[derive(Clone, Debug)]
pub struct RedisStore {
    identity: u64,
    horizon: Arc<Horizon>,
    scripts: Scripts,
    tag_key: Option<TagKey>,
    feed: Option<Feed>,
}

impl RedisStore {
    /// A store that connects with this source: a pool of deadpool-redis, a `redis::Client`, a `SentinelClient` or a
    /// [`RedisSource`].
    ///
    /// For a Cluster prefer [`connect_cluster`](Self::connect_cluster), and for Sentinel
    /// [`connect_sentinel`](Self::connect_sentinel): pools and a `SentinelClient` do less well in
    /// [outages](crate::guide::operations#what-each-promises).
    #[must_use]
    pub fn new(source: impl IntoRedisSource) -> Self {
        Self::builder(source).build()
    }

    /// As [`new`](Self::new), with settings: prefix, deadline, key of tags.
    pub fn builder(source: impl IntoRedisSource) -> RedisStoreBuilder {
        RedisStoreBuilder::new(source.into_redis_source())
    }

    /// Waits until Redis has ended all sessions that were given up, at most for this time. Returns how many are left.
    ///
    /// A sign-in is given up if its response was not delivered, for example because it answered 503. So is a session that a
    /// sign-in replaced, if the store could not end it at once. Call this at shutdown, after the last request. The sessions
    /// that are left stay until they expire.
    ///
    /// # Cancel safety
    ///
    /// The store goes on in the background if this is dropped.
    pub async fn drain(&self, within: Duration) -> usize {
        self.scripts.drain(within).await
    }
}

impl SessionStore for RedisStore {
    // Not async: each request moves this future, and it is large.
    fn resolve(
        &self,
        resolve: &Resolve,
    ) -> impl Future<Output = Result<Resolved, StoreError>> + Send {
        self.scripts.resolve(resolve)
    }

    async fn create(&self, create: &Create) -> Result<Created, StoreError> {
        self.scripts.go_on();
        self.scripts.create(create).await
    }

    async fn ticket(&self, tag: Tag, ticket: &Ticketed) -> Result<Option<Vec<u8>>, StoreError> {
        self.scripts.ticket(tag, ticket).await
    }

    async fn save(&self, save: &Save) -> Result<Saved, StoreError> {
        self.scripts.save(save).await
    }

    async fn rotate(&self, rotate: &Rotate) -> Result<Rotated, StoreError> {
        self.scripts.rotate(rotate).await
    }

    async fn list(&self, list: &List) -> Result<Vec<Record>, StoreError> {
        self.scripts.list(list).await
    }

    async fn end(&self, end: &End) -> Result<Ended, StoreError> {
        self.scripts.go_on();
        self.scripts.end(end).await
    }

    async fn forget(&self, forget: &Forget) -> Result<(), StoreError> {
        self.scripts.forget(forget).await
    }

    async fn note_client(&self, note: &NoteClient) -> Result<bool, StoreError> {
        self.scripts.note_client(note).await
    }

    async fn look(&self, look: &Look) -> Result<Looked, StoreError> {
        self.scripts.look(look).await
    }

    async fn touch(&self, touch: &Touch) -> Result<(), StoreError> {
        self.scripts.touch(touch).await
    }

    fn feed(&self) -> Option<Feed> {
        self.feed.clone()
    }

    fn horizon(&self) -> Option<&Horizon> {
        Some(&self.horizon)
    }

    async fn everyone(&self, knows: Option<Timestamp>) -> Result<Option<Timestamp>, StoreError> {
        self.scripts.everyone(knows).await
    }

    async fn end_everyone(&self, end: EndEveryone) -> Result<Timestamp, StoreError> {
        self.scripts.end_everyone(end, self.horizon.moment()).await
    }

    async fn scan(&self, scan: &Scan) -> Result<Scanned, StoreError> {
        self.scripts.scan(scan).await
    }

    async fn estimate(&self) -> Result<u64, StoreError> {
        self.scripts.estimate().await
    }

    fn tag_key(&self) -> Option<&TagKey> {
        self.tag_key.as_ref()
    }

    fn identity(&self) -> Option<u64> {
        Some(self.identity)
    }

    /// Repeats the end until the server has answered.
    fn end_undelivered(&self, tag: Tag, id: SessionId) {
        self.scripts.give_up(tag, id);
    }
}
