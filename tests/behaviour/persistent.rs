//! "Keep me signed in" left unticked: a cookie that the browser deletes when it closes.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use tower_user_sessions::{Login, RedisStore, SessionLayer};

use crate::common::{
    http::{Answer, Client, HOUR, store, user},
    redis::Server,
};

fn max_age<T>(answer: &Answer<T>) -> bool {
    let cookies = answer.set_cookies();
    assert_eq!(cookies.len(), 1, "{cookies:?}");
    cookies[0].contains("Max-Age=")
}

async fn log_in(client: &mut Client, login: Login) -> Answer<()> {
    let answer = client.send(move |session| {
        let login = login.clone();
        async move { session.log_in_with(login).unwrap() }
    });
    answer.await
}

#[tokio::test]
async fn by_default_the_cookie_outlives_the_browser() {
    let (store, _clock) = store();
    let mut client = Client::new(&SessionLayer::new(store));

    let answer = log_in(&mut client, Login::new("alice")).await;

    assert!(max_age(&answer));
}

#[tokio::test]
async fn a_sign_in_that_is_not_persistent_sets_a_cookie_without_a_max_age() {
    let (store, _clock) = store();
    let mut client = Client::new(&SessionLayer::new(store));

    let answer = log_in(&mut client, Login::new("alice").persistent(false)).await;

    assert!(!max_age(&answer));
    assert!(!answer.set_cookies()[0].contains("Expires="));
    assert_eq!(client.user().await.as_deref(), Some("alice"));
}

#[tokio::test]
async fn the_layer_has_the_default_and_a_sign_in_may_differ() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store).persistent(false);

    let default = log_in(&mut Client::new(&layer), Login::new("alice")).await;
    let ticked = log_in(
        &mut Client::new(&layer),
        Login::new("alice").persistent(true),
    )
    .await;

    assert!(!max_age(&default));
    assert!(max_age(&ticked));
}

#[tokio::test]
async fn guest_sessions_follow_the_layer() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store);
    let begin = |layer: &SessionLayer| {
        Client::new(layer)
            .request(|session| async move { session.insert("cart", "apple").unwrap() })
    };

    assert!(max_age(&begin(&layer).await));
    assert!(!max_age(&begin(&layer.persistent(false)).await));
}

#[tokio::test]
async fn a_new_token_is_sent_as_the_first_one_was() {
    let server = Server::start();
    let (memory, _clock) = store();
    let redis = RedisStore::new(server.pool());
    for layer in [SessionLayer::new(memory), SessionLayer::new(redis)] {
        for persistent in [false, true] {
            let mut client = Client::new(&layer);
            log_in(&mut client, Login::new("alice").persistent(persistent)).await;

            let rotated = client
                .send(|session| async move { session.rotate().unwrap() })
                .await;
            assert_eq!(max_age(&rotated), persistent);
            let proven = client
                .send(|session| async move { session.reauthenticated().unwrap() })
                .await;
            assert_eq!(max_age(&proven), persistent);
        }
    }
}

#[tokio::test]
async fn a_rotation_by_age_keeps_it_too() {
    let (store, clock) = store();
    let layer = SessionLayer::new(store).rotate_after(Duration::from_secs(60));
    let mut client = Client::new(&layer);
    log_in(&mut client, Login::new("alice").persistent(false)).await;

    clock.advance(HOUR);
    let answer = client.send(|_session| async {}).await;

    assert!(!max_age(&answer));
}

#[tokio::test]
async fn signing_in_again_ticked_makes_the_cookie_stay() {
    let (store, _clock) = store();
    let mut client = Client::new(&SessionLayer::new(store));
    log_in(&mut client, Login::new("alice").persistent(false)).await;

    let answer = log_in(&mut client, Login::new(user("alice"))).await;

    assert!(max_age(&answer));
}

#[tokio::test]
async fn a_sign_out_removes_a_cookie_without_a_max_age_as_any_other() {
    let (store, _clock) = store();
    let mut client = Client::new(&SessionLayer::new(store));
    log_in(&mut client, Login::new("alice").persistent(false)).await;

    let answer = client.send(|session| async move { session.log_out().unwrap() });

    assert!(answer.await.removes_cookie());
}
