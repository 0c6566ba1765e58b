//! The strings that others depend on do not change: clients, dashboards, alerts, and sessions that an
//! older version stored.
//!
//! They do not follow a name in the code: the code of `EndReason::Rejected` is `void`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use tower_user_sessions::{
    EndReason, Timestamp,
    events::{EventKind, Initiator, Refusal},
    store::{Digest, End, EndNotice, SeenDevice, SessionStore, Which},
};

use crate::common::{people, redis};

/// Each group in the order of the text.
const PINNED: [(&str, &[&str]); 9] = [
    (
        "why a session ended, with its code in stored notices",
        &[
            "administrator 5",
            "client_changed 13",
            "credentials_changed 8",
            "disabled 9",
            "everyone 14",
            "evicted 2",
            "expired 12",
            "identity_provider 11",
            "logged_out 1",
            "replaced 4",
            "revoked 3",
            "token_reuse 10",
            "undelivered 6",
            "void 7",
        ],
    ),
    (
        "why a sign-in was refused",
        &["disabled", "limit_reached", "no_ticket", "too_old", "void"],
    ),
    (
        "kinds of events",
        &[
            "client_changed",
            "created",
            "ended",
            "everyone_ended",
            "expired",
            "new_device",
            "reauthenticated",
            "refused",
            "rotated",
            "token_reuse",
            "token_shared",
            "write_lost",
        ],
    ),
    ("initiators", &["admin", "policy", "system", "user"]),
    (
        "reasons of the layer's own responses",
        &[
            "insufficient_user_authentication",
            "limit_reached",
            "no_session",
            "no_ticket",
            "not_read",
            "not_signed_in",
            "not_stored",
            "not_yours",
            "sign_in_disabled",
            "sign_in_too_old",
            "sign_in_void",
            "unavailable",
        ],
    ),
    (
        "further reasons of the device API",
        &["foreign_origin", "method_not_allowed", "not_found"],
    ),
    (
        "metrics",
        &[
            "tower_user_sessions_dropped_events_total",
            "tower_user_sessions_ends_total",
            "tower_user_sessions_evictions_total",
            "tower_user_sessions_feed_changes_total",
            "tower_user_sessions_feed_messages_total",
            "tower_user_sessions_file_backups_total",
            "tower_user_sessions_file_changes_total",
            "tower_user_sessions_file_commit_seconds",
            "tower_user_sessions_file_commit_sets",
            "tower_user_sessions_file_commits_total",
            "tower_user_sessions_logins_total",
            "tower_user_sessions_notices_shown_total",
            "tower_user_sessions_postgres_busy_total",
            "tower_user_sessions_postgres_changes_total",
            "tower_user_sessions_postgres_connects_total",
            "tower_user_sessions_postgres_given_up_total",
            "tower_user_sessions_postgres_in_flight",
            "tower_user_sessions_redis_busy_total",
            "tower_user_sessions_redis_changes_total",
            "tower_user_sessions_redis_confirms_total",
            "tower_user_sessions_redis_connects_total",
            "tower_user_sessions_redis_given_up_total",
            "tower_user_sessions_redis_in_flight",
            "tower_user_sessions_redis_replaced_total",
            "tower_user_sessions_redis_resent_total",
            "tower_user_sessions_redis_undelivered_lost_total",
            "tower_user_sessions_refusals_total",
            "tower_user_sessions_resolves_total",
            "tower_user_sessions_store_seconds",
            "tower_user_sessions_token_reuse_total",
        ],
    ),
    (
        "labels of metrics and their values",
        &[
            "create",
            "down",
            "end",
            "ended",
            "error",
            "expired",
            "failed",
            "file",
            "forget",
            "late",
            "list",
            "live",
            "look",
            "note_client",
            "ok",
            "operation",
            "outcome",
            "postgres",
            "reason",
            "redis",
            "resolve",
            "reused",
            "rotate",
            "save",
            "ticket",
            "to",
            "touch",
            "trusted",
            "unknown",
            "untrusted",
            "up",
        ],
    ),
    (
        "fields of a session set in Redis",
        &[
            "<id>",
            "<id>.data",
            "<id>.made",
            "barred",
            "cut",
            "devices",
            "set_by",
        ],
    ),
];

fn pinned(group: &str) -> BTreeSet<String> {
    let (_, strings) = PINNED.iter().find(|(name, _)| *name == group).unwrap();
    assert!(strings.is_sorted(), "{group}");
    strings.iter().map(|text| (*text).to_owned()).collect()
}

fn set<T: Into<String>>(strings: impl IntoIterator<Item = T>) -> BTreeSet<String> {
    strings.into_iter().map(Into::into).collect()
}

