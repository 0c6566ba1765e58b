//! What an error of PostgreSQL means for the call that met it.

use std::{error::Error, fmt};

use deadpool_postgres::{
    PoolError,
    tokio_postgres::{
        self,
        error::{DbError, Severity},
        tls::NoTlsError,
    },
};

use crate::store::{Lacks, StoreError, StoreErrorKind};

/// Why a call failed.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) kind: StoreErrorKind,
    /// Whether the statement did nothing and will do nothing.
    pub(super) nothing_ran: bool,
    /// Whether another transaction won.
    pub(super) lost: bool,
    /// Whether there was no reply at all.
    pub(super) silent: bool,
    /// Whether the connection was opened for the call.
    pub(super) is_new: bool,
    /// Whether the server takes no writes.
    pub(super) demoted: bool,
    /// Whether the connection lacks a statement that it prepared.
    pub(super) forgot: bool,
    /// Whether the server is there and refused one more connection.
    pub(super) refused: bool,
    /// What follows for the connection, and for the others.
    pub(super) of: Of,
    pub(super) cause: Cause,
}

/// What failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Of {
    /// The statement alone: the connection can be used again.
    Statement,
    /// The connection, and perhaps others to the same server.
    Connection,
    /// No connection could be opened.
    Server,
    /// No connection of the pool became free in time.
    Pool,
}

/// The cause as logs show it.
///
/// An error of the server can quote a row, and so the name of a user. Only its code and its message are printed.
#[derive(Debug)]
pub(super) enum Cause {
    /// The server answered with an error.
    Server { code: String, message: String },
    /// The way to the server failed.
    Way(tokio_postgres::Error),
    /// It is explained here.
    Text(&'static str),
}

impl Failure {
    /// A statement failed with this error.
    pub(super) fn of(error: tokio_postgres::Error) -> Self {
        let Some(told) = error.as_db_error() else {
            let no_tls = error
                .source()
                .is_some_and(|source| source.is::<NoTlsError>());
            let cause = if no_tls {
                Cause::Text(NO_TLS)
            } else {
                Cause::Way(error)
            };
            return Self::new(Of::Connection, StoreErrorKind::Unavailable, cause);
        };
        let code = told.code().code();
        // After an error of another severity the server closes the connection, perhaps between commit and reply. A pooler such
        // as PgBouncer sends only the severity that PostgreSQL translates. It does not know what the server did.
        let fatal = !matches!(told.parsed_severity(), Some(Severity::Error));
        let of = if fatal || leaves(code) {
            Of::Connection
        } else {
            Of::Statement
        };
        Self {
            nothing_ran: !fatal,
            lost: matches!(code, "40001" | "40P01"),
            demoted: code == "25006",
            forgot: matches!(code, "26000" | "42P05"),
            ..Self::new(of, kind(code), Cause::server(told))
        }
    }

    /// On this connection: if it was opened for the call, another one would fare no better.
    pub(super) fn on(self, is_new: bool) -> Self {
        let of = match self.of {
            Of::Connection if is_new && !self.silent && !self.demoted && !self.forgot => Of::Server,
            of => of,
        };
        Self { of, is_new, ..self }
    }

    /// The statement was a prepared one. Then these codes say that the connection has another one under its name. A pooler
    /// uses the first one for all that goes wrong, so the server itself must have refused the statement.
    pub(super) fn prepared(self, prepared: bool) -> Self {
        let is_another = matches!(&self.cause, Cause::Server { code, .. } if matches!(code.as_str(), "08P01" | "22P03"));
        if !prepared || !is_another || !self.nothing_ran {
            return self;
        }
        Self {
            forgot: true,
            of: Of::Connection,
            ..self
        }
    }

    /// If the server takes no writes and another one was looked for a moment ago, the connection stays.
    pub(super) fn if_it(self, stays: bool) -> Self {
        let of = if stays && self.demoted {
            Of::Statement
        } else {
            self.of
        };
        Self { of, ..self }
    }

    pub(super) fn error(self) -> StoreError {
        let error = StoreError::new(self.kind).with_lack(self.lacks());
        error.with_source(self.cause)
    }

    /// What is missing on a server that answered.
    pub(super) fn lacks(&self) -> Option<Lacks> {
        let Cause::Server { code, .. } = &self.cause else {
            return None;
        };
        match code.as_str() {
            "3D000" => Some(Lacks::Database),
            "42P01" => Some(Lacks::Tables),
            _ => None,
        }
    }

    /// What is known of most.
    fn new(of: Of, kind: StoreErrorKind, cause: Cause) -> Self {
        Self {
            kind,
            nothing_ran: false,
            lost: false,
            silent: false,
            is_new: false,
            demoted: false,
            forgot: false,
            refused: false,
            of,
            cause,
        }
    }

    /// The server that answers reads is a standby.
    pub(super) fn standby() -> Self {
        Self {
            demoted: true,
            nothing_ran: true,
            // A new connection to the same address may lead to another server, and perhaps not at once.
            ..Self::new(
                Of::Server,
                StoreErrorKind::Unavailable,
                Cause::Text(STANDBY),
            )
        }
    }

