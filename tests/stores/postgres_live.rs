//! What one node does to a session reaches the streams of another node, by LISTEN and NOTIFY.

use std::time::Duration;

use axum::{Router, extract::State, routing::post};
use deadpool_postgres::tokio_postgres::NoTls;
use tokio::{sync::mpsc, time::timeout};
use tower::ServiceExt;
use tower_user_sessions::{
    EndReason, PostgresStore, Session, SessionLayer, UserId,
    store::{End, SessionStore, Tag, Which},
};

use crate::common::{
    feed::Reader,
    people::{signs_in, until},
    postgres::{Server, url},
    wire::Wire,
};

/// A store that listens on this port.
fn live(server: &Server, listens: u16) -> PostgresStore {
    PostgresStore::builder(server.pool())
        .live(url(listens).parse().unwrap(), NoTls)
        .build()
}

fn tag(store: &PostgresStore) -> Tag {
    store.tag(&UserId::new("anna").unwrap())
}

/// Signs anna in, and returns a stream of hers that is open.
async fn stream(store: &PostgresStore) -> tower_user_sessions::LiveSession {
    async fn log_in(
        State(sends): State<mpsc::UnboundedSender<tower_user_sessions::LiveSession>>,
        session: Session,
    ) {
        session.log_in("anna").unwrap();
        session.commit().await.unwrap();
        sends.send(session.live().unwrap()).unwrap();
    }
    let (sends, mut sent) = mpsc::unbounded_channel();
    let app = Router::new()
        .route("/", post(log_in))
        .with_state(sends)
        .layer(SessionLayer::new(store.clone()));
    let request = http::Request::post("/")
        .body(axum::body::Body::empty())
        .unwrap();
    let response = app.oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    sent.recv().await.unwrap()
}

async fn trusts(store: &PostgresStore) {
    let feed = store.feed().unwrap();
    until("the feed is trusted", async || {
        feed.state(tag(store)).trusted
    })
    .await;
}

// T24
#[tokio::test]
async fn an_end_on_one_node_ends_the_streams_of_another_at_once() {
    let server = Server::start();
    let setup = server.store().await;
    let wire = Wire::before(server.port).await;
    let (here, there) = (live(&server, wire.port), live(&server, server.port));
    let open = stream(&here).await;
    trusts(&here).await;

    there
        .end(&End::new(tag(&there), Which::All, EndReason::Revoked))
        .await
        .unwrap();

    // Without the message it would look again within a minute.
    let end = timeout(Duration::from_secs(10), open.ended())
        .await
        .unwrap();
    assert_eq!(
        end.notice().map(|notice| notice.reason),
        Some(EndReason::Revoked)
    );

    // What happens while the connection is cut is noticed once it is back: the epoch is another one.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let open = stream(&here).await;
    trusts(&here).await;
    let before = here.feed().unwrap().state(tag(&here)).epoch;
    wire.be_silent(true);
    wire.cut();
    setup
        .end(&End::new(tag(&setup), Which::All, EndReason::Revoked))
        .await
        .unwrap();
    wire.be_silent(false);
    until("it listens again", async || {
        here.feed().unwrap().state(tag(&here)).epoch != before
    })
    .await;
    timeout(Duration::from_secs(20), open.ended())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_store_without_readers_does_not_listen() {
    let server = Server::start();
    drop(server.store().await);
    let wire = Wire::before(server.port).await;
    let store = live(&server, wire.port);
    let listens = async || {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'";
        server.number(sql).await
    };

    assert!(store.feed().is_some());
    store
        .end(&End::new(tag(&store), Which::All, EndReason::Revoked))
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!((listens().await, wire.made()), (0, 0));

    let open = stream(&store).await;
    trusts(&store).await;
    assert_eq!(wire.made(), 1);
    drop(open);
}

#[tokio::test]
async fn a_reader_is_enough_for_a_store_to_listen() {
    let server = Server::start();
    let setup = server.store().await;
    let store = live(&server, server.port);
    signs_in(&setup, "anna").await;

    // No call of this store follows.
    let reader = Reader::trusting(&store, tag(&store)).await;

    let end = End::new(tag(&setup), Which::All, EndReason::Revoked);
    live(&server, server.port).end(&end).await.unwrap();
    reader.news(tag(&store)).await;
    assert!(reader.is_trusted(tag(&store)));
}

// T72
#[tokio::test]
async fn the_first_message_of_a_node_to_itself_begins_an_epoch() {
    let server = Server::start();
    drop(server.store().await);
    let store = live(&server, server.port);
    let _open = stream(&store).await;

    let reader = Reader::trusting(&store, tag(&store)).await;

    // Between LISTEN and that message, calls may have gone to the previous primary.
    assert!(reader.epochs() >= 2, "{}", reader.epochs());
}
