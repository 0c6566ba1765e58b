//! The settings of a `PostgresStore`.

use std::{
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicI64, AtomicU32},
    },
    time::Duration,
};

use deadpool_postgres::{
    Pool,
    tokio_postgres::{
        Config, Socket,
        tls::{MakeTlsConnect, TlsConnect},
    },
};

use super::{
    PostgresStore,
    link::Link,
    listen::Listen,
    live::Live,
    sql::Statements,
    tables::{self, Inner, Tables},
};
use crate::{
    model::{Clock, Lifetime, TagKey},
    store::{NOTICE_KEPT, SetStore, identity},
};

/// Settings of a [`PostgresStore`].
#[derive(Clone, Debug)]
#[must_use]
pub struct PostgresStoreBuilder {
    pool: Pool,
    schema: Option<String>,
    deadline: Duration,
    notice_kept: Duration,
    activity_every: Duration,
    tag_key: Option<TagKey>,
    clock: Option<Clock>,
    confirm: bool,
    prepared: bool,
    listen: Option<Listen>,
    report_writes: bool,
}

impl PostgresStoreBuilder {
    pub(super) fn new(pool: Pool) -> Self {
        Self {
            pool,
            schema: None,
            deadline: Duration::from_secs(1),
            notice_kept: NOTICE_KEPT,
            activity_every: Duration::from_secs(1),
            tag_key: None,
            clock: None,
            confirm: false,
            prepared: true,
            listen: None,
            report_writes: false,
        }
    }

    /// The schema of the tables, for two apps on one database.
    ///
    /// Two apps with one schema share all sessions: a token of one opens the other, for the user with the same id.
    ///
    /// [`migrate`](PostgresStore::migrate) creates the schema too. The name is quoted, so upper and lower case count. A name that
    /// PostgreSQL does not take is an error of the first call. Defaults to the first one of the connection's
    /// `search_path`, mostly `public`.
    pub fn schema(mut self, schema: &str) -> Self {
        self.schema = Some(schema.to_owned());
        self
    }

    /// How long one operation may take, with the time to get a connection. All operations that store the changes of one
    /// request share it, with the exceptions that [the guide](crate::guide::deploying_on_redis#timeouts) names.
    ///
    /// One statement may take half of it, with the time to connect, and an operation may need two. With zero no statement is
    /// answered in time.
    ///
    /// Opening a connection may take longer, for example to a server that wakes up. Then its call is a
    /// [`Timeout`](super::StoreErrorKind::Timeout), and the connection opens in the background, for up to 5 s. The next call
    /// uses it. Set a longer deadline to spare your users these errors.
    ///
    /// It does not apply to [`migrate`](PostgresStore::migrate). Defaults to 1 s.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// How long an end notice is kept: at most as long as a session may live, [`Lifetime::MAX`].
    ///
    /// Defaults to 1 hour.
    pub fn notice_kept(mut self, kept: Duration) -> Self {
        self.notice_kept = kept.min(Lifetime::MAX);
        self
    }

    /// Writes the activity of a session at most once in this time.
    ///
    /// The layer's `activity_every` counts if that is longer. The activity of the last request may not be stored. So a
    /// session can expire too early by this time, at most by a seventeenth of its idle time. It is more only if other
    /// writes of the user win three times in a row; the next request puts that right. Zero writes each activity. A longer
    /// step saves writes: a session in use costs one `UPDATE` in each step.
    ///
    /// Defaults to 1 s.
    pub fn activity_every(mut self, step: Duration) -> Self {
        self.activity_every = step;
        self
    }

    /// Derives tags under this key, so that user ids cannot be guessed from cookies and rows. The column `user_id` is
    /// null then.
    ///
    /// Defaults to no key. [Another key](TagKey) makes other tags: all users are signed out.
    pub fn tag_key(mut self, key: TagKey) -> Self {
        self.tag_key = Some(key);
        self
    }

