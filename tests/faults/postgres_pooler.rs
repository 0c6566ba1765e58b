//! What becomes of a call if the server crashes behind a pooler such as PgBouncer.

use http::StatusCode;
use tower_user_sessions::{
    PostgresStore, SessionLayer,
    store::{List, Resolve, SessionStore},
};

use crate::common::{
    http::{Client, user},
    log::Log,
    people::{is_live, signs_in, until},
    pooler::Pooler,
    postgres::{Server, patient, pool, url},
};

async fn behind(pooler: &Pooler, prepares: bool) -> PostgresStore {
    let store = patient(pool(&url(pooler.port), 1))
        .prepared(prepares)
        .build();
    store.migrate().await.unwrap();
    store
}

#[tokio::test]
async fn an_update_whose_reply_a_pooler_lost_counts_once() {
    let server = Server::start();
    let pooler = Pooler::before(server.port).await;
    let store = behind(&pooler, false).await;
    let layer = SessionLayer::new(store);
    let mut phone = Client::signed_in(&layer, "anna").await;
    assert_eq!(phone.user().await.as_deref(), Some("anna"));

    pooler.crashes_after("INSERT INTO tower_user_sessions_parts");
    let counts = phone.send(|session| async move {
        session
            .update("n", |n: Option<u32>| n.unwrap_or(0) + 1)
            .unwrap();
    });
    let status = counts.await.status;

    assert_eq!((status, pooler.crashed()), (StatusCode::OK, 1));
    let read = phone.send(|session| async move { session.get::<u32>("n").unwrap() });
    assert_eq!(read.await.value(), Some(1));
}

// T57
#[tokio::test]
async fn a_sign_in_that_answers_503_behind_a_pooler_is_not_live_afterwards() {
    let server = Server::start();
    let direct = server.store().await;
    let pooler = Pooler::before(server.port).await;
    let store = behind(&pooler, false).await;
    let layer = SessionLayer::new(store.clone());

    pooler.crashes_and_refuses_after("INSERT INTO tower_user_sessions AS h");
    let sign_in = Client::new(&layer)
        .send(|session| async move { session.log_in(user("anna")).unwrap() })
        .await;
    assert_eq!(sign_in.status, StatusCode::SERVICE_UNAVAILABLE);
    let list = List::new(store.tag(&user("anna")));
    assert_eq!(direct.list(&list).await.unwrap().len(), 1);
    pooler.heal();

    until("it has ended", async || {
        direct.list(&list).await.unwrap().is_empty()
    })
    .await;
}

#[tokio::test]
async fn a_crash_behind_a_pooler_does_not_end_prepared_statements() {
    let log = Log::start();
    let server = Server::start();
    let pooler = Pooler::before(server.port).await;
    let store = behind(&pooler, true).await;
    let phone = signs_in(&store, "anna").await;
    assert!(is_live(&store, &phone).await);

    pooler.crashes_after(phone.tag().as_bytes());
    for _ in 0..3 {
        assert!(is_live(&store, &phone).await);
    }
    assert_eq!(pooler.crashed(), 1);
    let _ = pooler.sent();
    assert!(is_live(&store, &phone).await);

    let sent = pooler.sent();
    assert!(!sent.contains("SELECT"), "{sent}");
    let warned = log.at(" WARN ");
    assert!(
        !warned.iter().any(|line| line.contains("not prepared")),
        "{warned:?}"
    );
}

/// PgBouncer opens connections while its server is away, and refuses what they ask.
#[tokio::test]
async fn a_connection_that_a_pooler_opens_does_not_end_the_outage_of_its_server() {
    let log = Log::start();
    let server = Server::start();
    let pooler = Pooler::before(server.port).await;
    let store = behind(&pooler, true).await;
    let resolve = Resolve::new(signs_in(&store, "anna").await);

    pooler.opens_and_refuses();
    until("the outage is known", async || {
        store.resolve(&resolve).await.is_err()
    })
    .await;
    let (before, lines) = (pooler.opened(), log.at("answers again").len());
    until(
        "connections are opened for calls that are dropped",
        async || {
            tokio::select! {
                biased;
                _ = store.resolve(&resolve) => {}
                () = tokio::task::yield_now() => {}
            }
            pooler.opened() >= before + 4
        },
    )
    .await;

    assert_eq!(log.at("answers again").len(), lines);
    pooler.heal();
    until("requests are answered", async || {
        store.resolve(&resolve).await.is_ok()
    })
    .await;
}
