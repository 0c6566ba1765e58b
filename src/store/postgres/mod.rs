//! Sessions in tables of PostgreSQL.

mod builder;
mod connects;
mod failure;
mod gate;
mod given_up;
mod held;
mod link;
mod listen;
mod live;
mod migrate;
mod places;
mod settling;
mod sql;
mod tables;

use std::{future::Future, sync::Arc, time::Duration};

use deadpool_postgres::Pool;
use tokio::time;

pub use self::builder::PostgresStoreBuilder;
use self::{given_up::GivenUp, tables::Tables};
use super::{
    Create, Created, End, EndEveryone, Ended, Feed, Forget, Horizon, List, Look, Looked,
    NoteClient, Resolve, Resolved, Rotate, Rotated, Save, Saved, Scan, Scanned, SessionStore,
    SetStore, StoreError, StoreErrorKind, Ticketed, Touch,
    together::{is_over, left},
};
use crate::model::{Record, SessionId, Tag, TagKey, Timestamp};

/// Keeps sessions in PostgreSQL (12 or newer, tested with 15), shared by all nodes.
///
/// Use it if your app has PostgreSQL anyway and no Redis. Sessions survive restarts and are in your backups.
/// A request costs one `SELECT` by primary key, and at most once a second for each session an `UPDATE` that does
/// not wait for the disk.
///
/// ```no_run
/// use tower_user_sessions::deadpool_postgres::{Config, Runtime, tokio_postgres::NoTls};
/// use tower_user_sessions::{PostgresStore, SessionLayer};
///
/// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
/// let mut config = Config::new();
/// config.url = Some("postgres://app:password@localhost/shop".to_owned());
/// let pool = config.create_pool(Some(Runtime::Tokio1), NoTls)?;
///
/// let store = PostgresStore::new(pool);
/// store.migrate().await?;
/// let layer = SessionLayer::new(store);
/// # let _ = layer;
/// # Ok(())
/// # }
/// ```
///
/// The pool may be the one that your app uses for everything else. Operations leave no state on a connection but their
/// prepared statements. A pool of sqlx or diesel does not fit: make a second, small one. Your app must leave no state either:
/// after a `BEGIN` by hand that is never committed, the next end or sign-in on that connection becomes part of it and is lost.
/// `transaction()` of tokio-postgres rolls back by itself. Ends go before other calls of the store that wait for a connection,
/// sign-ins after them. How a pool behind PgBouncer is set, and what TLS needs, is in the guide's page
/// [`operations`](crate::guide::operations#postgresql).
///
/// # Tables
///
/// [`migrate`](Self::migrate) creates them. If your app may not, run this SQL:
///
/// ```sql
#[doc = include_str!("sql/migrate.sql")]
/// ```
///
/// Each user has one row, and each session with data of the app has one in the second table. They contain addresses of
/// users and the app's data. They have no token, only hashes of tokens. Administrators can read
/// `user_id` (`convert_from(user_id, 'UTF8')`), `live` and `last_activity`. `user_id` is null for guest sessions, and
/// with a [`tag_key`](PostgresStoreBuilder::tag_key). Sign users out with
/// [`UserSessions`](crate::UserSessions). Deleting a row also deletes its end notices. Sign-ins from before the last
/// "end all" are then accepted. One more row without a `user_id` has a `tag` of twelve zero bytes. It keeps the moment of
/// [`Everyone`](crate::Everyone). Do not delete it: sessions that ended then could be live again.
///
/// Rows of which nothing is needed any more are deleted beside other writes. There is no task for that.
///
/// A user of the database who does not own the tables needs these privileges, and `USAGE` on their schema:
///
/// ```sql
/// GRANT SELECT, INSERT, UPDATE, DELETE ON tower_user_sessions, tower_user_sessions_parts TO app;
/// ```
///
/// # Upgrades
///
/// There is one form of these tables so far. [`migrate`](Self::migrate) creates what is missing, and alters nothing.
///
/// What a row stores begins with the version of its form. The version is 1; the changelog says when it changes. Nodes with two
/// versions of this crate may share the tables. If a node finds a form that is newer than it knows, it does not change the row. Requests
/// of that user get 503 from this node, with the kind [`TooNew`](StoreErrorKind::TooNew), until you update it. It does not sign
/// that user out either: use a newer node, or [`Everyone`](crate::Everyone). The guide has more about
/// [a new version](crate::guide::new_versions#a-new-version).
///
/// # Connections
///
/// An operation needs one connection of the pool for each statement, and none between two of them. It waits for one for a
/// quarter of the [`deadline`](PostgresStoreBuilder::deadline), and is [`Busy`](StoreErrorKind::Busy) then. Of those that wait,
/// ends of sessions and sign-ins go first, with every second place for the others. Of equals, one that has read goes before one
/// that has not: so an overload costs the server little in vain.
///
/// A new connection has half of the deadline. If it takes longer, the call is a [`Timeout`](StoreErrorKind::Timeout). One such
/// connection at a time goes on in the background, for up to 5 s, and the next call uses it. If the pool has no other connection,
/// other calls wait for this one, for the same quarter of the deadline.
///
/// | connections of one process | how many |
/// |---|---|
/// | of the pool | at most `max_size`. deadpool defaults to two for each core of the CPU |
/// | of changes that have waited for more than a minute, for a lock or a standby | at most four, beside the pool |
/// | of [`live`](PostgresStoreBuilder::live) | one, while a stream or a near cache needs it |
///
/// So the server needs room for `max_size` and five more of each process, and twice that during a rolling deployment. A cancel
/// request takes one more for a moment.
///
/// **Take at least two.** One is then left for requests while changes wait. A pool of one works too, and serves one call
/// after the other. But a statement that waits for a lock keeps the only connection for up to a minute, and all other calls
/// are `Busy`. The pool is too small if the metric `tower_user_sessions_postgres_busy_total` increases: a burst of calls waits in its
/// queue no longer than that quarter, so a longer deadline helps too.
///
/// **A handler that keeps a connection of the same pool** while it calls the store, as within a transaction, needs two. If such
/// handlers have all connections, the store gets none, and is `Busy`. Call the store before or after the transaction, or
/// give it a pool of its own.
///
/// # Outages
///
/// | what happens | what a request gets |
/// |---|---|
/// | PostgreSQL is away for up to 0.2 s | its answer, a little later |
/// | PostgreSQL is away for longer | the error of the outage at once, with its cause. One call at a time tries to connect |
/// | connections are cut, or `pg_terminate_backend` | its answer, from another connection |
/// | a NAT or load balancer forgot all connections | one [`Timeout`](StoreErrorKind::Timeout), then answers from new connections |
/// | the server falls silent | [`Timeout`](StoreErrorKind::Timeout) after the deadline, then the error at once |
/// | all connections of the pool are in use | [`Busy`](StoreErrorKind::Busy) after a quarter of the deadline |
/// | the server or PgBouncer refuses more connections than the pool has | the store goes on with those for 5 s, and then asks for one more |
/// | another transaction locks the user's row | its answer, or [`Timeout`](StoreErrorKind::Timeout) |
/// | another transaction locks the table | writes: `Timeout`, then [`Busy`](StoreErrorKind::Busy). Requests: their answer, if the lock lets them read |
/// | a failover | the error of the outage, and its answer once the pool connects to the new primary |
/// | `default_transaction_read_only`, or the server is a standby | [`Unavailable`](StoreErrorKind::Unavailable). A new connection is tried once a second at most |
/// | all synchronous standbys are away | requests: their answer. Sign-ins and ends: [`Timeout`](StoreErrorKind::Timeout) |
///
/// For a failover name all servers: `postgres://app@db1,db2/shop?target_session_attrs=read-write`. Reads from a standby
/// are not supported: its sessions are older, and an ended one would be live there. The store notices a standby and
/// leaves it.
///
/// # Size
///
/// With its index a session takes about 570 bytes on disk where a user has one, 530 with three each and 290 with ten. Data of
/// a session takes 150 bytes more than the data itself. Measured after sign-ins on `PostgreSQL` 15.
///
/// # Backups
///
/// A restored backup brings ended sessions back, and users who were disabled since then can sign in again. So call
/// [`Everyone::end_all`](crate::Everyone::end_all) after a restore, before the app serves requests. Then call
/// [`disable_for`](crate::UserSessions::disable_for) again for users who have to stay out. A backup has no token, only
/// hashes. It has user ids, addresses and the data of sessions.
///
/// # What a failover can lose
///
/// An asynchronous standby lacks the last changes. After a failover to it an ended session may be live again, and a new
/// one be gone. With synchronous replication and [`confirm`](PostgresStoreBuilder::confirm) that cannot happen to
/// anything that was answered. The last second of activity may be lost in any crash.
///
/// While all synchronous standbys are away, PostgreSQL keeps each change waiting, with its server connection, until one
/// is back. So name several: `synchronous_standby_names = 'ANY 1 (a, b)'`. Meanwhile changes get 503, with the kind
/// [`Timeout`](StoreErrorKind::Timeout) or [`Busy`](StoreErrorKind::Busy):
///
/// | what the user did | what happened | what helps |
/// |---|---|---|
/// | opened a page | its answer. The activity is not written if a change of the same user waits | nothing to do |
/// | signed out, or ended sessions | they are live until a standby is back, and end then | the same again, until it is answered |
/// | signed in | the user is not signed in. Once a standby is back, the store ends the new session. Sessions that it evicted or replaced stay ended | sign in again |
/// | changed data | the change takes effect once a standby is back | read the data before you repeat it |
///
/// If the primary is lost before that, changes that were not answered may be lost. An administrator can give up waiting:
/// empty `synchronous_standby_names` and reload the settings. Then what waits takes effect at once, without a standby.
/// Do not end the wait with `pg_cancel_backend`: PostgreSQL then answers as if a standby had the change.
///
/// A statement that is not answered in time keeps its connection until the answer comes. The server still works on it, so another
/// connection in its place would be more work than the pool allows. Of several connections one is left for requests. After a minute, or at once if too many wait, a
/// statement that only reads is cancelled, and its connection closed. A change is not: one that waits for a standby would take effect without it.
/// From then on only one new change at a time waits, and the others are [`Busy`](super::StoreErrorKind::Busy) at once.
///
/// While a lock of the table lasts, changes that wait for longer than this minute leave the pool, at most four of them. Other
/// calls get their places. So each process of yours has at most four connections more than its pool. After that, changes keep their places
/// until the lock is free. A server that disappears without a word looks the same: with `tcp_user_timeout=30` in the URL
/// Linux notices it after 30 s, and otherwise after a quarter of an hour.
///
/// A cancel request goes over a connection of its own without TLS. If the pool insists on TLS (`sslmode=require`), none is
/// sent. Then set `client_connection_check_interval = '10s'` (PostgreSQL 14): the server ends reads for which nobody waits.
#[derive(Clone, Debug)]
pub struct PostgresStore {
    sets: SetStore<Tables>,
    given_up: Arc<GivenUp>,
}

