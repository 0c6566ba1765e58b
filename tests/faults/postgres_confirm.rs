//! What `confirm` acknowledges, if a change is only on the primary.

use std::time::Duration;

use tokio::task::JoinHandle;
use tower_user_sessions::{
    EndReason, PostgresStore,
    store::{Created, End, EndEveryone, Save, SessionStore, Token, Which},
};

use crate::common::{
    people::{asks, is_live, set, signs_in, token, until},
    postgres::{Server, client, patient, pool},
};

const WAITS: &str = "wait_event = 'SyncRep'";

/// A primary and its only standby, for which changes wait.
async fn synchronous() -> (Server, Server) {
    let primary = Server::start();
    primary.store().await;
    let app = "GRANT SELECT, INSERT, UPDATE, DELETE ON tower_user_sessions, tower_user_sessions_parts TO app";
    for sql in ["CREATE ROLE app LOGIN", app] {
        primary.ask(sql).await;
    }
    let standby = primary.standby();
    waits_for(&primary, &standby).await;
    (primary, standby)
}

/// From here on changes on the primary wait for this standby.
///
/// A process of its own finds that out from the new settings when it has time. No view shows whether it has, so a change is
/// tried.
pub(crate) async fn waits_for(primary: &Server, standby: &Server) {
    primary
        .ask("ALTER SYSTEM SET synchronous_standby_names = '*'")
        .await;
    primary.ask("SELECT pg_reload_conf()").await;
    until("the standby is a synchronous one", async || {
        let sql = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
        primary.number(sql).await == 1
    })
    .await;
    until("changes wait for it", async || {
        standby.suspend();
        let url = primary.url();
        let change = tokio::spawn(async move {
            let change = "SELECT pg_logical_emit_message(true, 'a change', '')";
            client(&url).await.batch_execute(change).await.unwrap();
        });
        until("it waits or is answered", async || {
            change.is_finished() || waiting(primary, 0).await == 1
        })
        .await;
        let waits = !change.is_finished();
        standby.resume();
        change.await.unwrap();
        waits
    })
    .await;
}

/// A store of a user with no more privileges than it needs.
fn confirming(primary: &Server, deadline: Duration, notice_kept: Duration) -> PostgresStore {
    // By itself a connection waits for no standby.
    let options = "options=-c%20synchronous_commit%3Dlocal";
    let url = format!(
        "postgres://app@127.0.0.1:{}/postgres?{options}",
        primary.port
    );
    PostgresStore::builder(pool(&url, 8))
        .notice_kept(notice_kept)
        .confirm(true)
        .deadline(deadline)
        .build()
}

/// How many changes wait for the standby, without this one.
async fn waiting(primary: &Server, without: i32) -> i64 {
    let sql = format!("SELECT count(*) FROM pg_stat_activity WHERE {WAITS} AND pid <> {without}");
    primary.number(&sql).await
}

/// Closes the connection of the one change that waits for the standby. It stays on the primary. Returns the number of its
/// process.
async fn terminates(primary: &Server) -> i32 {
    until("a change waits", async || waiting(primary, 0).await == 1).await;
    let sql = format!("SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity WHERE {WAITS}");
    let process = primary.ask(&sql).await[0].get(0);
    until("it is closed", async || {
        let sql = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {process}");
        primary.number(&sql).await == 0
    })
    .await;
    process
}

fn one(token: &Token) -> End {
    let one = Which::One(token.session_id());
    End::new(token.tag(), one, EndReason::Revoked)
}

// T71
#[tokio::test]
async fn an_end_that_only_the_primary_has_is_an_error_however_often_it_is_repeated() {
    let (primary, standby) = synchronous().await;
    let second = Duration::from_secs(1);
    let store = confirming(&primary, second, Duration::from_secs(3_600));
    // It leaves nothing of a session set without live sessions.
    let other = confirming(&primary, second, Duration::ZERO);
    let moment = store.end_everyone(EndEveryone::Now).await.unwrap();
    let later = EndEveryone::Before(moment.plus(Duration::from_millis(1)));
    let (anna, bert) = (
        signs_in(&store, "anna").await,
        signs_in(&other, "bert").await,
    );
    let ends = [(&store, one(&anna)), (&other, one(&bert))];
    standby.suspend();

    for (store, end) in &ends {
        store.end(end).await.unwrap_err();
        terminates(&primary).await;
    }
    store.end_everyone(later).await.unwrap_err();
    terminates(&primary).await;

    let direct = patient(primary.pool()).build();
    assert!(!is_live(&direct, &anna).await && !is_live(&direct, &bert).await);
    for (store, end) in &ends {
        let again = store.end(end).await;
        assert!(again.is_err(), "{again:?}");
    }
    let again = store.end_everyone(later).await;
    assert!(again.is_err(), "{again:?}");

    standby.resume();
    for (store, end) in &ends {
        until("an end is acknowledged", async || {
            store.end(end).await.is_ok()
        })
        .await;
    }
    until("and that of all users", async || {
        store.end_everyone(later).await.is_ok()
    })
    .await;
}

/// Whether this call, whose connection is terminated, waits for the standby with another one. Then the standby is back.
async fn waits<T>(primary: &Server, standby: &Server, call: JoinHandle<T>) -> Option<T> {
    let process = terminates(primary).await;
    until("it waits again or is answered", async || {
        call.is_finished() || waiting(primary, process).await == 1
    })
    .await;
    if call.is_finished() {
        return None;
    }
    standby.resume();
    Some(call.await.unwrap())
}

// T71
#[tokio::test]
async fn a_change_whose_connection_is_terminated_is_not_answered_before_the_standby_has_it() {
    let (primary, standby) = synchronous().await;
    let store = confirming(&primary, Duration::from_secs(60), Duration::ZERO);
    let phone = signs_in(&store, "anna").await;

    standby.suspend();
    let sign_in = tokio::spawn({
        let store = store.clone();
        async move { store.create(&asks("anna", &token(&store, "anna"))).await }
    });
    let created = waits(&primary, &standby, sign_in).await;
    let is_created = |created: &_| matches!(created, Ok(Created::Created(_)));
    assert!(created.as_ref().is_some_and(is_created), "{created:?}");

    standby.suspend();
    let saves = tokio::spawn({
        let (store, tag, id) = (store.clone(), phone.tag(), phone.session_id());
        async move { store.save(&Save::new(tag, id, set("color", "red"))).await }
    });
    let saved = waits(&primary, &standby, saves).await;
    assert!(matches!(saved, Some(Ok(_))), "{saved:?}");

    standby.suspend();
    let ends = tokio::spawn({
        let (store, end) = (store.clone(), one(&phone));
        async move { store.end(&end).await }
    });
    let ended = waits(&primary, &standby, ends).await;
    assert!(matches!(ended, Some(Ok(_))), "{ended:?}");
}
