//! The statements, one file each.

use deadpool_postgres::tokio_postgres::types::Type;

/// When a set is stored as not needed any more: a sixteenth later than it is, so that few updates move it.
const LATER: &str = "$5 + greatest($5 - {now}, interval '0') / 16";

/// The stored moment stays while it is late enough, and no later than twice of that.
const MOVED: &str = "CASE WHEN h.kept_until BETWEEN $5 AND $5 + greatest($5 - {now}, interval '0') / 8 \
                     THEN h.kept_until ELSE {later} END";

/// Settings for this one statement. Locks are waited for until `latest` at most: after a lock was waited for, the
/// condition of the statement is not always tested again.
const SETTINGS: &str = "set_config('lock_timeout', \
     greatest(1, least($11, ceil(date_part('epoch', $10 - {now}) * 1000)))::bigint::text, true)";

/// The settings of a statement that has only a time to wait.
const WAIT: &str = "set_config('lock_timeout', $4::text, true)";

/// The same, if synchronous standbys are waited for.
const CONFIRM: &str = " || set_config('synchronous_commit', 'remote_apply', true)";

/// The moment of a statement that has no `at`.
const NOW: &str = "coalesce($6, clock_timestamp())";

/// The parameters of `read.sql`. That of `read_head.sql` is the first.
const READ: &[Type] = &[Type::BYTEA, Type::BYTEA];

/// The parameters of `change_parts.sql` and `insert.sql`. Those of `change.sql` are the first eleven, of `activity.sql` the
/// first nine.
const WRITE: &[Type] = &[
    Type::BYTEA,
    Type::INT8,
    Type::INT8,
    Type::BYTEA,
    Type::TIMESTAMPTZ,
    Type::TIMESTAMPTZ,
    Type::BYTEA,
    Type::INT4,
    Type::TIMESTAMPTZ,
    Type::TIMESTAMPTZ,
    Type::INT8,
    Type::BYTEA_ARRAY,
    Type::BYTEA_ARRAY,
];

const DELETE: &[Type] = &[Type::BYTEA, Type::INT8, Type::TIMESTAMPTZ, Type::INT8];

/// A statement, with the types of its parameters.
#[derive(Debug)]
pub(super) struct Statement {
    pub(super) sql: String,
    pub(super) types: &'static [Type],
}

impl Statement {
    /// Whether a connection keeps it. Those without parameters run seldom.
    pub(super) fn is_prepared(&self) -> bool {
        !self.types.is_empty()
    }
}

/// Every statement, with the names of the tables.
#[derive(Debug)]
pub(super) struct Statements {
    pub(super) migrate: String,
    pub(super) there: Statement,
    pub(super) read: Statement,
    pub(super) read_head: Statement,
    pub(super) activity: Statement,
    pub(super) change: Statement,
    pub(super) change_parts: Statement,
    pub(super) insert: Statement,
    pub(super) insert_parts: Statement,
    pub(super) delete: Statement,
    pub(super) purge: Statement,
    pub(super) scan: Statement,
    pub(super) estimate: Statement,
    pub(super) notify: Statement,
    /// Waits for synchronous standbys.
    pub(super) confirm: Statement,
    /// Returns the channel of the feed.
    pub(super) channel: Statement,
}

impl Statements {
    /// For tables in this schema; `None` for the first one of the connection's search path. `confirm`: changes wait for
    /// synchronous standbys.
    pub(super) fn new(schema: Option<&str>, confirm: bool) -> Self {
        let schema = schema.map(quoted);
        let named = |sql: &str| placed(sql, schema.as_deref(), confirm);
        // The name of the table within quotes.
        let literal = named("tower_user_sessions").trim_end().replace('\'', "''");
        let channel = statement(include_str!("sql/channel.sql")).replace("{literal}", &literal);
        let insert = include_str!("sql/insert.sql");
        let parts = statement(include_str!("sql/parts.sql"));
        let with = |sql: &str, parts: &str| named(&sql.replace("{parts}\n)\n", parts));
        let of = |sql, types| Statement { sql, types };
        let create = schema
            .as_ref()
            .map(|schema| format!("CREATE SCHEMA IF NOT EXISTS {schema};\n"));
        Self {
            migrate: create.unwrap_or_default() + &named(include_str!("sql/migrate.sql")),
            there: of(
                statement(include_str!("sql/there.sql")).replace("{literal}", &literal),
                &[],
            ),
            read: of(named(include_str!("sql/read.sql")), READ),
            read_head: of(named(include_str!("sql/read_head.sql")), READ.split_at(1).0),
            activity: of(named(include_str!("sql/activity.sql")), WRITE.split_at(9).0),
            change: of(named(include_str!("sql/change.sql")), WRITE.split_at(11).0),
            change_parts: of(with(include_str!("sql/change_parts.sql"), &parts), WRITE),
            insert: of(with(insert, ")\n"), WRITE),
            insert_parts: of(with(insert, &parts), WRITE),
            delete: of(named(include_str!("sql/delete.sql")), DELETE),
            purge: of(
                named(include_str!("sql/purge.sql")),
                &[Type::TIMESTAMPTZ, Type::TIMESTAMPTZ],
            ),
            scan: of(
                named(include_str!("sql/scan.sql")),
                &[Type::BYTEA, Type::INT8],
            ),
            estimate: of(
                named(include_str!("sql/estimate.sql")).replace("{literal}", &literal),
                &[],
            ),
            notify: of(
                named(include_str!("sql/notify.sql")).replace("{channel}", &channel),
                &[Type::TEXT_ARRAY],
            ),
            confirm: of(statement(include_str!("sql/confirm.sql")), &[]),
            channel: of(format!("SELECT {channel}"), &[]),
        }
    }
}

/// The text without its comments, with the expressions that several statements have.
fn placed(sql: &str, schema: Option<&str>, confirm: bool) -> String {
    let confirm = if confirm { CONFIRM } else { "" };
    let (settings, wait) = (
        format!("({SETTINGS}{confirm})"),
        format!("({WAIT}{confirm})"),
    );
    let sql = statement(sql);
    let now = if sql.starts_with("WITH") { "now" } else { NOW };
    let sql = sql
        .replace("{moved}", MOVED)
        .replace("{later}", LATER)
        .replace("{settings}", &settings)
        .replace("{wait}", &wait)
        .replace("{now}", now);
    match schema {
        Some(schema) => sql.replace(
            "tower_user_sessions",
            &format!("{schema}.tower_user_sessions"),
        ),
        None => sql,
    }
}

/// The server parses the statement with each call, so comments stay at home.
fn statement(sql: &str) -> String {
    let lines = sql.lines().filter(|line| !line.starts_with("--"));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// The name of a schema as an identifier.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\"").replace('\0', ""))
}
