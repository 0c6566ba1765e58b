//! The setting for ends that replicas confirm.

use std::time::Duration;

use super::{RedisStoreBuilder, link::Confirm};

impl RedisStoreBuilder {
    /// Answers ends and sign-ins only after this many replicas have confirmed them, within this time.
    ///
    /// Without it a failover can undo a sign-out that the user saw succeed, because replication is asynchronous.
    /// With it no acknowledged end is lost, if `replicas` is the number of all replicas that may be promoted.
    /// With fewer, an end can be lost when another replica is promoted.
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use tower_user_sessions::{RedisStore, store::RedisSource};
    ///
    /// let sentinels = ["redis://sentinel-1:26379", "redis://sentinel-2:26379"];
    /// let source = RedisSource::sentinel(sentinels, "mymaster", Default::default())?;
    /// let store = RedisStore::builder(source).confirm(1, Duration::from_millis(500)).build();
    /// # let _ = store;
    /// # Ok::<_, tower_user_sessions::store::RedisUrlError>(())
    /// ```
    ///
    /// If they do not confirm in time, the error is [`Unconfirmed`](crate::store::StoreErrorKind::Unconfirmed) and the
    /// response a 503. The master has done it all the same, and repeating the call is harmless:
    ///
    /// - The sessions have ended. A repeated end succeeds once the replicas have confirmed it.
    /// - A sign-in is given up: its session ends. The sessions that it evicted stay ended.
    /// - No event is raised at first. The same request, or the same [`UserSessions`](crate::UserSessions), can make the call
    ///   again, and raises the events once it is confirmed. If a later request makes the call, it ends nothing and raises no event.
    ///
    /// | operation | confirmed |
    /// |---|---|
    /// | sign-in, with the sessions that it evicts or replaces | yes |
    /// | sign-out, end one, others or all, disable a user | yes |
    /// | end the sessions of all users ([`Everyone`](crate::Everyone)) | yes |
    /// | data, new tokens, re-authentication, a shorter lifetime | no |
    /// | the end by reuse of a previous token, or of a session that was given up | no |
    ///
    /// The guide's page [`operations`](crate::guide::operations#confirmed-ends) says what Redis needs for it, and
    /// what it costs. It takes at least one replica, so 0 turns it off, and a time of 1 ms to 1 minute. This time comes on
    /// top of the [`deadline`](Self::deadline). A Cluster pool cannot do it: there all ends and sign-ins fail.
    ///
    /// Defaults to off.
    pub fn confirm(mut self, replicas: u32, within: Duration) -> Self {
        let within = within.clamp(Duration::from_millis(1), Duration::from_secs(60));
        self.confirm = (replicas > 0).then_some(Confirm { replicas, within });
        self
    }
}
