//! The settings of a store in Redis.

use std::{sync::Arc, time::Duration};

use super::{
    RedisStore,
    check::NO_POOL,
    cluster::Cluster,
    keys::Keys,
    link::{Confirm, Link, RedisSource},
    live::{self, RedisLive},
    route::Route,
    script::Scripts,
};
use crate::{
    model::{Clock, Lifetime, TagKey},
    store::{Horizon, NOTICE_KEPT, identity},
};

/// Settings of a [`RedisStore`].
#[derive(Clone, Debug)]
#[must_use]
pub struct RedisStoreBuilder {
    source: RedisSource,
    prefix: String,
    deadline: Duration,
    notice_kept: Duration,
    tag_key: Option<TagKey>,
    clock: Option<Clock>,
    pub(super) confirm: Option<Confirm>,
    pub(super) live: Option<RedisLive>,
}

impl RedisStoreBuilder {
    pub(super) fn new(source: RedisSource) -> Self {
        Self {
            source,
            prefix: "sessions".to_owned(),
            deadline: Duration::from_secs(1),
            notice_kept: NOTICE_KEPT,
            tag_key: None,
            clock: None,
            confirm: None,
            live: None,
        }
    }

    /// What keys begin with: `prefix:{…}`. In it `{`, `}` and `%` are written as `%7B`, `%7D` and `%25`.
    ///
    /// Two apps on one Redis need two prefixes. Otherwise a token of one opens the other, for the user with the same id:
    /// staging beside production, for example.
    ///
    /// Any text will do. It is part of each key, so keep it short. Defaults to `sessions`.
    pub fn prefix(mut self, prefix: &str) -> Self {
        prefix.clone_into(&mut self.prefix);
        self
    }

    /// How long one operation may take, with the time to get a connection. All operations that store the changes of one
    /// request share it, with the exceptions that [the guide](crate::guide::deploying_on_redis#timeouts) names.
    ///
    /// A call waits for its turn at most a quarter of it, and is [`Busy`](crate::store::StoreErrorKind::Busy) then. A few wait
    /// up to three quarters while the server answers nobody.
    /// With zero no call is answered in time, although some may run.
    ///
    /// A server that is far away needs a longer one, because a new connection takes up to six times as long as a reply. A
    /// node of a Cluster and a sentinel have half of the deadline for a new connection.
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
    /// Defaults to no key. [Another key](TagKey) makes other tags: all users are signed out.
    pub fn tag_key(mut self, key: TagKey) -> Self {
        self.tag_key = Some(key);
        self
    }

    /// Passes this clock's time to the scripts, for tests.
    ///
    /// Defaults to the clock of the server, so that a wrong clock of an app node does no harm.
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = Some(clock.into());
        self
    }

    /// The store. It connects when it is first used.
    #[must_use]
    pub fn build(self) -> RedisStore {
        let Self {
            source,
            prefix,
            deadline,
            notice_kept,
            tag_key,
            clock,
            confirm,
            live,
        } = self;
        let is_sharded = source.seeds().is_some() || source.is_cluster();
        let can_listen = source.can_listen();
        let database = source.database();
        let route = match source.seeds() {
            Some(seeds) => Route::Cluster(Cluster::new(Arc::clone(seeds), deadline)),
            None => Route::One(Link::new(source, deadline)),
        };
        let keys = Keys::new(&prefix);
        let publish = live.map(|live| live.publish(keys.live(database), is_sharded));
        let scripts = Scripts::new(route, keys, notice_kept, clock, confirm, publish.clone());
        if publish.is_some() && !can_listen {
            tracing::warn!("the store cannot listen to other nodes: {NO_POOL}");
        }
        RedisStore {
            identity: identity::next(),
            feed: publish
                .filter(|_| can_listen)
                .map(|publish| live::feed(&scripts, publish)),
            horizon: Arc::new(Horizon::shared()),
            scripts,
            tag_key,
        }
    }
}
