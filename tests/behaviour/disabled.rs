//! Users who cannot sign in for a time, and sessions that the identity provider ends.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use http::StatusCode;
use tower_user_sessions::{
    EndReason, Lifetime, Login, MemoryStore, Proof, SessionLayer, UserSessions, store::ManualClock,
};

use crate::common::http::{Answer, Client, DAY, HOUR, ids, store, user};

const MS: Duration = Duration::from_millis(1);

fn world() -> (SessionLayer, UserSessions, MemoryStore, ManualClock) {
    let (store, clock) = store();
    let sessions = UserSessions::new(store.clone(), user("alice"));
    (SessionLayer::new(store.clone()), sessions, store, clock)
}

async fn tries(layer: &SessionLayer, id: &'static str) -> Answer<()> {
    let sign_in =
        Client::new(layer).request(move |session| async move { session.log_in(user(id)).unwrap() });
    sign_in.await
}

// T22
#[tokio::test]
async fn all_sessions_of_a_disabled_user_end_and_give_that_reason() {
    let (layer, sessions, _store, _clock) = world();
    let mut client = Client::signed_in(&layer, "alice").await;

    let ended = sessions.disable_for(HOUR).await.unwrap();

    assert_eq!(ended, 1);
    let reason = client.send(|session| async move { session.ended().map(|it| it.reason) });
    assert_eq!(reason.await.value(), Some(EndReason::Disabled));
}

// T22
#[tokio::test]
async fn a_disabled_user_can_sign_in_again_after_the_set_time() {
    let (layer, sessions, store, clock) = world();
    sessions.disable_for(HOUR).await.unwrap();
    clock.advance(HOUR - MS);
    let refused = tries(&layer, "alice").await;
    clock.advance(MS);
    let welcome = tries(&layer, "alice").await;

    assert_eq!(
        (refused.status, welcome.status),
        (StatusCode::FORBIDDEN, StatusCode::OK)
    );
    assert!(refused.sets_no_cookie());
    assert_eq!(ids(&store, "alice").await.len(), 1);
}

