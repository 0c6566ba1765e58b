//! The feed of a store in Redis: scripts publish what they change, and each node listens.
//!
//! ```text
//!  script ─▶ PUBLISH prefix:live ─▶ listener ─▶ Feed ─▶ readers of this process
//!  node ─▶ data connection ─▶ PUBLISH prefix:live:node ─▶ its own listener: messages arrive
//! ```

mod answers;
mod channel;
mod ear;
mod hearing;
mod held;
mod line;
mod listen;
mod places;
mod shards;
mod slots;
mod source;

use super::RedisStoreBuilder;

use self::channel::Spread;
pub(super) use self::{
    channel::{Publish, text as text_in},
    source::{Server, feed},
};

/// What a store in Redis reports to other nodes, for [`RedisStoreBuilder::live`].
#[derive(Clone, Copy, Debug)]
pub struct RedisLive {
    all: bool,
    shards: Option<u16>,
}

/// The most shards: messages are counted by as many shares of the users.
const SHARDS_MAX: u16 = 4_096;

impl RedisLive {
    /// Ends of sessions: for streams that end with their session.
    #[must_use]
    pub const fn ends() -> Self {
        Self {
            all: false,
            shards: None,
        }
    }

    /// Ends, new tokens and changes of data: for the near cache.
    ///
    /// Each message costs Redis time for each node that listens. The guide has
    /// [figures](crate::guide::operations#the-feed).
    #[must_use]
    pub const fn all() -> Self {
        Self {
            all: true,
            shards: None,
        }
    }

    /// Spreads the users over so many channels, and listens only to those whose users have a stream or a kept answer in this
    /// process.
    ///
    /// For more than about 20 nodes: a message costs Redis time for each node that hears it. Take at least as
    /// many shards as nodes; 1,024 is a good number for streams. It helps where a node serves a share of the users at a time:
    /// with open streams, and with a near cache behind a load balancer that sends a user to the same node.
    ///
    /// All nodes need the same number. A node with another one does not hear what this node reports. Its streams then notice
    /// an end when they ask the store next, within 75 s by default. Its near cache notices it after the lease, 5 s by default.
    /// So do not change the number while users must be signed out at once. On a Cluster each slot has a channel
    /// of its own without this. There any number makes a node listen only to the slots that it needs.
    ///
    /// The first stream of a shard asks the store another time, when the node listens to it. Within about three minutes
    /// after the last one is gone, the node stops listening.
    ///
    /// A number below 1 or above 4,096 becomes the nearest of these. Defaults to one channel, to which all nodes listen.
    #[must_use]
    pub const fn shards(mut self, channels: u16) -> Self {
        self.shards = Some(match channels {
            0 => 1,
            1..=SHARDS_MAX => channels,
            _ => SHARDS_MAX,
        });
        self
    }

    pub(super) fn publish(self, channel: String, is_cluster: bool) -> Publish {
        let spread = match self.shards {
            held if is_cluster => Spread::Slots {
                held: held.is_some(),
            },
            Some(count) => Spread::Shards(count),
            None => Spread::One,
        };
        Publish::new(channel, spread, self.all)
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
