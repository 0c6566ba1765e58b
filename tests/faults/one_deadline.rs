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

use deadpool_redis::redis::RedisConnectionInfo;
use http::StatusCode;
use tokio::{sync::Notify, time::Instant};
use tower_user_sessions::{
    ClientVerdict, Limit, Login, PostgresStore, RedisStore, Session, SessionLayer, UserSessions,
    store::{RedisSource, SessionStore},
};

use crate::common::{
    cluster::slot,
    http::{Client, user},
    log::Log,
    people::until,
    postgres,
    redis::Server,
    relay::Relay,
    sentinel::{Said, Sentinel},
    site::Site,
    wire::Wire,
};

/// Long, because the machine may be busy: what is answered in time has eight tenths of a second to spare.
const DEADLINE: Duration = Duration::from_secs(2);
const SLOW: Duration = Duration::from_millis(1_200);

/// The time of one statement of PostgreSQL: a fifth of its deadline.
const STATEMENT: Duration = Duration::from_millis(600);

/// Notes for how long each statement that writes a set may wait for a lock.
const NOTES: &str = "
    CREATE TABLE waits (at serial, ms int);
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO waits (ms) SELECT setting::int FROM pg_settings WHERE name = 'lock_timeout';
        RETURN NEW;
    END $$;
    CREATE TRIGGER note BEFORE INSERT OR UPDATE ON tower_user_sessions
        FOR EACH ROW EXECUTE FUNCTION note()";

/// How many sessions a user has.
async fn live(store: &(impl SessionStore + Clone), id: &str) -> usize {
    let sessions = UserSessions::new(store.clone(), user(id));
    sessions.count().await.unwrap()
}

/// The server of this user and the store know each script and statement from here on.
async fn warms_up(layer: &SessionLayer, user: &'static str) {
    let mut client = Client::signed_in(layer, user).await;
    let answer = client.send(move |session| async move {
        session.log_out().unwrap();
        session.log_in(user).unwrap();
    });
    assert_eq!(answer.await.status, StatusCode::OK);
}

struct Slow {
    site: Site,
    store: RedisStore,
    layer: SessionLayer,
}

impl Slow {
    /// A node.
    async fn start() -> Self {
        Self::of(false, |urls| RedisSource::url(&urls[0]).unwrap()).await
    }

    async fn of(is_cluster: bool, source: impl FnOnce(&[String]) -> RedisSource) -> Self {
        let site = Site::start(is_cluster, &[]).await;
        let source = source(&site.way().urls);
        let store = RedisStore::builder(source).deadline(DEADLINE).build();
        Self {
            site,
            layer: SessionLayer::new(store.clone()),
            store,
        }
    }

    fn delay(&self, time: Duration) {
        self.site.relays.iter().for_each(|relay| relay.delay(time));
    }

    /// The server is fast again, and has ended what was given up.
    async fn recovers(&self) {
        self.delay(Duration::ZERO);
        until("the server answers", async || {
            self.store.drain(DEADLINE).await == 0
        })
        .await;
    }

    /// The sign-out of the first of these users is answered in time, and the sign-in of the second one is not.
    async fn shares_the_deadline(&self, first: &'static str, second: &'static str) {
        warms_up(&self.layer, first).await;
        warms_up(&self.layer, second).await;
        let mut client = Client::signed_in(&self.layer, first).await;
        let before = (
            live(&self.store, first).await,
            live(&self.store, second).await,
        );
        assert_eq!(client.user().await.as_deref(), Some(first));
        self.delay(SLOW);

        let answer = client.send(move |session| async move {
            session.log_out().unwrap();
            session.log_in(second).unwrap();
        });

        assert_eq!(answer.await.status, StatusCode::SERVICE_UNAVAILABLE);
        self.recovers().await;
        let after = (
            live(&self.store, first).await,
            live(&self.store, second).await,
        );
        assert_eq!(after, (before.0 - 1, before.1));
    }
}

// T33
#[tokio::test]
async fn a_sign_in_after_a_sign_out_has_what_that_left_of_the_deadline() {
    let slow = Slow::start().await;
    slow.shares_the_deadline("alice", "bert").await;
}

// T33
#[tokio::test]
async fn a_sign_in_on_another_primary_of_a_cluster_has_what_the_sign_out_left_of_the_deadline() {
    let slow = Slow::of(true, |urls| RedisSource::cluster(urls).unwrap()).await;
    // The first three primaries serve a third of the slots each, one after the other.
    let (alice, dora) = (
        slot(slow.store.tag(&user("alice"))),
        slot(slow.store.tag(&user("dora"))),
    );
    assert_ne!(alice / 5_461, dora / 5_461, "{alice}, {dora}");
    slow.shares_the_deadline("alice", "dora").await;
}

// T33
#[tokio::test]
async fn a_sign_in_behind_sentinels_has_what_the_sign_out_left_of_the_deadline() {
    let sentinel = Sentinel::start(Said::new(0, 1)).await;
    let slow = Slow::of(false, |urls| {
        let port = urls[0].rsplit(':').next().unwrap().parse().unwrap();
        sentinel.says(Said::new(port, 1));
        let login = RedisConnectionInfo::default();
        RedisSource::sentinel([sentinel.url().as_str()], "mymaster", login).unwrap()
    })
    .await;
    slow.shares_the_deadline("alice", "bert").await;
}

// T33
#[tokio::test]
async fn a_guest_who_signs_in_does_not_wait_for_the_end_of_the_guest_session() {
    let log = Log::start();
    let slow = Slow::start().await;
    warms_up(&slow.layer, "zoe").await;
    let mut client = Client::new(&slow.layer);
    client.insert("cart", "apple").await;
    assert_eq!(client.get("cart").await.as_deref(), Some("apple"));
    let guest = client.clone();
    slow.delay(SLOW);

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

// The server answers which session it is, and then nothing more.
#[tokio::test]
async fn a_session_that_ends_because_its_client_changed_is_ended_within_one_deadline() {
    let server = Server::start();
    let relay = Arc::new(Relay::start(server.port).await);
    let source = RedisSource::url(&relay.url()).unwrap();
    let store = RedisStore::builder(source).deadline(DEADLINE).build();
    let falls_silent = Arc::clone(&relay);
    let layer = SessionLayer::new(store).on_client_changed(move |_change| {
        falls_silent.become_a_black_hole();
        ClientVerdict::End
    });
    let mut client = Client::signed_in(&layer, "alice").await;
    assert_eq!(client.user().await.as_deref(), Some("alice"));
    client.user_agent = "Thief/1.0";
    let asked = Instant::now();

    let answer = client.send(|_session| async {}).await;

    let took = asked.elapsed();
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(took < DEADLINE * 2, "{took:?}");
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
    slow.delay(SLOW);

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

// A statement that waits for a lock longer than its caller waits keeps a connection, and may write late.
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
    let admin = postgres::client(&server.url()).await;
    admin.batch_execute(NOTES).await.unwrap();
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
    let rows = admin.query("SELECT ms FROM waits ORDER BY at", &[]).await;
    let waits: Vec<i32> = rows.unwrap().iter().map(|row| row.get(0)).collect();
    let [first, second, ..] = waits[..] else {
        panic!("{waits:?}");
    };
    // The first end reads and writes, and the second one reads.
    let left = i32::try_from((STATEMENT * 2).as_millis()).unwrap();
    assert!(first > second && second <= left * 9 / 10, "{waits:?}");
}