    /// No connection came out of the pool.
    pub(super) fn of_pool(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) => Self {
                nothing_ran: true,
                of: Of::Server,
                // 57P01 to 57P03: it stops or starts.
                refused: error
                    .code()
                    .is_some_and(|code| !code.code().starts_with("57P")),
                ..Self::of(error)
            },
            PoolError::Timeout(_) => Self::busy(),
            PoolError::Closed => Self::unsent(
                Of::Pool,
                "the pool of connections was closed by this process",
            ),
            PoolError::NoRuntimeSpecified => Self::unsent(
                Of::Pool,
                "the pool has time limits and no runtime: build it with `.runtime(Runtime::Tokio1)`",
            ),
            PoolError::PostCreateHook(_) => Self::unsent(
                Of::Server,
                "the pool's `post_create` hook rejected the connection",
            ),
        }
    }

    /// All connections of the pool are in use.
    pub(super) fn busy() -> Self {
        Self {
            kind: StoreErrorKind::Busy,
            ..Self::unsent(
                Of::Pool,
                "no connection of the pool became free in time: is `max_size` too small?",
            )
        }
    }

    /// No connection was opened in time.
    pub(super) fn not_connected() -> Self {
        Self {
            kind: StoreErrorKind::Timeout,
            ..Self::unsent(
                Of::Server,
                "PostgreSQL does not answer on a new connection: if connecting takes longer than half of the store's \
                 `deadline`, set a longer one",
            )
        }
    }

    /// The name of the index is that of another table's.
    pub(super) fn name_taken() -> Self {
        Self::unsent(Of::Statement, TAKEN)
    }

    /// A statement was not answered in time.
    pub(super) fn silent() -> Self {
        let cause = Cause::Text("PostgreSQL did not answer the statement in time");
        Self {
            silent: true,
            ..Self::new(Of::Connection, StoreErrorKind::Timeout, cause)
        }
    }

    fn unsent(of: Of, text: &'static str) -> Self {
        Self {
            nothing_ran: true,
            ..Self::new(of, StoreErrorKind::Unavailable, Cause::Text(text))
        }
    }
}

const STANDBY: &str = "this PostgreSQL is a standby, which takes no writes: name all servers of the cluster, with \
                       `target_session_attrs=read-write`";

/// A standby and a setting give the same error.
const NO_WRITES: &str = "the server takes no writes. If it is a standby, name all servers of the cluster, with \
                         `target_session_attrs=read-write`. Otherwise `default_transaction_read_only` is on for the user, \
                         the database or the server";

const NO_SCHEMA: &str = ". The `search_path` of the connection names no schema that exists: set it, or name a schema with \
                         `PostgresStoreBuilder::schema`";

const TAKEN: &str = "the index `user_sessions_kept_until` belongs to another table of the schema, perhaps to one that was \
                     renamed: rename the index too, and call `migrate` again";

const NO_TLS: &str = "the settings of the pool require TLS (`sslmode`), and it was made with `NoTls`: make it with a TLS \
                      connector of tokio-postgres";

const CREATE: &str = ". To create the tables there the user needs `GRANT CREATE ON SCHEMA public TO app` or `ALTER DATABASE \
                      shop OWNER TO app`, with the names of your schema, user and database. To use them it needs `USAGE`";

const SCHEMA: &str = ". With `schema`, `migrate` needs `GRANT CREATE ON DATABASE shop TO app`, with the names of your database \
                      and user";

/// Whether a connection that answered with this code is of no use any more.
fn leaves(code: &str) -> bool {
    // 26000, 42P05 and 0A000: what the connection prepared is gone, another one's, or of an older table.
    // 25P02: the app gave it back within a transaction that had failed.
    // 25006: the server is a standby, or was demoted. 57P01 to 57P03: it stops or starts. 08: the connection broke.
    matches!(
        code,
        "0A000" | "25006" | "25P02" | "26000" | "42P05" | "57P01" | "57P02" | "57P03"
    ) || code.starts_with("08")
}

/// The kind of error for this SQLSTATE.
fn kind(code: &str) -> StoreErrorKind {
    match code {
        // Too many connections.
        "53300" => StoreErrorKind::Busy,
        // A privilege is missing.
        "42501" => StoreErrorKind::Denied,
        // Cancelled, by `statement_timeout` for example; a lock that was not free in time.
        "57014" | "55P03" => StoreErrorKind::Timeout,
        _ => match code.get(..2) {
            Some("28") => StoreErrorKind::Denied,
            Some("53") => StoreErrorKind::Full,
            _ => StoreErrorKind::Unavailable,
        },
    }
}

impl Cause {
    fn server(told: &DbError) -> Self {
        Self::Server {
            code: told.code().code().to_owned(),
            message: told.message().to_owned(),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server { code, message } => {
                write!(f, "PostgreSQL answered with SQLSTATE {code}: {message}")?;
                match code.as_str() {
                    "42P01" => f.write_str(": create the tables with `PostgresStore::migrate`"),
                    // A missing privilege to use tables that exist names the table.
                    "42501" if message.contains("for schema") => f.write_str(CREATE),
                    "42501" if message.contains("for database") => f.write_str(SCHEMA),
                    "25006" => write!(f, ": {NO_WRITES}"),
                    // A schema that is named and absent is in the message.
                    "3F000" if message.contains("to create in") => f.write_str(NO_SCHEMA),
                    _ => Ok(()),
                }
            }
            Self::Way(error) => error.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl Error for Cause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Way(error) => error.source(),
            Self::Server { .. } | Self::Text(_) => None,
        }
    }
}