// T22
#[tokio::test]
async fn a_user_stays_disabled_longer_than_a_store_keeps_the_end_of_all_sessions() {
    let (layer, sessions, _store, clock) = world();
    Client::signed_in(&layer, "alice").await;
    sessions.disable_for(10 * DAY).await.unwrap();

    // A store deletes what it no longer needs after a call, so the next one notices.
    for days in [2, 3, 4] {
        clock.advance(days * DAY);
        for _ in 0..2 {
            let refused = tries(&layer, "alice").await;
            assert_eq!(refused.status, StatusCode::FORBIDDEN, "{days}");
        }
    }
    clock.advance(DAY);

    assert_eq!(tries(&layer, "alice").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_user_is_disabled_for_400_days_at_most() {
    let (layer, sessions, _store, clock) = world();
    sessions.disable_for(Duration::MAX).await.unwrap();
    clock.advance(Lifetime::MAX - MS);
    let refused = tries(&layer, "alice").await;
    clock.advance(MS);
    let welcome = tries(&layer, "alice").await;

    assert_eq!(
        (refused.status, welcome.status),
        (StatusCode::FORBIDDEN, StatusCode::OK)
    );
}

// T22
#[tokio::test]
async fn a_user_who_is_enabled_again_can_sign_in_at_once() {
    let (layer, sessions, _store, clock) = world();
    sessions.disable_for(2 * HOUR).await.unwrap();
    sessions.enable().await.unwrap();
    clock.advance(HOUR);

    assert_eq!(tries(&layer, "alice").await.status, StatusCode::OK);
}

// T22
#[tokio::test]
async fn disabling_one_user_disables_no_other() {
    let (layer, sessions, _store, _clock) = world();

    sessions.disable_for(HOUR).await.unwrap();

    assert_eq!(tries(&layer, "bob").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_refused_sign_in_does_not_change_the_guest_session() {
    let (layer, sessions, _store, _clock) = world();
    let mut guest = Client::new(&layer);
    guest.insert("cart", "apple").await;
    sessions.disable_for(HOUR).await.unwrap();

    let refused = guest.send(|session| async move { session.log_in(user("alice")).unwrap() });

    assert_eq!(refused.await.status, StatusCode::FORBIDDEN);
    assert_eq!(guest.get("cart").await.as_deref(), Some("apple"));
}

#[tokio::test]
async fn the_identity_provider_ends_the_sessions_that_it_names() {
    let (layer, sessions, store, _clock) = world();
    let mut clients = Vec::new();
    for sid in ["08a5019c", "08a5019c", "another"] {
        let mut client = Client::new(&layer);
        let login = client.send(move |session| async move {
            let proof = Proof::new().with_external_sid(sid);
            session
                .log_in_with(Login::new(user("alice")).proof(proof))
                .unwrap();
        });
        login.await;
        clients.push(client);
    }

    let ended = sessions.end_external("08a5019c").await.unwrap();

    assert_eq!(ended, 2);
    assert_eq!(ids(&store, "alice").await.len(), 1);
    assert_eq!(clients[2].user().await.as_deref(), Some("alice"));
    let reason = clients[0].send(|session| async move { session.ended().map(|it| it.reason) });
    assert_eq!(reason.await.value(), Some(EndReason::IdentityProvider));
    assert_eq!(sessions.end_external("08a5019c").await.unwrap(), 0);
}

#[tokio::test]
async fn the_identity_provider_ends_a_session_whose_long_sid_is_not_kept_whole() {
    let (layer, sessions, store, _clock) = world();
    // 255 bytes end in the middle of a letter.
    let sid = "ü".repeat(200);
    let login = Login::new(user("alice")).proof(Proof::new().with_external_sid(&sid));
    let signed_in = Client::new(&layer).request(move |session| {
        let login = login.clone();
        async move { session.log_in_with(login).unwrap() }
    });
    signed_in.await;

    assert_eq!(sessions.end_external(&"ü".repeat(126)).await.unwrap(), 0);
    assert_eq!(sessions.end_external(&sid).await.unwrap(), 1);
    assert_eq!(ids(&store, "alice").await, []);
}

#[tokio::test]
async fn a_session_that_the_identity_provider_names_ends_the_others_and_itself() {
    let (layer, _sessions, store, clock) = world();
    let mut clients = Vec::new();
    for _ in 0..3 {
        clock.advance(Duration::from_secs(1));
        let mut client = Client::new(&layer);
        let login = client.send(|session| async move {
            let proof = Proof::new().with_external_sid("08a5019c");
            session
                .log_in_with(Login::new(user("alice")).proof(proof))
                .unwrap();
        });
        login.await;
        clients.push(client);
    }

    let ended = clients[1].send(|session| async move {
        let sessions = session.user_sessions().unwrap();
        sessions.end_external("08a5019c").await.unwrap()
    });

    assert_eq!(ended.await.value(), 3);
    assert_eq!(ids(&store, "alice").await, []);
}

#[tokio::test]
async fn a_session_knows_how_its_user_signed_in() {
    let (layer, sessions, _store, _clock) = world();
    let proof = Proof::new().with_methods(["pwd", "otp"]).with_level("aal2");
    let mut client = Client::new(&layer);
    let noted = proof.clone();
    let login = client.send(move |session| {
        let login = Login::new(user("alice")).proof(noted.clone());
        async move { session.log_in_with(login).unwrap() }
    });
    login.await;

    let found = client
        .send(|session| async move { session.proof() })
        .await
        .value();

    assert_eq!(found, Some(proof.clone()));
    assert_eq!(sessions.list().await.unwrap()[0].proof(), Some(&proof));
    assert_eq!(sessions.count().await.unwrap(), 1);
}

// T22
#[tokio::test]
async fn disabling_a_user_spares_no_session() {
    let (layer, sessions, store, _clock) = world();
    let support = Login::new(user("alice")).counts(false);
    let mut client = Client::new(&layer);
    let answer = client.send(move |session| {
        let support = support.clone();
        async move { session.log_in_with(support).unwrap() }
    });
    assert_eq!(answer.await.status, StatusCode::OK);

    let ended = sessions.spare_uncounted(true).disable_for(HOUR).await;

    assert_eq!(ended.unwrap(), 1);
    assert!(ids(&store, "alice").await.is_empty());
}

// T22
#[tokio::test]
async fn disabling_a_user_for_no_time_enables_nobody() {
    let (layer, sessions, _store, _clock) = world();
    sessions.disable_for(HOUR).await.unwrap();

    sessions.disable_for(Duration::ZERO).await.unwrap();

    assert_eq!(tries(&layer, "alice").await.status, StatusCode::FORBIDDEN);
}
