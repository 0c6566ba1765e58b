//! `PostgresStore` keeps the contract of `SessionStore`, and uses the server's clock.

use std::time::Duration;

use deadpool_postgres::tokio_postgres::NoTls;
use tower_user_sessions::{
    Lifetime,
    store::{
        Created, ManualClock, PostgresStoreBuilder, Resolve, Resolved, SessionStore, Timestamp,
        conformance,
    },
};

use crate::common::{
    feed::Reader,
    http::DAY,
    people::{asks, is_live, listed, token, until},
    postgres::{Server, client, patient},
};

// T49 T14 T15 T19 T20 T21 T24 T25 T26 T27 T28 T29 T31 T32 T35 T42 T53 T57 T58 T76
#[tokio::test]
async fn keeps_the_whole_contract() {
    let server = Server::start();

    conformance::all(async |clock: ManualClock| {
        server.settles().await;
        server.store_at(clock).await
    })
    .await;
}

// T49
#[tokio::test]
async fn keeps_the_whole_contract_while_it_reports_what_changes() {
    let server = Server::start();
    drop(server.store().await);
    let listens = live(&server).build();
    let reader = Reader::of(&listens);
    until("it listens", async || reader.epochs() > 0).await;

    conformance::all(async |clock: ManualClock| {
        server.settles().await;
        let store = live(&server).clock(clock);
        store.activity_every(Duration::ZERO).build()
    })
    .await;

    let heard = reader.messages().len();
    assert!(heard > 100, "{heard}");
}

/// A store that reports changes of data, too.
fn live(server: &Server) -> PostgresStoreBuilder {
    let store = patient(server.pool()).live(server.url().parse().unwrap(), NoTls);
    store.report_writes(true)
}

// T49 T25
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_atomic_on_a_runtime_with_several_threads() {
    let server = Server::start();

    conformance::is_atomic(async |clock: ManualClock| server.store_at(clock).await).await;
}

/// The server's clock with a shift, in place of its own: a schema before `pg_catalog` hides that.
const SHIFTED: &str = "
    CREATE SCHEMA shifted;
    CREATE TABLE shifted.clock (shift interval NOT NULL);
    INSERT INTO shifted.clock VALUES ('0');
    CREATE FUNCTION shifted.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
        AS 'SELECT pg_catalog.clock_timestamp() + shift FROM shifted.clock';
    ALTER DATABASE postgres SET search_path = public, shifted, pg_catalog;";

async fn server_time(server: &Server) -> Timestamp {
    let now = "SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint";
    Timestamp::from_millis(server.number(now).await)
}

// T52
#[tokio::test]
async fn uses_the_servers_clock_also_if_it_is_days_behind_or_ahead() {
    let server = Server::start();
    client(&server.url())
        .await
        .batch_execute(SHIFTED)
        .await
        .unwrap();
    let store = server.store().await;
    let shift = async |days: i32| {
        let shift = format!("UPDATE shifted.clock SET shift = '{days} days'");
        server.ask(&shift).await;
    };

    for (user, days) in [("alice", -10), ("bob", 10)] {
        shift(days).await;
        let token = token(&store, user);
        let mut create = asks(user, &token);
        create.lifetime = Lifetime::new(2 * DAY, 30 * DAY);
        let before = server_time(&server).await;
        let Created::Created(made) = store.create(&create).await.unwrap() else {
            panic!("not created");
        };
        let resolved = store.resolve(&Resolve::new(token.clone())).await.unwrap();
        let Resolved::Live(found) = resolved else {
            panic!("not live");
        };
        let after = server_time(&server).await;
        assert!(before <= made.now && made.now <= found.now && found.now <= after);

        // A day later it is live, and three days later it has expired.
        shift(days + 1).await;
        assert_eq!(listed(&store, token.tag()).await.len(), 1);
        shift(days + 4).await;
        assert_eq!(listed(&store, token.tag()).await.len(), 0);
        assert!(!is_live(&store, &token).await);
    }
}
