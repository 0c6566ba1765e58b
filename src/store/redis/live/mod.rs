//! The feed of a store in Redis: scripts publish what they change, and each node listens.
//!
//! ```text
//!  script ─▶ PUBLISH prefix:live ─▶ listener ─▶ Feed ─▶ readers of this process
//!  node ─▶ data connection ─▶ PUBLISH prefix:live:node ─▶ its own listener: messages arrive
//! ```

mod channel;
mod ear;
mod hearing;
mod line;
mod listen;
mod places;
mod slots;
mod source;

use super::RedisStoreBuilder;

pub(super) use self::{
    channel::{Publish, of_key, text as text_in},
    source::{Server, feed},
};

/// What a store in Redis reports to other nodes, for [`RedisStoreBuilder::live`].
#[derive(Clone, Copy, Debug)]
pub struct RedisLive {
    all: bool,
}

impl RedisLive {
    /// Ends of sessions: for streams that end with their session.
    #[must_use]
    pub const fn ends() -> Self {
        Self { all: false }
    }

    /// Ends, new tokens and changes of data: for the near cache.
    ///
    /// Each message costs Redis time for each node that listens. The guide has
    /// [figures](crate::guide::operations#the-feed).
    #[must_use]
    pub const fn all() -> Self {
        Self { all: true }
    }

    pub(super) fn publish(self, channel: String, sharded: bool) -> Publish {
        Publish::new(channel, sharded, self.all)
    }
}

impl RedisStoreBuilder {
    /// Reports to all nodes what changes, so that streams end within milliseconds and the near cache can be used.
    ///
    /// Scripts publish one message at their end, and the store has a [`feed`](crate::SessionStore::feed). A node
    /// listens while a stream or a cache needs it, on a connection of its own to each server.
    ///
    /// ```no_run
    /// use tower_user_sessions::{RedisStore, store::{RedisLive, RedisSource}};
    ///
    /// let source = RedisSource::url("redis://:password@localhost")?;
    /// let store = RedisStore::builder(source).live(RedisLive::ends()).build();
    /// # let _ = store;
    /// # Ok::<_, tower_user_sessions::store::RedisUrlError>(())
    /// ```
    ///
    /// All nodes need the same setting: a node without it reports nothing. Messages only make things faster, so
    /// nothing breaks while a deployment replaces one node after the other.
    ///
    /// A database other than 0 has its number in the channel: `prefix:live/1`. Where the store asks for the address at each
    /// connect, it does not know the number. Then two apps on one server need two prefixes. A pool or a `SentinelClient` does
    /// not say the number either: do not use one beside a store on a URL with a number.
    ///
    /// To listen, the store must know where to connect. A store on a pool of deadpool-redis publishes and cannot
    /// listen: its `feed` is `None`, a warning is logged, and [`check`](crate::RedisStore::check) finds it. The user of the
    /// store needs permission for the channel `prefix:live*`, see
    /// [the guide](crate::guide::operations#the-feed).
    ///
    /// Defaults to off.
    pub fn live(mut self, live: RedisLive) -> Self {
        self.live = Some(live);
        self
    }
}