fn source(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The string literals of a source text that are codes: lower case, digits and underscores.
fn codes(source: &str) -> BTreeSet<String> {
    let code = source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let literals = code.flat_map(|line| line.split('"').skip(1).step_by(2));
    let is_code = |text: &&str| {
        let mut letters = text.bytes();
        !text.is_empty() && letters.all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
    };
    set(literals.filter(is_code))
}

/// The body of the function that begins with this line.
fn function<'a>(source: &'a str, head: &str) -> &'a str {
    let (_, rest) = source.split_once(head).unwrap();
    rest.split_once("\n    }\n").unwrap().0
}

#[test]
fn no_code_of_an_end_changes() {
    let reasons = [
        EndReason::Administrator,
        EndReason::CredentialsChanged,
        EndReason::Disabled,
        EndReason::Everyone,
        EndReason::Evicted,
        EndReason::Expired,
        EndReason::IdentityProvider,
        EndReason::LoggedOut,
        EndReason::Rejected,
        EndReason::Replaced,
        EndReason::Revoked,
        EndReason::ClientChanged,
        EndReason::TokenReuse,
        EndReason::Undelivered,
    ];
    let at = Timestamp::from_millis(0);
    let found = reasons.map(|reason| {
        let notice = EndNotice::new(Digest::from_bytes([0; 32]), reason, at, None, at);
        // Version, kind, kept until and digest come before it.
        format!("{} {}", reason.as_str(), notice.encode()[42])
    });

    assert_eq!(
        set(found),
        pinned("why a session ended, with its code in stored notices")
    );
    // None is missing above.
    let all = source("src/model/ended.rs");
    let all = codes(function(&all, "pub const fn as_str(self)"));
    assert_eq!(all.len(), reasons.len());
}

#[test]
fn no_code_of_an_event_changes() {
    let refusals = [
        Refusal::Disabled,
        Refusal::LimitReached,
        Refusal::NoTicket,
        Refusal::Rejected,
        Refusal::TooOld,
    ];
    let kinds = [
        EventKind::Created,
        EventKind::Ended,
        EventKind::EveryoneEnded,
        EventKind::Expired,
        EventKind::NewDevice,
        EventKind::Reauthenticated,
        EventKind::Refused(Refusal::Disabled),
        EventKind::Rotated,
        EventKind::ClientChanged,
        EventKind::TokenShared,
        EventKind::TokenReuse,
        EventKind::WriteLost,
    ];
    let initiators = [
        Initiator::Admin,
        Initiator::Policy,
        Initiator::System,
        Initiator::User,
    ];

    let refusals = set(refusals.map(Refusal::as_str));
    let kinds = set(kinds.map(EventKind::as_str));
    let initiators = set(initiators.map(Initiator::as_str));

    assert_eq!(refusals, pinned("why a sign-in was refused"));
    assert_eq!(kinds, pinned("kinds of events"));
    assert_eq!(initiators, pinned("initiators"));
    // None is missing above.
    let all = codes(&source("src/model/event.rs"));
    assert_eq!(all, &(&refusals | &kinds) | &initiators);
}

#[test]
fn no_reason_of_a_response_changes() {
    let layer = source("src/layer/reject.rs");
    let layer = codes(function(&layer, "pub fn reason(&self)"));
    let api = codes(&source("src/api/answer.rs"));

    assert_eq!(layer, pinned("reasons of the layer's own responses"));
    let further = set(api.difference(&layer).cloned());
    assert_eq!(further, pinned("further reasons of the device API"));
}

#[test]
fn no_name_of_a_metric_changes() {
    let found = codes(&source("src/store/meter.rs"));

    let (names, labels): (BTreeSet<String>, BTreeSet<String>) = found
        .into_iter()
        .partition(|text| text.starts_with("tower_user_sessions_"));
    assert_eq!(names, pinned("metrics"));
    assert_eq!(labels, pinned("labels of metrics and their values"));
}

#[tokio::test]
async fn no_field_in_redis_changes() {
    let server = redis::Server::start();
    let store = server.patient();
    let token = people::token(&store, "alice");
    let mut create = people::asks("alice", &token);
    create.changes = people::set("cart", "apple");
    create.device = Some(SeenDevice {
        digest: [1; 12],
        kept: Duration::from_secs(60),
    });
    store.create(&create).await.unwrap();
    let others = Which::Others(token.session_id());
    let mut end = End::new(token.tag(), others, EndReason::Disabled);
    end.bar = Some(Duration::from_secs(60));
    store.end(&end).await.unwrap();

    let keys: Vec<String> = server.ask("KEYS *").await;
    let fields: Vec<String> = server.ask(&format!("HKEYS {}", keys[0])).await;

    let id = token.session_id().to_string();
    let found = fields.iter().map(|field| field.replace(&id, "<id>"));
    assert_eq!(set(found), pinned("fields of a session set in Redis"));
    assert_eq!(keys, [format!("sessions:{{{}}}", token.tag())]);
}