impl PostgresStore {
    /// A store on this pool. It connects when it is first used.
    ///
    /// The tables must exist: see [`migrate`](Self::migrate).
    #[must_use]
    pub fn new(pool: Pool) -> Self {
        Self::builder(pool).build()
    }

    /// As [`new`](Self::new), with settings: schema, deadline, key of tags.
    pub fn builder(pool: Pool) -> PostgresStoreBuilder {
        PostgresStoreBuilder::new(pool)
    }

    /// Creates the tables, if they do not exist. Call it when your app starts.
    ///
    /// Several nodes may call it at the same time. If the tables exist it locks none, and needs no privilege to create any.
    /// It waits up to 25 s for another node that creates them, 3 s for a lock of a table, and 30 s in all, with the time to
    /// connect. The [`deadline`](PostgresStoreBuilder::deadline) does not apply to that.
    ///
    /// An error says what is wrong with the server, the password or the database. There is no `check` as `RedisStore` has it.
    ///
    /// # Errors
    ///
    /// If the server cannot be reached, or the user may not create tables. Creating them needs `CREATE` on their schema. From
    /// PostgreSQL 15 on, users do not have it on `public`: the error is [`Denied`](StoreErrorKind::Denied), with "permission denied
    /// for schema public". Then an administrator, connected to the database of the app, runs one of these:
    ///
    /// ```sql
    /// GRANT CREATE ON SCHEMA public TO app;
    /// ALTER DATABASE shop OWNER TO app;
    /// ```
    ///
    /// With [`schema`](PostgresStoreBuilder::schema), creating them needs `CREATE` on the database too, also if the schema
    /// exists. If the tables exist, `migrate` needs none of these privileges. Instead of all that, an administrator can run the SQL
    /// of the [documentation](Self#tables).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, all tables are created or none.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        self.sets.storage().migrate().await
    }

    /// Waits until all sessions that were given up have ended, at most for this time. Returns how many are left.
    ///
    /// A sign-in is given up if its response was not delivered, for example because it answered 503. So is a session that a
    /// sign-in replaced, if the store could not end it at once. Call this at shutdown, after the last request. The sessions
    /// that are left stay until they expire.
    ///
    /// # Cancel safety
    ///
    /// The store goes on in the background if this is dropped.
    pub async fn drain(&self, within: Duration) -> usize {
        self.given_up.drain(&self.sets, within).await
    }

    /// An operation takes no longer than the deadline, also if it waits for its turn. Those of a commit share it.
    async fn within<T>(
        &self,
        operation: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let before = self.sets.given_up_so_far();
        if self.sets.given_up() > 0 {
            // Its task may have ended with its runtime.
            self.given_up.work(&self.sets);
        }
        let deadline = self.sets.storage().0.deadline;
        if is_over(deadline) {
            return Err(StoreError::new(StoreErrorKind::Timeout).known_not_run());
        }
        let answer = time::timeout(left(deadline), operation).await;
        // How many wait says nothing: the task may have ended another one meanwhile.
        if self.sets.given_up_so_far() != before {
            self.given_up.add(&self.sets);
        }
        answer.unwrap_or_else(|_elapsed| Err(StoreError::new(StoreErrorKind::Timeout)))
    }
}

