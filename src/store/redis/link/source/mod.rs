//! Where a store connects to, and with which settings.

mod open;
mod url;
mod wire;

use std::{error::Error, fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use deadpool_redis::{
    Pool, cluster,
    redis::{
        AsyncConnectionConfig, Client, ConnectionInfo, RedisConnectionInfo,
        sentinel::SentinelClient,
    },
    sentinel,
};
use tokio::sync::Mutex;

use self::{
    open::ours,
    url::{infos, parse, parse_all},
};
use super::{names, outage::Outage, sentinel::Sentinels};

pub(super) use self::open::unless_it_panics;
pub use self::url::RedisUrlError;
pub(in super::super) use self::url::elsewhere;
pub(in super::super) use self::wire::{Opened, Wire};

type BoxError = Box<dyn Error + Send + Sync>;
type Asked = Pin<Box<dyn Future<Output = Result<ConnectionInfo, BoxError>> + Send>>;

/// Where a [`RedisStore`](crate::RedisStore) connects to: URLs, a `redis::Client`, a `SentinelClient`, or a pool of
/// deadpool-redis.
///
/// A pool of one node or of Sentinel lends its settings only. The store opens its own connections, and uses
/// none of the places of the pool. From a Cluster pool it takes one connection at a time.
#[derive(Clone)]
pub struct RedisSource(Kind);

#[derive(Clone)]
enum Kind {
    Client(Box<ConnectionInfo>, Box<AsyncConnectionConfig>),
    Asked(Arc<dyn Fn() -> Asked + Send + Sync>),
    Sentinels(Arc<Sentinels>),
    Node(Pool),
    SentinelPool(sentinel::Pool),
    SentinelClient(Arc<Mutex<SentinelClient>>),
    Cluster(cluster::Pool),
    Seeds(Arc<Seeds>),
}

/// Nodes of a Cluster: at least one.
pub(in super::super) struct Seeds {
    /// Its settings are those of all nodes.
    pub(in super::super) first: ConnectionInfo,
    others: Vec<ConnectionInfo>,
}

impl Seeds {
    pub(in super::super) fn iter(&self) -> impl Iterator<Item = &ConnectionInfo> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

/// How long an attempt to connect may take: a second, or the deadline if that is longer. A Cluster
/// with one primary stopped takes 2 s.
const CONNECT: Duration = Duration::from_secs(1);
const CONNECT_MOST: Duration = Duration::from_secs(5);

impl RedisSource {
    /// Opens connections to the server that this URL names: `redis://user:password@host:port/db`,
    /// `rediss://…` for TLS, or `unix:///path`.
    ///
    /// # Errors
    ///
    /// If it is not such a URL, or TLS is not built in. In a password write `#` as `%23` and `@` as `%40`.
    pub fn url(url: &str) -> Result<Self, RedisUrlError> {
        Ok(Self::client(parse(url)?, names::config()))
    }

    /// Opens connections to all primaries of the Cluster that has these nodes.
    ///
    /// A few nodes are enough, because each knows the others. The login and the TLS settings of the first URL are
    /// used for all nodes.
    ///
    /// The others are reached at the addresses that they announce to each other. With TLS, or if a URL has the name that a
    /// node announces (`cluster-announce-hostname`), they are reached under their names.
    ///
    /// # Errors
    ///
    /// If one of them is not a [URL of Redis](Self::url), has another login than the first one, or asks for TLS and another one
    /// does not; or if there is none. One without a login is fine.
    pub fn cluster<S: AsRef<str>>(
        nodes: impl IntoIterator<Item = S>,
    ) -> Result<Self, RedisUrlError> {
        Self::of_seeds(parse_all(nodes)?)
    }

    /// As [`cluster`](Self::cluster), from clients that have more settings than a URL: certificates, from
    /// `redis::Client::build_with_tls`.
    ///
    /// ```
    /// use tower_user_sessions::{RedisStore, deadpool_redis::redis::Client, store::RedisSource};
    ///
    /// let nodes = [Client::open("redis://n1:6379")?, Client::open("redis://n2:6379")?];
    /// let store = RedisStore::new(RedisSource::cluster_from_clients(nodes)?);
    /// # let _ = store;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If one of them has another login than the first one, or asks for TLS and another one does not; or if there is none.
    pub fn cluster_from_clients(
        nodes: impl IntoIterator<Item = Client>,
    ) -> Result<Self, RedisUrlError> {
        Self::of_seeds(infos(nodes)?)
    }

    fn of_seeds(infos: Vec<ConnectionInfo>) -> Result<Self, RedisUrlError> {
        let mut infos = infos.into_iter();
        let first = infos.next().ok_or(RedisUrlError::NO_URL)?;
        let others: Vec<_> = infos.collect();
        let is_another = |other: &ConnectionInfo| {
            let (other, first) = (other.redis_settings(), first.redis_settings());
            let has_one = other.username().is_some() || other.password().is_some();
            has_one && (other.username(), other.password()) != (first.username(), first.password())
        };
        if others.iter().any(is_another) {
            return Err(RedisUrlError::LOGINS);
        }
        Ok(Self(Kind::Seeds(Arc::new(Seeds { first, others }))))
    }

    /// The nodes of a Cluster that were named at first.
    pub(in super::super) fn seeds(&self) -> Option<&Arc<Seeds>> {
        match &self.0 {
            Kind::Seeds(seeds) => Some(seeds),
            _ => None,
        }
    }

    /// Asks this function where to connect and with which login, each time that a connection is opened.
    ///
    /// For passwords that change, as [`RedisStore::connect_with`](crate::RedisStore::connect_with) shows.
    pub fn with<F, Fut, E>(ask: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<ConnectionInfo, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        Self(Kind::Asked(Arc::new(move || {
            let asked = ask();
            Box::pin(async move { asked.await.map_err(Into::into) })
        })))
    }

    /// Asks these sentinels which server is the master of this name, and signs in there with `login`.
    ///
    /// The sentinels are URLs, with their own password if they have one: `redis://:password@host:26379`. With
    /// `rediss://` the store uses TLS for the master, too.
    ///
    /// ```
    /// use tower_user_sessions::{RedisStore, deadpool_redis::redis::RedisConnectionInfo, store::RedisSource};
    ///
    /// let login = RedisConnectionInfo::default().set_username("shop").set_password("password");
    /// let sentinels = ["redis://sentinel-1:26379", "redis://sentinel-2:26379"];
    /// let store = RedisStore::new(RedisSource::sentinel(sentinels, "mymaster", login)?);
    /// # let _ = store;
    /// # Ok::<_, tower_user_sessions::store::RedisUrlError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If one of them is not a [URL of Redis](Self::url), or asks for TLS and another one does not; or if there is none.
    pub fn sentinel<S: AsRef<str>>(
        sentinels: impl IntoIterator<Item = S>,
        master: &str,
        login: RedisConnectionInfo,
    ) -> Result<Self, RedisUrlError> {
        Ok(Self::of_sentinels(parse_all(sentinels)?, master, login))
    }

    /// As [`sentinel`](Self::sentinel), from clients that have more settings than a URL: certificates, from
    /// `redis::Client::build_with_tls`. Those of the first client are used for the master, too.
    ///
    /// # Errors
    ///
    /// If one of them asks for TLS and another one does not; or if there is none.
    pub fn sentinel_from_clients(
        sentinels: impl IntoIterator<Item = Client>,
        master: &str,
        login: RedisConnectionInfo,
    ) -> Result<Self, RedisUrlError> {
        Ok(Self::of_sentinels(infos(sentinels)?, master, login))
    }

    fn of_sentinels(all: Vec<ConnectionInfo>, master: &str, login: RedisConnectionInfo) -> Self {
        let sentinels = Sentinels::new(all, master.to_owned(), login);
        Self(Kind::Sentinels(Arc::new(sentinels)))
    }

    /// One node of a Cluster.
    pub(in super::super) fn node(info: ConnectionInfo) -> Self {
        Self::client(info, names::config())
    }

    #[cfg(test)]
    pub(in super::super) fn looks_names_up_itself(&self) -> bool {
        matches!(&self.0, Kind::Client(_, config) if format!("{config:?}").contains("dns_resolver: \"set\""))
    }

    pub(in super::super) fn client(info: ConnectionInfo, config: AsyncConnectionConfig) -> Self {
        Self(Kind::Client(Box::new(ours(info)), Box::new(config)))
    }

    pub(in super::super) fn is_cluster(&self) -> bool {
        matches!(self.0, Kind::Cluster(_))
    }

    /// Whether another attempt may lead to another server than the last one.
    pub(super) fn is_sentinel(&self) -> bool {
        matches!(
            self.0,
            Kind::SentinelPool(_) | Kind::SentinelClient(_) | Kind::Sentinels(_)
        )
    }

    /// Whether each attempt leads to the same server, or the sentinels can be asked which one it is now.
    pub(super) fn leads_to_one(&self) -> bool {
        matches!(
            self.0,
            Kind::Client(..) | Kind::Node(_) | Kind::Sentinels(_)
        )
    }

    /// The sentinels, where they can be asked without opening a connection to the master.
    pub(in super::super) fn sentinels(&self) -> Option<&Arc<Sentinels>> {
        match &self.0 {
            Kind::Sentinels(sentinels) => Some(sentinels),
            _ => None,
        }
    }

    /// Whether connections with other settings than the app's can be opened: a pool does not say where it leads.
    pub(in super::super) fn can_listen(&self) -> bool {
        !matches!(
            self.0,
            Kind::Node(_) | Kind::SentinelPool(_) | Kind::Cluster(_)
        )
    }

    /// The number of the database, where it is known before the store connects; else 0.
    pub(in super::super) fn database(&self) -> i64 {
        match &self.0 {
            Kind::Client(info, _) => info.redis_settings().db(),
            Kind::Sentinels(sentinels) => sentinels.database(),
            _ => 0,
        }
    }

    /// How long an attempt to connect may take.
    pub(in super::super) fn patience(&self, deadline: Duration) -> Duration {
        match self.0 {
            Kind::Cluster(_) => CONNECT_MOST,
            // It may have to give one sentinel up before it asks the next.
            Kind::SentinelPool(_) | Kind::SentinelClient(_) => CONNECT * 2,
            _ => deadline.clamp(CONNECT, CONNECT_MOST),
        }
    }

    /// Where it leads, for logs: never a password.
    pub(in super::super) fn server(&self) -> String {
        match &self.0 {
            Kind::Client(info, _) => info.addr().to_string(),
            Kind::Asked(_) => "asked at each connect".to_owned(),
            Kind::Node(_) => "of a pool".to_owned(),
            Kind::Sentinels(sentinels) => format!("master {}", sentinels.master()),
            Kind::SentinelPool(_) => "of a Sentinel pool".to_owned(),
            Kind::SentinelClient(_) => "of a Sentinel client".to_owned(),
            Kind::Cluster(_) => "of a Cluster pool".to_owned(),
            Kind::Seeds(_) => "of a Cluster".to_owned(),
        }
    }
}

impl From<Client> for RedisSource {
    fn from(client: Client) -> Self {
        Self::client(client.get_connection_info().clone(), names::config())
    }
}

impl From<(Client, AsyncConnectionConfig)> for RedisSource {
    /// With a configuration, for a provider of credentials or a resolver of names. The store replaces its timeouts.
    fn from((client, config): (Client, AsyncConnectionConfig)) -> Self {
        Self::client(client.get_connection_info().clone(), config)
    }
}

impl From<Pool> for RedisSource {
    fn from(pool: Pool) -> Self {
        Self(Kind::Node(pool))
    }
}

impl From<cluster::Pool> for RedisSource {
    /// Prefer [`RedisSource::cluster`]: here a primary that falls silent makes users of all primaries wait.
    fn from(pool: cluster::Pool) -> Self {
        Self(Kind::Cluster(pool))
    }
}

impl From<sentinel::Pool> for RedisSource {
    /// Prefer [`RedisSource::sentinel`]: here a master that was replaced is left when it breaks or refuses writes, and
    /// the first sentinel that answers is believed.
    fn from(pool: sentinel::Pool) -> Self {
        Self(Kind::SentinelPool(pool))
    }
}

impl From<SentinelClient> for RedisSource {
    /// Prefer [`RedisSource::sentinel`]. The client names the master when the store connects, and keeps its sentinels to
    /// itself. So a master that was replaced is left when it breaks or refuses writes, and the first sentinel that
    /// answers is believed.
    fn from(client: SentinelClient) -> Self {
        Self(Kind::SentinelClient(Arc::new(Mutex::new(client))))
    }
}

/// What a source holds may include a password.
impl fmt::Debug for RedisSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisSource({})", self.server())
    }
}

/// What [`RedisStore::new`](crate::RedisStore::new) takes.
///
/// A [`RedisSource`], a pool of deadpool-redis 0.23 for one node, Sentinel or a Cluster, a `redis::Client` or a
/// `redis::sentinel::SentinelClient`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a pool of the deadpool-redis that the store uses",
    label = "not a pool of deadpool-redis 0.23",
    note = "a pool of another version is another type: write `deadpool-redis = \"0.23\"` in Cargo.toml",
    note = "or use the version that comes with this crate: `tower_user_sessions::deadpool_redis`"
)]
pub trait IntoRedisSource {
    /// The source of connections.
    fn into_redis_source(self) -> RedisSource;
}

#[diagnostic::do_not_recommend]
impl<S: Into<RedisSource>> IntoRedisSource for S {
    fn into_redis_source(self) -> RedisSource {
        self.into()
    }
}
