//! Rotation changes the token, keeps the session, and signs no client out.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use http::{Response, StatusCode};
use tower_user_sessions::{
    CommitError, EndReason, MemoryStore, SessionLayer, TokenSource, UserSessions,
    store::ManualClock,
};

use crate::common::{
    faulty::{Fault, FaultyStore, Method},
    http::{Answer, Client, DAY, HOUR, ids, store, user},
};

const GRACE: Duration = Duration::from_secs(120);
const MS: Duration = Duration::from_millis(1);

fn world() -> (SessionLayer, MemoryStore, ManualClock) {
    let (store, clock) = store();
    (SessionLayer::new(store.clone()), store, clock)
}

/// Rotates, and loses the response unless it is kept.
async fn rotated(client: &Client) -> Answer<()> {
    client
        .request(|session| async move { session.rotate().unwrap() })
        .await
}

/// The same browser with the token of its rotation.
async fn successor(client: &Client) -> Client {
    let answer = rotated(client).await;
    let mut next = client.clone();
    next.keep(&answer);
    assert_ne!(next.token(), client.token());
    next
}

/// A user's browser before and after its token rotated. The new token was used.
async fn seen(layer: &SessionLayer) -> (Client, Client) {
    let previous = Client::signed_in(layer, "alice").await;
    let mut present = successor(&previous).await;
    assert_eq!(present.user().await.as_deref(), Some("alice"));
    (previous, present)
}

// T36
#[tokio::test]
async fn a_rotated_session_keeps_its_id_its_place_and_its_times() {
    let (layer, store, clock) = world();
    let client = Client::signed_in(&layer, "alice").await;
    let sessions = UserSessions::new(store, user("alice"));
    let before = sessions.list().await.unwrap();
    let parts = |info: &tower_user_sessions::SessionInfo| {
        (info.id(), info.created_at(), info.authenticated_at())
    };
    clock.advance(HOUR);

    successor(&client).await;

    let after = sessions.list().await.unwrap();
    assert_eq!(
        after.iter().map(parts).collect::<Vec<_>>(),
        before.iter().map(parts).collect::<Vec<_>>()
    );
}

// T46
#[tokio::test]
async fn parallel_requests_with_the_previous_token_get_the_same_new_token() {
    let (layer, _store, _clock) = world();
    let client = Client::signed_in(&layer, "alice").await;

    let successors = [
        successor(&client).await.token(),
        successor(&client).await.token(),
        successor(&client).await.token(),
    ];

    assert_eq!(successors[0], successors[1]);
    assert_eq!(successors[0], successors[2]);
}

// T48
#[tokio::test]
async fn after_a_lost_response_the_next_one_carries_the_new_token() {
    let (layer, _store, clock) = world();
    let mut client = Client::signed_in(&layer, "alice").await;
    let first = rotated(&client).await;
    clock.advance(HOUR);

    let next = client
        .send(|session| async move { session.user_id() })
        .await;

    assert_eq!(next.set_cookies().len(), 1);
    let mut lost = client.clone();
    lost.keep(&first);
    assert_eq!(client.token(), lost.token());
    assert_eq!(next.value(), Some(user("alice")));
}

// T46 T61
#[tokio::test]
async fn once_the_new_token_was_used_the_previous_one_works_for_the_grace_without_a_cookie() {
    let (layer, _store, clock) = world();
    let (previous, _present) = seen(&layer).await;
    clock.advance(GRACE - MS);

    let late = previous.request(|session| async move { session.user_id() });
    let late = late.await;

    assert!(late.sets_no_cookie());
    assert_eq!(late.value(), Some(user("alice")));
}

// T61
#[tokio::test]
async fn a_previous_token_does_not_rotate_once_the_new_one_was_used() {
    let (layer, _store, _clock) = world();
    let (previous, mut present) = seen(&layer).await;

    let answer = rotated(&previous).await;

    assert!(answer.sets_no_cookie());
    assert_eq!(present.user().await.as_deref(), Some("alice"));
}