impl SessionStore for PostgresStore {
    async fn resolve(&self, resolve: &Resolve) -> Result<Resolved, StoreError> {
        self.within(self.sets.resolve(resolve)).await
    }

    async fn create(&self, create: &Create) -> Result<Created, StoreError> {
        // After an error the caller creates it again or gives it up.
        self.within(self.sets.create(create)).await
    }

    async fn ticket(&self, tag: Tag, ticket: &Ticketed) -> Result<Option<Vec<u8>>, StoreError> {
        self.within(self.sets.ticket(tag, ticket)).await
    }

    async fn save(&self, save: &Save) -> Result<Saved, StoreError> {
        let saved = self.within(self.sets.save(save)).await;
        saved.map_err(|error| match error.kind() {
            StoreErrorKind::Timeout if save.expect.is_some() && !error.is_known_not_run() => {
                StoreError::new(StoreErrorKind::Uncertain).with_source(error)
            }
            _ => error,
        })
    }

    async fn rotate(&self, rotate: &Rotate) -> Result<Rotated, StoreError> {
        self.within(self.sets.rotate(rotate)).await
    }

    async fn list(&self, list: &List) -> Result<Vec<Record>, StoreError> {
        self.within(self.sets.list(list)).await
    }

    async fn end(&self, end: &End) -> Result<Ended, StoreError> {
        self.within(self.sets.end(end)).await
    }

