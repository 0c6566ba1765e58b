//! What a store finds out about its server, before users do.

mod ask;
mod clocks;
mod proxy;

use std::{borrow::Cow, error::Error, fmt, time::Duration};

use super::RedisStore;
use crate::store::StoreError;

pub(super) use self::{
    ask::{NO_POOL, Wants, ask},
    clocks::{SKEW, compare},
};

/// What [`RedisStore::check`](crate::RedisStore::check) found out about one server.
///
/// `Display` writes one line for each finding, with what to do.
#[derive(Debug)]
pub struct RedisCheck {
    server: String,
    version: Option<String>,
    /// Of a primary of a Cluster.
    ahead: Option<clocks::Ahead>,
    findings: Vec<RedisFinding>,
    not_known: Vec<&'static str>,
}

/// Something about a server that is wrong, or works less well.
#[non_exhaustive]
#[derive(Debug)]
pub enum RedisFinding {
    /// The user of the store may not use the channels of its feed, which [`live`](crate::store::RedisStoreBuilder::live) needs.
    ChannelDenied,
    /// The store cannot listen to what other nodes report, which [`live`](crate::store::RedisStoreBuilder::live) is for.
    CannotListen {
        /// Why not.
        cause: Cow<'static, str>,
    },
    /// Ends and sign-ins cannot be confirmed by replicas, which [`confirm`](crate::store::RedisStoreBuilder::confirm) demands.
    CannotConfirm {
        /// Why not.
        cause: Cow<'static, str>,
    },
    /// The clock of this primary of a Cluster is ahead of the clock of another one by more than a second, which is what
    /// [`Everyone::end_all`](crate::Everyone::end_all) allows for.
    ClockAhead {
        /// The primary whose clock is the slowest.
        of: String,
        /// By how much it is ahead, at least.
        by: Duration,
    },
    /// The server may remove sessions, cutoffs and blocks to make room.
    Evicts {
        /// Its `maxmemory-policy`.
        policy: String,
    },
    /// The user of the store may not use its keys.
    KeysDenied,
    /// The user of the store may not use this command, or the server has none of that name.
    MissingCommand {
        /// The command, in capitals: `HSET`, `CLUSTER|NODES`.
        command: Cow<'static, str>,
    },
    /// The server runs no scripts, or not these.
    NoScripts {
        /// What it answered.
        cause: String,
    },
    /// The store is made from a pool whose connections use this database. It reports ends on the channel of database 0, so
    /// stores that listen in this database do not hear of them.
    OtherChannel {
        /// The number of the database.
        database: i64,
    },
    /// Two connections lead to two servers: there is a proxy in between that spreads calls.
    Proxy,
    /// The server is a replica: it takes no writes.
    Replica,
    /// The server is older than Redis 7.0 or Valkey 8.0.
    TooOld {
        /// Its version.
        version: String,
    },
    /// The server cannot be reached, refuses the password, or does not serve for now.
    Unreachable(StoreError),
}

impl RedisStore {
    /// Finds out what is wrong with the server, once per primary.
    ///
    /// It looks at version and role, at a policy that evicts sessions, at commands that the user may not use, at the
    /// scripts, and whether there is a proxy. On a Cluster it compares the clocks of the primaries. With
    /// [`confirm`](crate::store::RedisStoreBuilder::confirm) it also tries `WAIT`, and counts the replicas. If it then finds a proxy,
    /// ends and sign-ins are refused from then on, until a later call finds none.
    ///
    /// It does not look at persistence. It changes no session. If a server is silent, it takes several seconds: each connect and each command may wait for
    /// 1 s to 5 s, depending on the deadline.
    ///
    /// Call it when the app starts, and log its findings. What cannot be found out is listed by
    /// [`not_known`](RedisCheck::not_known). That is no error: mostly the store's Redis user may not ask it. The guide says
    /// [what to do](crate::guide::operations#check-at-the-start) for each finding.
    ///
    /// ```no_run
    /// # async fn start(store: tower_user_sessions::RedisStore) {
    /// for check in store.check().await {
    ///     if !check.findings().is_empty() {
    ///         eprintln!("{check}");
    ///     }
    /// }
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, no session changed.
    pub async fn check(&self) -> Vec<RedisCheck> {
        self.scripts.check().await
    }
}

impl RedisCheck {
    pub(super) fn new(server: String) -> Self {
        Self {
            server,
            version: None,
            ahead: None,
            findings: Vec::new(),
            not_known: Vec::new(),
        }
    }

