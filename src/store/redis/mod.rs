//! Sessions in Redis or Valkey, shared by all nodes.

use std::{fmt, time::Duration};

use tokio::runtime::Handle;

mod connection;
mod failure;
mod keys;
mod pool;
mod reply;
mod script;
mod source;

use self::{connection::Connections, keys::Keys, script::Scripts};
use super::{
    Create, Created, End, Ended, List, NOTICE_KEPT, Resolve, Resolved, Rotate, Rotated, Save,
    Saved, SessionStore, StoreError,
};
use crate::model::{Clock, Lifetime, Record, SessionId, Tag, UserId};

pub use self::pool::{IntoRedisPool, RedisPool};

/// Keeps sessions in Redis (7.0 or newer) or Valkey (8.0 or newer), shared by all nodes.
///
/// Everything about one user is one hash, and every operation is one script with that one key: one
/// round trip, atomic, on Cluster too. The server's clock decides; no clock of an app node does.
///
/// It is built from a pool of yours, so that TLS, passwords, Sentinel and Cluster are configured as
/// you are used to. It takes one multiplexed connection out of the pool, shares it, and fetches
/// another one when it breaks.
///
/// What is promised holds while Redis loses no write that it acknowledged. Asynchronous replication
/// can, in a failover: an ended session may come back then, and a new one be gone.
///
/// ```no_run
/// use deadpool_redis::{Config, Runtime};
/// use tower_user_sessions::{RedisStore, SessionLayer};
///
/// let pool = Config::from_url("redis://localhost").create_pool(Some(Runtime::Tokio1))?;
/// let layer = SessionLayer::new(RedisStore::new(pool));
/// # let _ = layer;
/// # Ok::<_, deadpool_redis::CreatePoolError>(())
/// ```
///
/// # Rolling upgrades
///
/// What is stored begins with the version of its form: 1 so far, and the changelog says when another
/// one comes. Nodes of two versions can share a Redis. What is of the other version stays as it is,
/// whatever a node does with the rest of a user's hash, and opens nothing there:
///
/// - Its token is unknown: the request is a guest's, and the cookie is removed. So keep each client on
///   nodes of one version.
/// - It is not listed, and each version holds a user to the limit by itself.
/// - It is not ended by its id. "End all" and "end others" end it too, without a notice.
///
/// What only adds to the end of what is noted of a client is no new version: nodes that do not know it
/// pass it over. A session of our version that cannot be read is unknown, too, and a warning.
#[derive(Clone, Debug)]
pub struct RedisStore {
    scripts: Scripts,
    tag_key: Option<TagKey>,
}

/// The key that tags are derived under.
#[derive(Clone)]
struct TagKey(Box<[u8]>);

impl fmt::Debug for TagKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TagKey(..)")
    }
}

impl RedisStore {
    /// A store behind this pool.
    #[must_use]
    pub fn new(pool: impl IntoRedisPool) -> Self {
        Self::builder(pool).build()
    }

    /// A store behind this pool with settings of yours.
    pub fn builder(pool: impl IntoRedisPool) -> RedisStoreBuilder {
        RedisStoreBuilder {
            pool: pool.into_redis_pool(),
            prefix: "sessions".to_owned(),
            deadline: Duration::from_secs(1),
            notice_kept: NOTICE_KEPT,
            tag_key: None,
            clock: None,
        }
    }
}

impl SessionStore for RedisStore {
    async fn resolve(&self, resolve: &Resolve) -> Result<Resolved, StoreError> {
        self.scripts.resolve(resolve).await
    }

    async fn create(&self, create: &Create) -> Result<Created, StoreError> {
        self.scripts.create(create).await
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
        self.scripts.end(end).await
    }

    fn tag(&self, user: &UserId) -> Tag {
        match &self.tag_key {
            Some(TagKey(key)) => Tag::keyed(key, user),
            None => Tag::of(user),
        }
    }

    /// Queued behind the `create` on the same connection, so that it runs after it.
    fn end_undelivered(&self, tag: Tag, id: SessionId) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let scripts = self.scripts.clone();
        runtime.spawn(async move { scripts.give_up(tag, id).await });
    }
}

/// Settings of a [`RedisStore`].
#[derive(Clone, Debug)]
#[must_use]
pub struct RedisStoreBuilder {
    pool: RedisPool,
    prefix: String,
    deadline: Duration,
    notice_kept: Duration,
    tag_key: Option<TagKey>,
    clock: Option<Clock>,
}

impl RedisStoreBuilder {
    /// What keys begin with: `prefix:{…}`. Braces in it are left out.
    ///
    /// Defaults to `sessions`.
    pub fn prefix(mut self, prefix: &str) -> Self {
        prefix.clone_into(&mut self.prefix);
        self
    }

    /// How long one operation may take, getting a connection included.
    ///
    /// Defaults to 1 s.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// How long an end notice is kept: at most as long as a session may live,
    /// [`Lifetime::MAX`].
    ///
    /// Defaults to 1 hour.
    pub fn notice_kept(mut self, kept: Duration) -> Self {
        // Redis refuses a TTL that overflows, in the middle of a script.
        self.notice_kept = kept.min(Lifetime::MAX);
        self
    }

    /// Derives tags under this key, so that user ids cannot be guessed from cookies and keys.
    ///
    /// Defaults to no key. Another key makes other tags: all users are signed out.
    pub fn tag_key(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.tag_key = Some(TagKey(key.into().into_boxed_slice()));
        self
    }

    /// Passes this clock's time to the scripts, for tests.
    ///
    /// Defaults to the server's own, which is what keeps nodes with wrong clocks harmless.
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = Some(clock.into());
        self
    }

    /// The store. It connects when it is first asked something.
    #[must_use]
    pub fn build(self) -> RedisStore {
        let Self {
            pool,
            prefix,
            deadline,
            notice_kept,
            tag_key,
            clock,
        } = self;
        let connections = Connections::new(pool, deadline);
        RedisStore {
            scripts: Scripts::new(connections, Keys::new(&prefix), notice_kept, clock),
            tag_key,
        }
    }
}
