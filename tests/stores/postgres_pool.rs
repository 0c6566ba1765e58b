//! Which calls take a connection of the pool first, if more wait than it has.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use deadpool_postgres::{Hook, Manager, Pool, tokio_postgres::NoTls};
use tower_user_sessions::{
    EndReason, PostgresStore, UserId,
    store::{End, Resolve, SessionStore, Which},
};

use crate::common::{
    people::{is_live, signs_in},
    postgres::{Server, client, patient, pool, url},
    wire::Wire,
};

/// Lets all other tasks run until each of them waits for something.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

// T24
#[tokio::test]
async fn an_end_and_a_sign_in_go_before_two_hundred_requests_that_wait_for_a_connection() {
    let server = Server::start();
    let pool = pool(&server.url(), 1);
    let store = PostgresStore::builder(pool.clone())
        .deadline(Duration::from_secs(60))
        // A request reads once and writes nothing.
        .activity_every(Duration::from_secs(60))
        .build();
    store.migrate().await.unwrap();
    let phone = signs_in(&store, "anna").await;
    let other = signs_in(&store, "bert").await;
    assert!(is_live(&store, &other).await);
    // The app uses the only connection itself.
    let held = pool.get().await.unwrap();
    let (answered, mut requests) = (Arc::new(AtomicU32::new(0)), tokio::task::JoinSet::new());
    for _ in 0..200 {
        let (store, answered) = (store.clone(), Arc::clone(&answered));
        let resolve = Resolve::new(other.clone());
        requests.spawn(async move {
            store.resolve(&resolve).await.unwrap();
            answered.fetch_add(1, SeqCst);
        });
    }
    settle().await;
    let sign_in = tokio::spawn({
        let (store, answered) = (store.clone(), Arc::clone(&answered));
        async move {
            signs_in(&store, "carl").await;
            answered.load(SeqCst)
        }
    });
    let end = tokio::spawn({
        let (store, answered) = (store.clone(), Arc::clone(&answered));
        let end = End::new(
            store.tag(&UserId::new("anna").unwrap()),
            Which::All,
            EndReason::Revoked,
        );
        async move {
            store.end(&end).await.unwrap();
            answered.load(SeqCst)
        }
    });
    settle().await;
    assert_eq!(answered.load(SeqCst), 0);
    drop(held);

    let (before_end, before_sign_in) = (end.await.unwrap(), sign_in.await.unwrap());

    // Each needs the connection twice, and every second call that gets it is a request.
    assert!(
        before_end <= 6 && before_sign_in <= 12,
        "{before_end} of 200 requests went before the end, {before_sign_in} before the sign-in"
    );
    requests.join_all().await;
    assert_eq!(answered.load(SeqCst), 200);
    assert!(!is_live(&store, &phone).await);
}

#[tokio::test]
async fn statements_that_a_connection_lost_cost_no_request_and_are_prepared_no_more() {
    let server = Server::start();
    let wire = Wire::before(server.port).await;
    // As behind PgBouncer in transaction mode: the next call may be on another connection of the server.
    let loses = Hook::async_fn(|client: &mut deadpool_postgres::ClientWrapper, _| {
        Box::pin(async {
            client.simple_query("DEALLOCATE ALL").await.unwrap();
            Ok(())
        })
    });
    let manager = Manager::new(url(wire.port).parse().unwrap(), NoTls);
    let pool = Pool::builder(manager).post_recycle(loses).max_size(1);
    let store = patient(pool.build().unwrap()).build();
    store.migrate().await.unwrap();

    let phone = signs_in(&store, "anna").await;
    for _ in 0..50 {
        assert!(is_live(&store, &phone).await);
    }

    // Each lost statement costs a connection. After the first one there are none to lose.
    assert!(wire.made() <= 3, "{} connections", wire.made());
}

#[tokio::test]
async fn another_statement_under_the_name_of_a_prepared_one_costs_no_request() {
    let server = Server::start();
    // As behind PgBouncer in transaction mode: another node has prepared its own under the same names.
    let swaps = Hook::async_fn(|client: &mut deadpool_postgres::ClientWrapper, _| {
        Box::pin(async {
            let names = (0..40).map(|at| {
                format!("PREPARE s{at}(int, int, int, int, int, int) AS SELECT $1 + $6;")
            });
            let sql = format!("DEALLOCATE ALL; {}", names.collect::<String>());
            client.simple_query(&sql).await.unwrap();
            Ok(())
        })
    });
    let manager = Manager::new(server.url().parse().unwrap(), NoTls);
    let pool = Pool::builder(manager).post_recycle(swaps).max_size(1);
    let store = patient(pool.build().unwrap()).build();
    store.migrate().await.unwrap();

    let phone = signs_in(&store, "anna").await;

    for _ in 0..10 {
        assert!(is_live(&store, &phone).await);
    }
}

#[tokio::test]
async fn a_failed_transaction_that_the_app_left_on_a_connection_costs_no_request() {
    let server = Server::start();
    let pool = pool(&server.url(), 1);
    let store = patient(pool.clone()).build();
    store.migrate().await.unwrap();
    let phone = signs_in(&store, "anna").await;

    let app = pool.get().await.unwrap();
    app.batch_execute("BEGIN; SELECT 1 / 0").await.unwrap_err();
    drop(app);

    assert!(is_live(&store, &phone).await);
    signs_in(&store, "bert").await;
}

/// Sends 20 requests at a time, 200 in all. Returns how many were not answered.
async fn unanswered(store: &PostgresStore, resolve: &Resolve) -> usize {
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (store, resolve) = (store.clone(), resolve.clone());
        clients.spawn(async move {
            let mut failed = 0;
            for _ in 0..10 {
                failed += usize::from(store.resolve(&resolve).await.is_err());
            }
            failed
        });
    }
    clients.join_all().await.iter().sum()
}

#[tokio::test]
async fn a_server_that_refuses_more_connections_costs_no_request_of_a_pool_that_has_some() {
    let server = Server::start();
    let setup = server.store().await;
    let resolve = Resolve::new(signs_in(&setup, "anna").await);
    server.passwords("app", "secret").await;
    let admin = client(&server.url()).await;
    admin
        .batch_execute("GRANT ALL ON tower_user_sessions, tower_user_sessions_parts TO app")
        .await
        .unwrap();
    let at = format!("postgres://app:secret@127.0.0.1:{}/postgres", server.port);
    for refusal in [
        "ALTER ROLE app CONNECTION LIMIT 1",
        "ALTER ROLE app CONNECTION LIMIT -1 PASSWORD 'another'",
    ] {
        let store = patient(pool(&at, 8)).build();
        // It opens the first connection.
        store.resolve(&resolve).await.unwrap();
        admin.batch_execute(refusal).await.unwrap();

        assert_eq!(unanswered(&store, &resolve).await, 0, "{refusal}");
    }
}
