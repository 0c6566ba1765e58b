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
    live::Server,
    reply::Reply,
    script::source::Script,
};
use crate::{model::clock::Monotonic, store::StoreError};

/// So many keys are tried: each primary serves one of them.
const KEYS: u32 = 4_096;

/// The server, or the servers, of a store.
#[derive(Debug)]
pub(super) enum Route {
    /// A node, the master behind Sentinel, or a client of a Cluster that finds the way by itself.
    One(Link),
    /// A link per primary of a Cluster.
    Cluster(Cluster),
}

impl Route {
    /// As [`Link::run`].
    pub(super) async fn run(
        &self,
        call: &Call<'_>,
        began: Monotonic,
        arguments: impl Fn(&mut Cmd, Option<i64>),
    ) -> (Result<Reply, StoreError>, bool) {
        match self {
            Self::One(link) => link.run(call, began, arguments).await,
            // Boxed: a call to one node shall not grow by it.
            Self::Cluster(cluster) => Box::pin(cluster.run(call, began, arguments)).await,
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

    /// Keys of no user, of which each primary serves one.
    pub(super) async fn keys(&self, keys: &Keys) -> Result<Vec<String>, StoreError> {
        let key = |number: u32| keys.named(&format!("check-{number}"));
        match self {
            Self::One(_) => Ok(vec![key(0)]),
            Self::Cluster(cluster) => {
                let primaries = cluster.primaries((0..KEYS).map(key)).await?;
                Ok(primaries.into_iter().map(|(_, key)| key).collect())
            }
        }
    }

    /// Finds out about each server.
    pub(super) async fn check(
        &self,
        keys: &Keys,
        scripts: &[&Script],
        wants: Wants<'_>,
    ) -> Vec<RedisCheck> {
        // No user has it: a tag is 16 characters.
        let key = |number: u32| keys.named(&format!("check-{number}"));
        match self {
            Self::One(link) => vec![check::ask(link, &key(0), scripts, wants).await],
            Self::Cluster(cluster) => match cluster.primaries((0..KEYS).map(key)).await {
                Ok(primaries) => {
                    let mut checks = Vec::with_capacity(primaries.len());
                    for (link, key) in &primaries {
                        checks.push(check::ask(link, key, scripts, wants).await);
                    }
                    checks
                }
                Err(error) => vec![RedisCheck::unreachable("of a Cluster", error)],
            },
        }
    }
}
