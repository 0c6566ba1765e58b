//! Makes a store from where its servers are.

use std::{error::Error, future::Future};

use deadpool_redis::redis::{ConnectionInfo, RedisConnectionInfo};

use super::{RedisSource, RedisStore, RedisUrlError};

impl RedisStore {
    /// A store on the server that this URL names: `redis://user:password@host:port/db`, or `rediss://…` for TLS.
    /// For TLS your app needs two crates more, see [the guide](crate::guide::deploying_on_redis#tls).
    ///
    /// It connects when it is first used. For other settings, pass [`RedisSource::url`] to
    /// [`builder`](Self::builder).
    ///
    /// # Errors
    ///
    /// If it is not such a URL, or TLS is not built in. In a password write `#` as `%23` and `@` as `%40`.
    pub fn connect(url: &str) -> Result<Self, RedisUrlError> {
        Ok(Self::new(RedisSource::url(url)?))
    }

    /// A store on the Cluster that has these nodes. A few are enough, because each knows the others.
    ///
    /// Each primary has connections of its own. If one does not answer, the users of the others do not notice.
    ///
    /// ```no_run
    /// use tower_user_sessions::RedisStore;
    ///
    /// let nodes = ["redis://:password@node-1:6379", "redis://:password@node-2:6379"];
    /// let store = RedisStore::connect_cluster(nodes)?;
    /// # let _ = store;
    /// # Ok::<_, tower_user_sessions::store::RedisUrlError>(())
    /// ```
    ///
    /// It connects when it is first used. For other settings, pass [`RedisSource::cluster`] to
    /// [`builder`](Self::builder). For certificates of clients there is [`RedisSource::cluster_from_clients`].
    ///
    /// # Errors
    ///
    /// If one is not such a URL, has another login than the first one, or asks for TLS and another one does not; or if there is
    /// none. One without a login is fine: all nodes get that of the first.
    pub fn connect_cluster<S: AsRef<str>>(
        nodes: impl IntoIterator<Item = S>,
    ) -> Result<Self, RedisUrlError> {
        Ok(Self::new(RedisSource::cluster(nodes)?))
    }

    /// A store that asks this function where and as whom to connect, each time that it opens a connection.
    ///
    /// For passwords that change, such as IAM tokens:
    ///
    /// ```no_run
    /// use tower_user_sessions::deadpool_redis::redis::{IntoConnectionInfo, RedisConnectionInfo, RedisError};
    /// use tower_user_sessions::RedisStore;
    ///
    /// # async fn fresh_token() -> String { String::new() }
    /// let store = RedisStore::connect_with(async || {
    ///     let login = RedisConnectionInfo::default()
    ///         .set_username("app")
    ///         .set_password(fresh_token().await);
    ///     let server = "rediss://cache.example:6379".into_connection_info()?;
    ///     Ok::<_, RedisError>(server.set_redis_settings(login))
    /// });
    /// # let _ = store;
    /// ```
    #[must_use]
    pub fn connect_with<F, Fut, E>(ask: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<ConnectionInfo, E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        Self::new(RedisSource::with(ask))
    }

    /// A store on the master that these sentinels name.
    ///
    /// If the master has a password, pass [`RedisSource::sentinel`] to [`new`](Self::new).
    ///
    /// It follows a failover. How soon depends on the previous master:
    ///
    /// - It does not answer: the store uses the new one within 1 s after a sentinel names it.
    /// - It still answers, as after `SENTINEL FAILOVER`: the store leaves it at once if a sentinel reports the new one. A
    ///   sentinel that does not report it (see the [ACL rules](crate::guide::operations#acl-rules)) is asked every 2 s.
    ///
    /// ```no_run
    /// use tower_user_sessions::RedisStore;
    ///
    /// let sentinels = ["redis://sentinel-1:26379", "redis://sentinel-2:26379"];
    /// let store = RedisStore::connect_sentinel(sentinels, "mymaster")?;
    /// # let _ = store;
    /// # Ok::<_, tower_user_sessions::store::RedisUrlError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If one of them is not such a URL, or asks for TLS and another one does not; or if there is none.
    pub fn connect_sentinel<S: AsRef<str>>(
        sentinels: impl IntoIterator<Item = S>,
        master: &str,
    ) -> Result<Self, RedisUrlError> {
        let login = RedisConnectionInfo::default();
        Ok(Self::new(RedisSource::sentinel(sentinels, master, login)?))
    }
}
