//! What `verify` and the guards find out at the store, where a near cache answered the request.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};
use tower_user_sessions::{
    ClientVerdict, CommitError, DeviceApi, DevicePage, Lifetime, RequireFresh, Session,
    SessionErrorKind, SessionLayer, UserSessions, store::Near,
};

use crate::common::{
    faulty::{Fault, FaultyStore, Method},
    http::{Client, HOUR, store, user},
    page::visit,
};

/// A layer behind a near cache, the store that it asks, and an administrator of alice.
fn world() -> (SessionLayer, FaultyStore, UserSessions) {
    let (memory, clock) = store();
    let admin = UserSessions::new(memory.clone(), user("alice"));
    let faulty = FaultyStore::new(&memory);
    let near = Near::builder(faulty.clone()).clock(clock).build();
    let layer = SessionLayer::new(near).near(|_request| true);
    (layer, faulty, admin)
}

/// A browser whose session the near cache has.
async fn known(layer: &SessionLayer) -> Client {
    let mut client = Client::new(layer);
    client.peer = Some("192.0.2.1".parse().unwrap());
    client.log_in("alice").await;
    client.user().await;
    client
}

// T39 T76
#[tokio::test]
async fn a_doubt_that_could_not_be_noted_counts_for_the_whole_request() {
    let (layer, faulty, _admin) = world();
    let layer = layer.on_client_changed(|_| ClientVerdict::RequireFresh);
    let mut thief = known(&layer).await;
    thief.peer = Some("198.51.100.7".parse().unwrap());
    faulty.always([Method::NoteClient], Fault::Fail);
    let service = service_fn(async |_: Request<()>| {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let guarded = ServiceBuilder::new()
        .layer(layer)
        .layer(RequireFresh::within(HOUR))
        .service(service);

    let status = guarded.oneshot(thief.head("/pay")).await.unwrap().status();
    let fresh = thief.request(|session: Session| async move {
        session.verify().await.unwrap();
        session.is_fresh(HOUR)
    });

    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(!fresh.await.value());
}

// T76
#[tokio::test]
async fn a_change_of_the_client_is_noted_when_the_store_answers_again() {
    let (layer, faulty, _admin) = world();
    let layer = layer.on_client_changed(|_| ClientVerdict::RequireFresh);
    let mut owner = known(&layer).await;
    let mut thief = owner.clone();
    thief.peer = Some("198.51.100.7".parse().unwrap());
    faulty.next(Method::NoteClient, Fault::Fail);

    let fresh = thief.send(|session: Session| async move {
        session.verify().await.unwrap();
        session.is_fresh(HOUR)
    });

    assert!(!fresh.await.value());
    let fresh = owner.send(|session| async move { session.is_fresh(HOUR) });
    assert!(!fresh.await.value());
}

// T73
#[tokio::test]
async fn a_session_that_is_kept_after_the_response_is_not_verified() {
    let (layer, _faulty, admin) = world();
    let mut client = known(&layer).await;
    let answer = client.send(|session| async move { session });
    let kept: Session = answer.await.value();

    for _ in 0..2 {
        let error = kept.verify().await.unwrap_err();
        assert_eq!(error.kind(), SessionErrorKind::Closed);
        admin.end_all().await.unwrap();
    }
}

#[tokio::test]
async fn a_renewal_that_is_staged_for_a_session_that_ended_is_an_error_of_commit() {
    let stagings: [fn(&Session); 3] = [
        |session| session.reauthenticated().unwrap(),
        |session| session.rotate().unwrap(),
        |session| {
            let hour = Lifetime::new(Duration::from_secs(60), HOUR);
            session.shorten(hour).unwrap();
        },
    ];
    for stage in stagings {
        let (layer, _faulty, admin) = world();
        let client = known(&layer).await;

        let answer = client.request(move |session: Session| {
            let admin = admin.clone();
            async move {
                stage(&session);
                admin.end_all().await.unwrap();
                let error = session.verify().await.unwrap_err();
                assert_eq!(error.kind(), SessionErrorKind::Ended);
                let first = session.commit().await.map(drop);
                (first, session.commit().await.map(drop))
            }
        });
        let answer = answer.await;

        assert!(answer.sets_no_cookie());
        let (first, again) = answer.value();
        assert!(matches!(first, Err(CommitError::Ended)), "{first:?}");
        assert!(again.is_ok(), "{again:?}");
    }
}

#[tokio::test]
async fn an_update_that_was_staged_before_verify_runs_again_on_what_the_store_has() {
    let (layer, faulty, _admin) = world();
    let mut client = known(&layer).await;
    client
        .request(|session: Session| async move { session.insert("n", &1_u32).unwrap() })
        .await;
    client.user().await;
    let elsewhere = client.before(&SessionLayer::new(faulty));

    let answer = client.send(move |session: Session| {
        let elsewhere = elsewhere.clone();
        async move {
            session
                .update("n", |n: Option<u32>| n.unwrap_or_default() + 10)
                .unwrap();
            elsewhere
                .request(|session: Session| async move { session.insert("n", &2_u32).unwrap() })
                .await;
            session.verify().await.unwrap();
        }
    });
    answer.await.value();

    let n = client.send(|session: Session| async move { session.get::<u32>("n").unwrap() });
    assert_eq!(n.await.value(), Some(12));
}

#[tokio::test]
async fn what_was_inserted_before_verify_found_the_end_goes_to_no_other_user() {
    for (user, kept) in [("alice", true), ("bob", false)] {
        let (layer, _faulty, admin) = world();
        let mut client = known(&layer).await;

        let answer = client.send(move |session: Session| {
            let admin = admin.clone();
            async move {
                session.insert("draft", "of alice").unwrap();
                session.insert("words", "of alice").unwrap();
                admin.end(session.id().unwrap()).await.unwrap();
                session.verify().await.unwrap_err();
                session.insert("notice", "sign in again").unwrap();
                session
                    .update("words", |words: Option<String>| words.unwrap_or_default())
                    .unwrap();
                session.log_in(user).unwrap();
                session.commit().await.unwrap();
            }
        });
        answer.await;

        assert_eq!(client.user().await.as_deref(), Some(user));
        assert!(client.get("notice").await.is_some());
        for key in ["draft", "words"] {
            assert_eq!(client.get(key).await.is_some(), kept, "{user} {key}");
        }
    }
}

// T73
#[tokio::test]
async fn the_device_api_and_the_page_answer_503_while_the_store_cannot_verify_the_session() {
    let (layer, faulty, _admin) = world();
    let client = known(&layer).await;
    faulty.always([Method::Resolve], Fault::Fail);

    let api = layer.layer(DeviceApi::at("/sessions"));
    let listed = api.oneshot(client.head("/sessions")).await.unwrap();
    let page = DevicePage::at("/devices");
    let view = visit(&layer, &page, &client, "GET /devices", &[], "").await;

    assert_eq!(listed.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(view.status, StatusCode::SERVICE_UNAVAILABLE);
}