// T47
#[tokio::test]
async fn after_the_grace_the_previous_token_is_reuse_and_ends_the_session() {
    let (layer, store, clock) = world();
    let (previous, present) = seen(&layer).await;
    clock.advance(GRACE);

    let reused = previous.request(|session| async move { (session.user_id(), session.ended()) });
    let reused = reused.await;

    assert!(reused.sets_no_cookie());
    let (user, notice) = reused.value();
    let reason = notice.map(|it| it.reason);
    assert_eq!((user, reason), (None, Some(EndReason::TokenReuse)));
    assert!(ids(&store, "alice").await.is_empty());
    let reason = present.request(|session| async move { session.ended().map(|it| it.reason) });
    assert_eq!(reason.await.value(), Some(EndReason::TokenReuse));
    // The pages after that say it too.
    let again = previous.request(|session| async move { session.ended().map(|it| it.reason) });
    assert_eq!(again.await.value(), Some(EndReason::TokenReuse));
}

// T47
#[tokio::test]
async fn reuse_ends_nothing_if_the_layer_is_set_so() {
    let (store, clock) = store();
    let layer = SessionLayer::new(store).end_on_reuse(false);
    let (mut previous, mut present) = seen(&layer).await;
    clock.advance(GRACE);

    assert_eq!(previous.user().await, None);
    assert_eq!(present.user().await.as_deref(), Some("alice"));
    // What its guest inserts is kept.
    previous.insert("cart", "apple").await;
    assert_eq!(previous.get("cart").await.as_deref(), Some("apple"));
}

// T47
#[tokio::test]
async fn any_other_wrong_secret_is_unknown_and_ends_nothing() {
    let (layer, _store, clock) = world();
    let (previous, mut present) = seen(&layer).await;
    clock.advance(GRACE);
    let mut stranger = previous.clone();
    let known = &previous.token()[..32];
    stranger.cookie = Some(format!("__Host-session={known}{:A<32}", ""));

    assert_eq!(stranger.user().await, None);

    assert_eq!(present.user().await.as_deref(), Some("alice"));
}

// T46
#[tokio::test]
async fn a_token_does_not_rotate_while_the_previous_one_is_in_its_grace() {
    let (layer, _store, clock) = world();
    let (_previous, mut present) = seen(&layer).await;
    let kept = present.token();
    clock.advance(GRACE - MS);

    let early = rotated(&present).await;
    clock.advance(MS);
    present = successor(&present).await;

    assert!(early.sets_no_cookie());
    assert_ne!(present.token(), kept);
}

// T46
#[tokio::test]
async fn a_token_of_the_set_age_rotates_by_itself() {
    let (store, clock) = store();
    let layer = SessionLayer::new(store).rotate_after(HOUR);
    let mut client = Client::signed_in(&layer, "alice").await;
    let first = client.token();
    clock.advance(HOUR - MS);
    client.user().await;
    assert_eq!(client.token(), first);
    clock.advance(MS);

    client.user().await;

    assert_ne!(client.token(), first);
    assert_eq!(client.user().await.as_deref(), Some("alice"));
}

// T15 T39
#[tokio::test]
async fn rotation_does_not_make_a_sign_in_fresh_or_prolong_its_session() {
    let (layer, _store, clock) = world();
    let mut client = Client::signed_in(&layer, "alice").await;
    let proven =
        |client: &Client| client.request(|session| async move { session.authenticated_at() });
    let before = proven(&client).await.value();

    for _ in 0..45 {
        clock.advance(DAY * 2 / 3);
        client.keep(&rotated(&client).await);
        client.user().await;
    }

    assert_eq!(proven(&client).await.value(), None);
    let mut signed_in_again = Client::signed_in(&layer, "alice").await;
    let fresh = proven(&signed_in_again).await.value();
    clock.advance(HOUR);
    signed_in_again = successor(&signed_in_again).await;
    assert_eq!(proven(&signed_in_again).await.value(), fresh);
    assert!(fresh > before);
}

#[tokio::test]
async fn a_request_that_failed_rotates_nothing() {
    let (layer, _store, _clock) = world();
    let client = Client::signed_in(&layer, "alice").await;

    let failed = client.answered(|session| async move {
        session.rotate().unwrap();
        let mut response = Response::new(String::new());
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        (response, ())
    });

    assert!(failed.await.sets_no_cookie());
    let later = client.request(|session| async move { session.user_id() });
    assert!(later.await.sets_no_cookie());
}