    /// A server that could not be asked.
    pub(super) fn unreachable(server: &str, error: StoreError) -> Self {
        let mut check = Self::new(server.to_owned());
        check.find(RedisFinding::unusable(error));
        check
    }

    /// Which server, without a password.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Its name and version, if it may be asked.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// What is wrong; empty if nothing is.
    #[must_use]
    pub fn findings(&self) -> &[RedisFinding] {
        &self.findings
    }

    /// What could not be found out: the user of the store may not ask it, the server did not answer or was replaced meanwhile,
    /// or a Cluster pool leads to it. That is no error.
    #[must_use]
    pub fn not_known(&self) -> &[&'static str] {
        &self.not_known
    }

    fn find(&mut self, finding: RedisFinding) {
        self.findings.push(finding);
    }

    fn cannot_confirm(&mut self, cause: impl Into<Cow<'static, str>>) {
        self.find(RedisFinding::CannotConfirm {
            cause: cause.into(),
        });
    }

    fn misses(&mut self, command: impl Into<Cow<'static, str>>) {
        self.find(RedisFinding::MissingCommand {
            command: command.into(),
        });
    }
}

impl RedisFinding {
    /// Why no connection came about: an error, or the one command that it needs.
    fn unusable(error: StoreError) -> Self {
        let mut causes = std::iter::successors(error.source(), |cause| (*cause).source());
        let command = causes.find_map(|cause| {
            let text = cause.to_string();
            let (_, rest) = text.split_once("permissions to run the '")?;
            Some(rest.split_once('\'')?.0.to_uppercase())
        });
        match command {
            Some(command) => Self::MissingCommand {
                command: command.into(),
            },
            None => Self::Unreachable(error),
        }
    }
}

impl fmt::Display for RedisCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = self.version().unwrap_or("version not known");
        write!(f, "Redis {} ({version}):", self.server)?;
        if self.findings.is_empty() {
            f.write_str(" nothing is wrong")?;
        }
        for finding in &self.findings {
            write!(f, "\n- {finding}")?;
        }
        if !self.not_known.is_empty() {
            write!(f, "\n- not known: {}", self.not_known.join(", "))?;
        }
        Ok(())
    }
}

impl fmt::Display for RedisFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CannotConfirm { cause } => {
                write!(f, "replicas cannot confirm ends and sign-ins: {cause}")
            }
            Self::ChannelDenied => f.write_str(
                "the user may not use the channels of the feed: add &sessions:live* to its ACL (or the prefix that you set)",
            ),
            Self::CannotListen { cause } => {
                write!(f, "the store cannot listen to other nodes: {cause}")
            }
            Self::ClockAhead { of, by } => write!(
                f,
                "the clock is {:.1} s ahead of the one of {of}: a sign-in may end if it comes within 5 s after the end of all \
                 sessions. Synchronize the clocks of all primaries, with NTP for example",
                by.as_secs_f64()
            ),
            Self::Evicts { policy } => write!(
                f,
                "maxmemory-policy is {policy}: a full server signs users out and forgets cutoffs and blocks. Set it to noeviction"
            ),
            Self::KeysDenied => f.write_str(
                "the user may not use the store's keys: add ~sessions:* to its ACL (or the prefix that you set)",
            ),
            Self::MissingCommand { command } => {
                write!(f, "the user may not use {command}: add +{} to its ACL", command.to_lowercase())
            }
            Self::NoScripts { cause } => {
                write!(f, "the server does not run the store's scripts: {cause}")
            }
            Self::OtherChannel { database } => write!(
                f,
                "stores that listen in database {database} do not hear of ends that this store reports, because a pool does not \
                 say which database it uses. Make the store from a `RedisSource`"
            ),
            Self::Proxy => f.write_str(
                "two connections lead to two servers: a proxy spreads calls. Connect to the servers themselves",
            ),
            Self::Replica => f.write_str(
                "the server is a replica and takes no writes: connect to its master, or through Sentinel",
            ),
            Self::TooOld { version } => {
                write!(f, "version {version} is too old: Redis 7.0 or Valkey 8.0 is needed")
            }
            Self::Unreachable(error) => {
                write!(f, "the server cannot be used: {error}")?;
                let cause = error.source();
                cause.map_or(Ok(()), |cause| write!(f, " ({cause})"))
            }
        }
    }
}
