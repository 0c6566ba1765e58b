//! Which server a call goes to: the one there is, or one of a Cluster.

use std::{
    pin::Pin,
    sync::{Arc, Weak},
};

use deadpool_redis::redis::Cmd;

use super::{
    check::{self, RedisCheck, Wants},
    cluster::Cluster,
    keys::Keys,
    link::{Call, Link},
    live::{Server, text_in},
    reply::Reply,
    script::source::Script,
};
use crate::store::{StoreError, StoreErrorKind};

/// The server, or the servers, of a store.
#[derive(Debug)]
pub(super) enum Route {
    /// A node, the master behind Sentinel, or a client of a Cluster that finds the way by itself.
    One(Link),
    /// A link per primary of a Cluster.
    Cluster(Cluster),
}

/// A server that has keys.
pub(super) enum Primary<'a> {
    /// The only one.
    Only(&'a Link, String),
    /// One of a Cluster.
    Member(Arc<Link>, String),
}

impl Primary<'_> {
    pub(super) fn is_member(&self) -> bool {
        matches!(self, Self::Member(..))
    }

    pub(super) fn link(&self) -> &Link {
        match self {
            Self::Only(link, _) => link,
            Self::Member(link, _) => link,
        }
    }

    /// A key that it serves.
    pub(super) fn key(&self) -> &str {
        match self {
            Self::Only(_, key) | Self::Member(_, key) => key,
        }
    }
}

/// A key that no user has, for a server with all slots: a tag is 16 characters.
const ANY: &str = "check-0";

/// The same in this slot.
fn of_none(keys: &Keys, slot: u16) -> String {
    keys.named(&text_in(slot).to_string())
}

impl Route {
    /// As [`Link::run`].
    pub(super) async fn run(
        &self,
        call: &Call<'_>,
        arguments: &impl Fn(&mut Cmd, Option<i64>),
    ) -> (Result<Reply, StoreError>, bool) {
        match self {
            Self::One(link) => link.run(call, arguments).await,
            // Boxed: a call to one node shall not grow by it.
            Self::Cluster(cluster) => Box::pin(cluster.run(call, arguments)).await,
        }
    }

    /// Whether a key may be on another server than the next one is.
    pub(super) fn may_be_cluster(&self) -> bool {
        match self {
            Self::One(link) => link.is_cluster(),
            Self::Cluster(_) => true,
        }
    }

    /// A key of each primary that is known.
    pub(super) async fn served(&self, keys: &Keys) -> Result<Vec<String>, StoreError> {
        match self {
            Self::One(_) => Ok(Vec::new()),
            Self::Cluster(cluster) => {
                let primaries = cluster.primaries().await?.into_iter();
                Ok(primaries.map(|(_, slot)| of_none(keys, slot)).collect())
            }
        }
    }

    /// Keys of no user, of which each server has one.
    pub(super) async fn keys(&self, keys: &Keys) -> Result<Vec<String>, StoreError> {
        match self {
            Self::One(_) => Ok(vec![keys.named(ANY)]),
            Self::Cluster(_) => self.served(keys).await,
        }
    }

    /// All primaries, each with a key that it serves.
    pub(super) async fn primaries(&self, keys: &Keys) -> Result<Vec<Primary<'_>>, StoreError> {
        match self {
            // The client of the pool finds the primary of a key, and no other one.
            Self::One(link) if link.is_cluster() => {
                Err(StoreError::new(StoreErrorKind::Unsupported))
            }
            Self::One(link) => Ok(vec![Primary::Only(link, keys.named(ANY))]),
            Self::Cluster(cluster) => {
                let primaries = cluster.primaries().await?.into_iter();
                let member = |(link, slot)| Primary::Member(link, of_none(keys, slot));
                Ok(primaries.map(member).collect())
            }
        }
    }

    /// Whether one server may serve while another one does not.
    pub(super) fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }

    /// Waits until a link is up again; perhaps for ever if all are up.
    pub(super) fn up_again(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        match self {
            Self::One(link) => Box::pin(link.up_again()),
            Self::Cluster(cluster) => Box::pin(cluster.up_again()),
        }
    }

    /// The servers that a feed listens to.
    pub(super) fn servers(&self) -> Vec<Server> {
        match self {
            Self::One(link) => vec![Server {
                source: link.source().clone(),
                link: None,
            }],
            Self::Cluster(cluster) => {
                let links = cluster.links().into_iter();
                let server = |link: Arc<Link>| Server {
                    source: link.source().clone(),
                    link: Some(Arc::downgrade(&link)),
                };
                links.map(server).collect()
            }
        }
    }

    /// Whether calls about this slot go to the server of this link.
    pub(super) fn serves(&self, slot: u16, link: &Weak<Link>) -> bool {
        match self {
            Self::One(_) => true,
            Self::Cluster(cluster) => cluster.serves(slot, link),
        }
    }

    /// The map of a Cluster may be old.
    pub(super) fn doubt(&self) {
        if let Self::Cluster(cluster) = self {
            cluster.doubt();
        }
    }

    /// Finds out about each server.
    pub(super) async fn check(
        &self,
        keys: &Keys,
        scripts: &[&Script],
        wants: Wants<'_>,
    ) -> Vec<RedisCheck> {
        match self {
            Self::One(link) => {
                let key = keys.named(ANY);
                vec![check::ask(link, &key, scripts, wants).await]
            }
            Self::Cluster(cluster) => match cluster.primaries().await {
                Ok(primaries) => {
                    let mut checks = Vec::with_capacity(primaries.len());
                    for (link, slot) in &primaries {
                        let key = of_none(keys, *slot);
                        checks.push(check::ask(link, &key, scripts, wants).await);
                    }
                    check::compare(&mut checks);
                    checks
                }
                Err(error) => vec![RedisCheck::unreachable("of a Cluster", error)],
            },
        }
    }
}
