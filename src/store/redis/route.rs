//! Which server a call goes to: the one there is, or one of a Cluster.

use deadpool_redis::redis::Cmd;

use super::{
    cluster::Cluster,
    link::{Call, Link},
    reply::Reply,
};
use crate::store::StoreError;

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
        arguments: impl Fn(&mut Cmd, Option<i64>),
    ) -> (Result<Reply, StoreError>, bool) {
        match self {
            Self::One(link) => link.run(call, arguments).await,
            // Boxed: a call to one node shall not grow by it.
            Self::Cluster(cluster) => Box::pin(cluster.run(call, arguments)).await,
        }
    }
}
