//! Calls `publish.lua`, and says what a feed needs to know of a store.

use std::sync::{Arc, Weak};

use deadpool_redis::redis::Cmd;

use super::{
    super::{
        link::{Call, Lane, Link},
        live::Server,
        reply::Reply,
    },
    Inner, Scripts,
};
use crate::{
    model::Timestamp,
    store::{StoreError, StoreErrorKind, nonce},
};

/// The scripts of a store, while there is one.
#[derive(Clone, Debug)]
pub(in super::super) struct WeakScripts(Weak<Inner>);

impl WeakScripts {
    pub(in super::super) fn upgrade(&self) -> Option<Scripts> {
        self.0.upgrade().map(Scripts)
    }
}

impl Scripts {
    pub(in super::super) fn downgrade(&self) -> WeakScripts {
        WeakScripts(Arc::downgrade(&self.0))
    }

    /// The servers that a feed listens to, as far as they are known.
    pub(in super::super) fn servers(&self) -> Vec<Server> {
        self.0.route.servers()
    }

    /// Whether calls about this slot go to the server of this link.
    pub(in super::super) fn serves(&self, slot: u16, link: &Weak<Link>) -> bool {
        self.0.route.serves(slot, link)
    }

    /// The map of a Cluster may be old.
    pub(in super::super) fn doubt_map(&self) {
        self.0.route.doubt();
    }

    /// Publishes a message with the script of the store, on the way of its calls. `name` is what stands between the
    /// braces of a key in the slot of the channel. Returns the server's time.
    pub(in super::super) async fn publish(
        &self,
        name: &str,
        channel: &str,
        message: &[u8],
    ) -> Result<Timestamp, StoreError> {
        self.publish_at(&self.0.keys.named(name), channel, message)
            .await
    }

    /// Publishes a message to all nodes: on each primary once, so that a node which hears one of them hears it.
    ///
    /// It does nothing without [`live`](super::super::RedisStoreBuilder::live). [`FeedMessage::encode`] makes the bytes.
    ///
    /// [`FeedMessage::encode`]: crate::store::FeedMessage::encode
    pub(in super::super) async fn publish_everywhere(
        &self,
        message: &[u8],
    ) -> Result<(), StoreError> {
        let Some(live) = &self.0.live else {
            return Ok(());
        };
        for key in self.0.route.keys(&self.0.keys).await? {
            self.publish_at(&key, &live.of_all(&key), message).await?;
        }
        Ok(())
    }

    async fn publish_at(
        &self,
        key: &str,
        channel: &str,
        message: &[u8],
    ) -> Result<Timestamp, StoreError> {
        let Some(script) = &self.0.all.publish else {
            return Err(StoreError::new(StoreErrorKind::Unavailable));
        };
        let of = nonce();
        let arguments = |cmd: &mut Cmd, _latest: Option<i64>| {
            cmd.arg(channel).arg(message).arg(&of[..]);
        };
        let call = Call {
            lane: Lane::Ends,
            patient: true,
            ..Call::new(script, key, of)
        };
        let mut reply = self.run(&call, &arguments).await?;
        match reply.head() {
            (1, now) => Ok(now),
            (0, _) => {
                let bytes = reply.bytes()?;
                let error = format!(
                    "the user may not publish: {}",
                    String::from_utf8_lossy(&bytes)
                );
                Err(StoreError::new(StoreErrorKind::Denied).with_source(error))
            }
            _ => Err(Reply::unexpected()),
        }
    }
}
