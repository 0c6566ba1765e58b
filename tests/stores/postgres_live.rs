//! What one node does to a session reaches the streams of another node, by LISTEN and NOTIFY.

use std::time::Duration;

use axum::{Router, extract::State, routing::post};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use deadpool_postgres::tokio_postgres::NoTls;
use tokio::{sync::mpsc, time::timeout};
use tower::ServiceExt;
use tower_user_sessions::{
    EndReason, Everyone, PostgresStore, Session, SessionLayer, UserId,
    store::{
        End, FeedMessage, FeedNews, Renewal, Rotate, Salt, Save, SessionStore, Tag, Timestamp,
        Which,
    },
};

use crate::common::{
    feed::Reader,
    log::Log,
    people::{set, signs_in, until},
    postgres::{Server, patient, pool, url},
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
async fn changes_of_data_are_reported_only_for_a_near_cache_and_ends_and_new_tokens_always() {
    let server = Server::start();
    drop(server.store().await);
    for (user, writes, wanted) in [
        ("anna", false, "Renewed Ended"),
        ("berta", true, "Written Renewed Ended"),
    ] {
        let store = patient(server.pool())
            .live(url(server.port).parse().unwrap(), NoTls)
            .report_writes(writes)
            .build();
        let token = signs_in(&store, user).await;
        let reader = Reader::trusting(&store, token.tag()).await;

        let save = Save::new(token.tag(), token.session_id(), set("cart", "apple"));
        store.save(&save).await.unwrap();
        let salt = Salt::from_bytes([7; 16]);
        let next = token.successor(&salt);
        let rotate = Rotate::new(&token, &next, Renewal::Derived(salt));
        store.rotate(&rotate).await.unwrap();
        let end = End::new(token.tag(), Which::All, EndReason::Revoked);
        store.end(&end).await.unwrap();

        // They arrive in their order, so the last one is the end.
        let mut kinds: Vec<&str> = Vec::new();
        while kinds.last() != Some(&"Ended") {
            let news = reader.news(token.tag()).await;
            kinds.extend(news.iter().map(|news| match news {
                FeedNews::Written(_) => "Written",
                FeedNews::Renewed(_) => "Renewed",
                FeedNews::Ended(_) => "Ended",
                other => panic!("{other:?}"),
            }));
        }
        assert_eq!(kinds.join(" "), wanted, "{writes}");
    }
}

// T74
#[tokio::test]
async fn neither_a_forged_message_nor_the_end_of_all_in_another_schema_signs_anybody_out() {
    let server = Server::start();
    server.ask("CREATE SCHEMA shop").await;
    server.ask("CREATE SCHEMA blog").await;
    let on = async |path: &str| {
        let url = format!("{}?options=-c%20search_path%3D{path}", server.url());
        let store = PostgresStore::builder(pool(&url, 4))
            .live(url.parse().unwrap(), NoTls)
            .build();
        store.migrate().await.unwrap();
        store
    };
    let (shop, blog) = (on("shop").await, on("blog").await);
    let open = stream(&shop).await;
    trusts(&shop).await;
    let everyone = Everyone::new(shop.clone());

    Everyone::new(blog).end_all().await.unwrap();
    let forged = FeedMessage::everyone(Timestamp::from_millis(253_402_300_799_000));
    let forged = URL_SAFE_NO_PAD.encode(forged.encode());
    // Nodes of all versions must agree on the name: it has a hash of `shop`.
    let forge = format!("SELECT pg_notify('tower_user_sessions_8d9001d32c6a703d', '{forged}')");
    for _ in 0..20 {
        server.ask(&forge).await;
        assert_eq!(everyone.ended_before().await.unwrap(), None);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    assert!(open.end().is_none());
    let rows = "SELECT count(*) FROM shop.tower_user_sessions";
    assert_eq!(server.number(rows).await, 1, "the user's");
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
    assert!(reader.epochs() >= 1, "{}", reader.epochs());
}

// T24
#[tokio::test]
async fn an_end_whose_reply_is_lost_ends_the_streams_of_another_node_too() {
    let server = Server::start();
    drop(server.store().await);
    let wire = Wire::before(server.port).await;
    let (here, pool) = (live(&server, server.port), pool(&url(wire.port), 1));
    let there = PostgresStore::builder(pool.clone())
        .live(url(server.port).parse().unwrap(), NoTls)
        // Each write has its text, by which the relay knows it.
        .prepared(false)
        .deadline(Duration::from_secs(4))
        .build();
    let open = stream(&here).await;
    trusts(&here).await;
    wire.hold("UPDATE tower_user_sessions");
    let end = End::new(tag(&there), Which::All, EndReason::Revoked);
    let ends = tokio::spawn({
        let there = there.clone();
        async move { there.end(&end).await }
    });
    until("the write is held", async || wire.held() > 0).await;
    wire.cut();
    wire.release();
    ends.await.unwrap().unwrap();

    let ended = timeout(Duration::from_secs(20), open.ended()).await;
    assert!(ended.is_ok(), "{ended:?}");

    // The message waits while the app uses the only connection itself.
    let open = stream(&here).await;
    let end = End::new(tag(&there), Which::All, EndReason::Revoked);
    let used = async {
        there.end(&end).await.unwrap();
        pool.get().await.unwrap()
    };
    let used = used.await;
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    drop(used);
    let ended = timeout(Duration::from_secs(20), open.ended()).await;
    assert!(ended.is_ok(), "{ended:?}");
}

#[tokio::test]
async fn a_feed_that_never_arrives_is_one_warning_few_connections_and_no_epoch() {
    let log = Log::start();
    let server = Server::start();
    drop(server.store().await);
    server.ask("CREATE DATABASE other").await;
    let wire = Wire::before(server.port).await;
    let another = format!("postgres://postgres@127.0.0.1:{}/other", wire.port);
    let store = PostgresStore::builder(server.pool())
        .live(another.parse().unwrap(), NoTls)
        .build();
    let open = stream(&store).await;
    let reader = Reader::of(&store);

    tokio::time::sleep(Duration::from_secs(9)).await;

    let warnings = log.at("WARN");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("PgBouncer"), "{warnings:?}");
    assert!(wire.made() <= 2, "{} connections", wire.made());
    assert_eq!(reader.epochs(), 0);
    assert!(open.end().is_none());
}
