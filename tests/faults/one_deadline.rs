//! All calls of one commit have one deadline together: a client of a slow server does not wait for each of them in turn.
//!
//! Replies of these servers take most of the deadline. So the first call of a commit is answered, and the last one is not.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{sync::Arc, time::Duration};

use http::StatusCode;
use tokio::{sync::Notify, time::Instant};
use tower_user_sessions::{
    Limit, Login, PostgresStore, RedisStore, Session, SessionLayer, UserSessions,
    store::{RedisSource, SessionStore},
};

use crate::common::{
    http::{Client, user},
    log::Log,
    people::until,
    postgres,
    redis::Server,
    relay::Relay,
    wire::Wire,
};

/// Long, because the machine may be busy: what is answered in time has eight tenths of a second to spare.
const DEADLINE: Duration = Duration::from_secs(2);
const SLOW: Duration = Duration::from_millis(1_200);

/// The time of one statement of PostgreSQL: a fifth of its deadline.
const STATEMENT: Duration = Duration::from_millis(600);

/// How many sessions a user has.
async fn live(store: &(impl SessionStore + Clone), id: &str) -> usize {
    let sessions = UserSessions::new(store.clone(), user(id));
    sessions.count().await.unwrap()
}

/// The server and the store know each script and statement from here on.
async fn warms_up(layer: &SessionLayer) {
    let mut client = Client::signed_in(layer, "zoe").await;
    let answer = client.send(|session| async move {
        session.log_out().unwrap();
        session.log_in("zoe").unwrap();
    });
    assert_eq!(answer.await.status, StatusCode::OK);
}

struct Slow {
    _server: Server,
    relay: Relay,
    store: RedisStore,
    layer: SessionLayer,
}

impl Slow {
    async fn start() -> Self {
        let server = Server::start();
        let relay = Relay::start(server.port).await;
        let source = RedisSource::url(&relay.url()).unwrap();
        let store = RedisStore::builder(source).deadline(DEADLINE).build();
        Self {
            _server: server,
            relay,
            layer: SessionLayer::new(store.clone()),
            store,
        }
    }

    /// The server is fast again, and has ended what was given up.
    async fn recovers(&self) {
        self.relay.delay(Duration::ZERO);
        until("the server answers", async || {
            self.store.drain(DEADLINE).await == 0
        })
        .await;
    }
}

// T33
#[tokio::test]
async fn a_sign_in_after_a_sign_out_has_what_that_left_of_the_deadline() {
    let slow = Slow::start().await;
    warms_up(&slow.layer).await;
    let mut client = Client::signed_in(&slow.layer, "alice").await;
    assert_eq!(client.user().await.as_deref(), Some("alice"));
    slow.relay.delay(SLOW);

    let answer = client.send(|session| async move {
        session.log_out().unwrap();
        session.log_in("bert").unwrap();
    });

    assert_eq!(answer.await.status, StatusCode::SERVICE_UNAVAILABLE);
    slow.recovers().await;
    let (alice, bert) = (
        live(&slow.store, "alice").await,
        live(&slow.store, "bert").await,
    );
    assert_eq!((alice, bert), (0, 0));
}

// T33
#[tokio::test]
async fn a_guest_who_signs_in_does_not_wait_for_the_end_of_the_guest_session() {
    let log = Log::start();
    let slow = Slow::start().await;
    warms_up(&slow.layer).await;
    let mut client = Client::new(&slow.layer);
    client.insert("cart", "apple").await;
    assert_eq!(client.get("cart").await.as_deref(), Some("apple"));
    let guest = client.clone();
    slow.relay.delay(SLOW);

    let answer = client.send(|session| async move {
        session
            .log_in_with(Login::new("alice").carry(["cart"]))
            .unwrap();
    });

    assert_eq!(answer.await.status, StatusCode::OK);
    let left = log.at("WARN");
    assert!(
        left.iter()
            .any(|line| line.contains("replaced session not ended yet")),
        "{left:?}"
    );
    slow.recovers().await;
    assert_eq!(client.user().await.as_deref(), Some("alice"));
    assert_eq!(client.get("cart").await.as_deref(), Some("apple"));
    assert_eq!(guest.clone().get("cart").await, None);
}

#[tokio::test]
async fn a_re_authentication_after_new_data_has_a_deadline_of_its_own() {
    let slow = Slow::start().await;
    let mut client = Client::signed_in(&slow.layer, "alice").await;
    let again = |session: Session| async move {
        session.insert("theme", "dark").unwrap();
        session.reauthenticated().unwrap();
    };
    assert_eq!(client.send(again).await.status, StatusCode::OK);
    slow.relay.delay(SLOW);

    let answer = client.send(again).await;

    assert_eq!(answer.status, StatusCode::OK);
    slow.recovers().await;
    assert_eq!(client.user().await.as_deref(), Some("alice"));
}

#[tokio::test]
async fn the_time_in_which_the_app_looks_up_a_limit_is_not_taken_from_the_store() {
    let slow = Slow::start().await;
    let known = Arc::new(Notify::new());
    let waits = Arc::clone(&known);
    let layer = slow.layer.clone().limit_of_async(move |_user| {
        let waits = Arc::clone(&waits);
        async move {
            waits.notified().await;
            Limit::at_most(1)
        }
    });
    let began = Instant::now();
    let over = async {
        let is_over = async || began.elapsed() > DEADLINE;
        until("the deadline is over", is_over).await;
        known.notify_one();
    };

    let (mut client, ()) = tokio::join!(Client::signed_in(&layer, "alice"), over);

    assert_eq!(client.user().await.as_deref(), Some("alice"));
}

// T33
#[tokio::test]
async fn operations_of_a_commit_on_postgres_share_a_deadline_too() {
    let server = postgres::Server::start();
    let wire = Wire::before(server.port).await;
    let pool = postgres::pool(&postgres::url(wire.port), 4);
    // An operation is two statements, and each of them is one round trip.
    let store = PostgresStore::builder(pool)
        .deadline(STATEMENT * 5)
        .prepared(false)
        .build();
    store.migrate().await.unwrap();
    let layer = SessionLayer::new(store.clone());
    let mut client = Client::signed_in(&layer, "alice").await;
    assert_eq!(client.user().await.as_deref(), Some("alice"));
    let mut guest = Client::new(&layer);
    guest.insert("cart", "apple").await;
    client.guest = guest.guest;
    wire.delay(STATEMENT);

    // Two ends and the look at the guest session leave nothing for the sign-in.
    let answer = client.send(|session| async move {
        session.log_out().unwrap();
        session.log_in("bert").unwrap();
    });

    assert_eq!(answer.await.status, StatusCode::SERVICE_UNAVAILABLE);
    wire.delay(Duration::ZERO);
    let ended = async || store.drain(DEADLINE).await == 0;
    until("the server answers", ended).await;
    let (alice, bert) = (live(&store, "alice").await, live(&store, "bert").await);
    assert_eq!((alice, bert), (0, 0));
}