// T20 T21
#[tokio::test]
async fn rotation_does_not_bring_an_ended_session_back() {
    let (layer, store, _clock) = world();
    let client = Client::signed_in(&layer, "alice").await;
    let sessions = UserSessions::new(store.clone(), user("alice"));

    let answer = client.request(move |session| {
        let sessions = sessions.clone();
        async move {
            session.rotate().unwrap();
            sessions.end_all().await.unwrap();
            matches!(session.commit().await, Err(CommitError::Ended))
        }
    });
    let answer = answer.await;

    assert!(answer.sets_no_cookie());
    assert!(answer.value());
    assert!(ids(&store, "alice").await.is_empty());
}

// T42
#[tokio::test]
async fn a_client_whose_new_token_never_arrived_learns_why_its_session_ended() {
    let (layer, store, _clock) = world();
    let client = Client::signed_in(&layer, "alice").await;
    rotated(&client).await;

    UserSessions::new(store, user("alice"))
        .end_all()
        .await
        .unwrap();

    let reason = client.request(|session| async move { session.ended().map(|it| it.reason) });
    assert_eq!(reason.await.value(), Some(EndReason::Administrator));
}

#[tokio::test]
async fn the_token_of_a_guest_with_data_rotates() {
    let (layer, _store, _clock) = world();
    let mut guest = Client::new(&layer);
    guest.insert("cart", "apple").await;

    let mut next = successor(&guest).await;

    assert_eq!(next.get("cart").await.as_deref(), Some("apple"));
}

#[tokio::test]
async fn a_guest_without_data_has_nothing_to_rotate() {
    let (layer, _store, _clock) = world();

    let answer = rotated(&Client::new(&layer)).await;

    assert!(answer.sets_no_cookie());
}

#[tokio::test]
async fn other_staged_changes_are_stored_with_the_rotation() {
    let (layer, _store, _clock) = world();
    let mut client = Client::signed_in(&layer, "alice").await;

    let answer = client.send(|session| async move {
        session.rotate().unwrap();
        session.insert("visits", "2").unwrap();
    });

    assert_eq!(answer.await.set_cookies().len(), 1);
    assert_eq!(client.get("visits").await.as_deref(), Some("2"));
}

#[tokio::test]
async fn the_new_token_of_a_bearer_client_is_in_the_header() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store).token_source(TokenSource::Bearer);
    let mut client = Client::new(&layer);
    let signed_in = client
        .send(|session| async move { session.log_in(user("alice")).unwrap() })
        .await;
    assert!(client.bears(&signed_in));

    let answer = rotated(&client).await;
    assert!(client.bears(&answer));

    assert!(answer.sets_no_cookie());
    assert_eq!(client.user().await.as_deref(), Some("alice"));
}

// T33
#[tokio::test]
async fn in_an_outage_a_due_rotation_is_skipped_and_a_requested_one_is_503() {
    let faulty = FaultyStore::new(&MemoryStore::new());
    let layer = SessionLayer::new(faulty.clone()).rotate_after(Duration::ZERO);
    let client = Client::signed_in(&layer, "alice").await;
    faulty.always([Method::Rotate], Fault::Fail);

    let due = client
        .request(|session| async move { session.user_id() })
        .await;
    let asked = rotated(&client).await;

    assert_eq!(
        (due.status, asked.status),
        (StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE)
    );
    assert!(due.sets_no_cookie());
}

// T48
#[tokio::test]
async fn a_rotation_whose_reply_was_lost_makes_the_same_new_token() {
    let faulty = FaultyStore::new(&MemoryStore::new());
    let layer = SessionLayer::new(faulty.clone());
    let mut client = Client::signed_in(&layer, "alice").await;
    faulty.nth(Method::Rotate, 1, Fault::Lose);
    assert_eq!(
        rotated(&client).await.status,
        StatusCode::SERVICE_UNAVAILABLE
    );

    let next = client
        .send(|session| async move { session.user_id() })
        .await;

    assert_eq!(next.set_cookies().len(), 1);
    assert_eq!(client.user().await.as_deref(), Some("alice"));
}