    async fn forget(&self, forget: &Forget) -> Result<(), StoreError> {
        self.within(self.sets.forget(forget)).await
    }

    async fn note_client(&self, note: &NoteClient) -> Result<bool, StoreError> {
        self.within(self.sets.note_client(note)).await
    }

    async fn look(&self, look: &Look) -> Result<Looked, StoreError> {
        self.within(self.sets.look(look)).await
    }

    async fn touch(&self, touch: &Touch) -> Result<(), StoreError> {
        self.within(self.sets.touch(touch)).await
    }

    fn horizon(&self) -> Option<&Horizon> {
        self.sets.horizon()
    }

    async fn everyone(&self, knows: Option<Timestamp>) -> Result<Option<Timestamp>, StoreError> {
        self.within(self.sets.everyone(knows)).await
    }

    async fn end_everyone(&self, end: EndEveryone) -> Result<Timestamp, StoreError> {
        self.within(self.sets.end_everyone(end)).await
    }

    async fn scan(&self, scan: &Scan) -> Result<Scanned, StoreError> {
        self.within(self.sets.scan(scan)).await
    }

    async fn estimate(&self) -> Result<u64, StoreError> {
        self.within(self.sets.estimate()).await
    }

    fn feed(&self) -> Option<Feed> {
        self.sets.feed()
    }

    fn tag_key(&self) -> Option<&TagKey> {
        self.sets.tag_key()
    }

    fn identity(&self) -> Option<u64> {
        self.sets.identity()
    }

    /// Repeats the end until the server has answered.
    fn end_undelivered(&self, tag: Tag, id: SessionId) {
        self.sets.end_undelivered(tag, id);
        self.given_up.add(&self.sets);
    }
}
