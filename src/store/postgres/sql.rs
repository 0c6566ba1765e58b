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
pub(super) const READ: &[Type] = &[Type::BYTEA, Type::BYTEA];

/// The parameters of `change_parts.sql` and `insert.sql`. Those of `change.sql` are the first eleven, of `activity.sql` the
/// first nine.
pub(super) const WRITE: &[Type] = &[
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

/// The parameters of `delete.sql`.
pub(super) const DELETE: &[Type] = &[Type::BYTEA, Type::INT8, Type::TIMESTAMPTZ, Type::INT8];

/// The parameters of `purge.sql`.
pub(super) const PURGE: &[Type] = &[Type::TIMESTAMPTZ];

/// The parameters of `scan.sql`.
pub(super) const SCAN: &[Type] = &[Type::BYTEA, Type::INT8];

/// The parameters of `notify.sql`.
pub(super) const NOTIFY: &[Type] = &[Type::TEXT_ARRAY];

/// Every statement, with the names of the tables.
#[derive(Debug)]
pub(super) struct Statements {
    pub(super) migrate: String,
    pub(super) there: String,
    pub(super) read: String,
    pub(super) read_head: String,
    pub(super) activity: String,
    pub(super) change: String,
    pub(super) change_parts: String,
    pub(super) insert: String,
    pub(super) insert_parts: String,
    pub(super) delete: String,
    pub(super) purge: String,
    pub(super) scan: String,
    pub(super) estimate: String,
    pub(super) notify: String,
    /// Waits for synchronous standbys.
    pub(super) confirm: String,
    /// Returns the channel of the feed.
    pub(super) channel: String,
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
        let create = schema
            .as_ref()
            .map(|schema| format!("CREATE SCHEMA IF NOT EXISTS {schema};\n"));
        Self {
            migrate: create.unwrap_or_default() + &named(include_str!("sql/migrate.sql")),
            there: statement(include_str!("sql/there.sql")).replace("{literal}", &literal),
            read: named(include_str!("sql/read.sql")),
            read_head: named(include_str!("sql/read_head.sql")),
            activity: named(include_str!("sql/activity.sql")),
            change: named(include_str!("sql/change.sql")),
            change_parts: with(include_str!("sql/change_parts.sql"), &parts),
            insert: with(insert, ")\n"),
            insert_parts: with(insert, &parts),
            delete: named(include_str!("sql/delete.sql")),
            purge: named(include_str!("sql/purge.sql")),
            scan: named(include_str!("sql/scan.sql")),
            estimate: named(include_str!("sql/estimate.sql")).replace("{literal}", &literal),
            notify: named(include_str!("sql/notify.sql")).replace("{channel}", &channel),
            confirm: statement(include_str!("sql/confirm.sql")),
            channel: format!("SELECT {channel}"),
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
