//! How long Redis keeps the hash of a user for what outlives the sessions in it.
//!
//! The clock of the suite of stores is set by hand, but the one that deletes keys is the server's. So these tests read
//! the time that a key has left.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use tower_user_sessions::{
    EndReason, Lifetime,
    store::{
        Arrival, Authenticated, Created, End, Renewal, Rotate, Rotated, SeenDevice, SessionStore,
        Token, Which,
    },
};

use crate::common::{
    people::{asks, is_live, signs_in, token},
    redis::Server,
};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn key(token: &Token) -> String {
    format!("sessions:{{{}}}", token.tag())
}

async fn ttl(server: &Server, token: &Token) -> Duration {
    let millis: i64 = server.ask(&format!("PTTL {}", key(token))).await;
    Duration::from_millis(u64::try_from(millis).unwrap())
}

// T22 T50
#[tokio::test]
async fn the_key_of_a_disabled_user_is_kept_until_the_user_may_sign_in() {
    let server = Server::start();
    let store = server.patient();
    for has_sessions in [false, true] {
        let name = format!("user {has_sessions}");
        let token = if has_sessions {
            signs_in(&store, &name).await
        } else {
            token(&store, &name)
        };
        let mut end = End::new(token.tag(), Which::All, EndReason::Disabled);
        end.bar = Some(100 * DAY);

        store.end(&end).await.unwrap();

        assert!(ttl(&server, &token).await > 99 * DAY, "{name}");
    }
}

// T43 T50
#[tokio::test]
async fn the_key_of_a_user_is_kept_while_a_device_is_known() {
    let server = Server::start();
    let store = server.patient();
    let token = token(&store, "alice");
    let mut create = asks("alice", &token);
    create.lifetime = Lifetime::new(MINUTE, MINUTE);
    create.device = Some(SeenDevice {
        digest: [7; 12],
        kept: 90 * DAY,
    });

    let created = store.create(&create).await.unwrap();

    assert!(matches!(created, Created::Created(_)), "{created:?}");
    assert!(ttl(&server, &token).await > 89 * DAY);
}

// T16 T50
#[tokio::test]
async fn the_key_of_a_session_is_kept_for_its_new_lifetime_once_its_user_authenticated_again() {
    let server = Server::start();
    let store = server.patient();
    let token = signs_in(&store, "alice").await;
    assert!(is_live(&store, &token).await);
    let _: i64 = server.ask(&format!("PEXPIRE {} 60000", key(&token))).await;
    let next = token.renewed().unwrap();
    let proven = Renewal::Proven {
        authenticated: Authenticated::On(Arrival::now()),
        lifetime: Lifetime::default(),
    };

    let rotated = store.rotate(&Rotate::new(&token, &next, proven)).await;

    assert!(matches!(rotated, Ok(Rotated::Rotated(_))), "{rotated:?}");
    assert!(ttl(&server, &token).await > DAY);
}