    /// Takes the time from this clock, for tests.
    ///
    /// Defaults to the clock of the server, so that a wrong clock of an app node does no harm.
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = Some(clock.into());
        self
    }

    /// Waits until the synchronous standbys have applied a change: `synchronous_commit = remote_apply`.
    ///
    /// Then a failover to one of them loses no change that was answered. It needs `synchronous_standby_names` on the
    /// server. Without a standby that answers, each change is a [`Timeout`](super::StoreErrorKind::Timeout), and takes effect
    /// when one is back. Until then an ended session is live, so end it again. After a crash or `pg_terminate_backend` the change is in effect,
    /// but a standby may not have it. So an end of a session that has ended already waits for the standbys too. See [what a failover can
    /// lose](PostgresStore#what-a-failover-can-lose).
    ///
    /// Defaults to the setting of the connection.
    pub fn confirm(mut self, confirm: bool) -> Self {
        self.confirm = confirm;
        self
    }

    /// Whether each connection keeps the statements prepared: `false` behind PgBouncer in transaction mode, unless its
    /// `max_prepared_statements` is set.
    ///
    /// Without them the server plans each statement again, which costs about as much as running it. Compared with another
    /// store on sqlx:
    ///
    /// | in a second | with prepared statements | without |
    /// |---|---|---|
    /// | requests | 3.7 times as many | 1.4 times |
    /// | sign-ins | 1.55 times as many | 0.67 times |
    ///
    /// A store that finds a statement gone prepares none from then on, with a warning. Do not rely on it: each process
    /// numbers its statements from the start, so a connection that PgBouncer shares may have the statement of another
    /// node under the same name.
    ///
    /// Defaults to `true`.
    pub fn prepared(mut self, prepared: bool) -> Self {
        self.prepared = prepared;
        self
    }

    /// Reports ended sessions to all nodes at once, by LISTEN and NOTIFY.
    ///
    /// Streams then end within milliseconds after their session, see
    /// [`EndStreams`](crate::EndStreams). Without it a stream asks the store about once a minute. For a near cache, set
    /// [`report_writes`](Self::report_writes) too.
    ///
    /// A node listens on one connection more, which this opens, while it has streams or a cache. Give it the settings of
    /// the pool. It needs a connection of its own: name the server here, not PgBouncer in transaction mode. There no message
    /// arrives, and the store warns.
    ///
    /// ```no_run
    /// use tower_user_sessions::{PostgresStore, deadpool_postgres::{Pool, tokio_postgres::NoTls}};
    ///
    /// # fn store(pool: Pool) -> Result<PostgresStore, Box<dyn std::error::Error>> {
    /// let server = "postgres://app:password@localhost/shop".parse()?;
    /// let store = PostgresStore::builder(pool).live(server, NoTls).build();
    /// # Ok(store)
    /// # }
    /// ```
    pub fn live<T>(mut self, server: Config, tls: T) -> Self
    where
        T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
        T::Stream: Send + 'static,
        T::TlsConnect: Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        self.listen = Some(Listen::new(server, tls));
        self
    }

    /// Reports changes of data too, for the [near cache](crate::guide::near_cache). It changes nothing without [`live`](Self::live).
    ///
    /// All nodes need the same setting: what a node without it writes is in the near caches of the others only after their lease.
    ///
    /// Defaults to `false`: only ends of sessions and new tokens are reported, because PostgreSQL commits transactions with
    /// a NOTIFY one at a time.
    pub fn report_writes(mut self, report: bool) -> Self {
        self.report_writes = report;
        self
    }

    /// The store. It connects when it is first used.
    #[must_use]
    pub fn build(self) -> PostgresStore {
        let Self {
            pool,
            schema,
            deadline,
            notice_kept,
            activity_every,
            tag_key,
            clock,
            confirm,
            prepared,
            listen,
            report_writes,
        } = self;
        let tables = Tables(Arc::new_cyclic(|inner| Inner {
            link: Link::new(pool, deadline / 2, prepared),
            deadline,
            statements: Statements::new(schema.as_deref(), confirm),
            clock,
            tag_key,
            identity: identity::next(),
            writes: AtomicU32::new(0),
            purging: Mutex::default(),
            purged: AtomicI64::new(tables::FIRST),
            live: listen.map(|listen| Live::new(listen, report_writes, Weak::clone(inner))),
        }));
        let mut sets = SetStore::builder(tables)
            .notice_kept(notice_kept)
            .activity_every(activity_every)
            .shares(deadline);
        if confirm {
            sets = sets.confirms(|tables, urgency| Box::pin(tables.confirm(urgency)));
        }
        let sets = sets.build();
        sets.has_own_task();
        PostgresStore {
            sets,
            given_up: Arc::default(),
        }
    }
}
