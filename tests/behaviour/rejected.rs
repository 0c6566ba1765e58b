//! A sign-in that was authenticated before an "end all" never survives it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use tower_user_sessions::{
    CommitError, Login, MemoryStore, Problem, Session, SessionLayer, UserSessions,
    store::ManualClock,
};

use crate::common::{
    faulty::{Fault, FaultyStore, Method},
    http::{Client, DAY, HOUR, ids, store, through, user},
};

fn world() -> (SessionLayer, MemoryStore, ManualClock) {
    let (store, clock) = store();
    (SessionLayer::new(store.clone()), store, clock)
}

fn admin(store: &MemoryStore, id: &str) -> UserSessions {
    UserSessions::new(store.clone(), user(id))
}

// T21
#[tokio::test]
async fn a_sign_in_that_began_before_end_all_is_rejected() {
    let (layer, store, _clock) = world();
    let others = admin(&store, "alice");

    let answer = Client::new(&layer).request(move |session| {
        let others = others.clone();
        async move {
            others.end_all().await.unwrap();
            session.log_in(user("alice")).unwrap();
        }
    });
    let answer = answer.await;

    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(answer.sets_no_cookie());
    assert_eq!(ids(&store, "alice").await, []);
}

// T21 T52
#[tokio::test]
async fn a_sign_in_that_began_before_end_all_is_rejected_if_its_own_clock_is_ahead() {
    let (layer, store, clock) = world();
    let others = admin(&store, "alice");
    let tomorrow = clock.now().plus(DAY);

    let answer = Client::new(&layer).request(move |session| {
        let others = others.clone();
        async move {
            others.end_all().await.unwrap();
            let login = Login::new(user("alice")).since(tomorrow);
            session.log_in_with(login).unwrap();
        }
    });

    assert_eq!(answer.await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(ids(&store, "alice").await, []);
}

// T21
#[tokio::test]
async fn a_sign_in_that_began_before_end_others_is_rejected() {
    let (layer, store, _clock) = world();
    let mut laptop = Client::new(&layer);
    let id = laptop.log_in("alice").await;

    let answer = Client::new(&layer).request(move |session| {
        let mut laptop = laptop.clone();
        async move {
            session.log_in(user("alice")).unwrap();
            laptop
                .send(|session| async move {
                    session.user_sessions().unwrap().end_others().await.unwrap()
                })
                .await;
        }
    });

    assert_eq!(Box::pin(answer).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(ids(&store, "alice").await, [id]);
}

// T21
#[tokio::test]
async fn a_rejected_sign_in_answers_401_with_its_own_reason() {
    let (layer, store, _clock) = world();
    let others = admin(&store, "alice");

    let layer = layer.reply(Problem);

    let answer = through(&layer, move |session: Session| {
        let others = others.clone();
        async move {
            others.end_all().await.unwrap();
            session.log_in(user("alice")).unwrap();
            Response::new(Bytes::new())
        }
    });

    let body = answer.await.into_body();
    insta::assert_snapshot!(str::from_utf8(&body).unwrap(), @r#"{"type":"about:blank","title":"Sign in again","status":401,"reason":"sign_in_void"}"#);
}

// T21
#[tokio::test]
async fn a_rejected_sign_in_does_not_change_the_guest_session() {
    let (layer, store, _clock) = world();
    let mut guest = Client::new(&layer);
    guest.insert("cart", "apple").await;
    let others = admin(&store, "alice");

    let answer = guest.send(move |session| {
        let others = others.clone();
        async move {
            others.end_all().await.unwrap();
            session.log_in(user("alice")).unwrap();
            let committed = session.commit().await;
            (
                matches!(committed, Err(CommitError::Rejected)),
                session.user_id(),
            )
        }
    });

    assert_eq!(answer.await.value(), (true, None));
    assert_eq!(guest.get("cart").await.as_deref(), Some("apple"));
}

// T21
#[tokio::test]
async fn a_sign_in_on_a_later_request_is_not_rejected() {
    let (layer, store, clock) = world();
    admin(&store, "alice").end_all().await.unwrap();
    clock.advance(HOUR);

    let id = Client::new(&layer).log_in("alice").await;

    assert_eq!(ids(&store, "alice").await, [id]);
}

// T21
#[tokio::test]
async fn the_cutoff_of_one_user_does_not_reject_sign_ins_of_another() {
    let (layer, store, _clock) = world();
    let others = admin(&store, "bob");

    let answer = Client::new(&layer).request(move |session| {
        let others = others.clone();
        async move {
            others.end_all().await.unwrap();
            session.log_in(user("alice")).unwrap();
        }
    });

    assert_eq!(answer.await.status, StatusCode::OK);
    assert_eq!(ids(&store, "alice").await.len(), 1);
}

// T21 T53
#[tokio::test]
async fn end_all_followed_by_a_sign_in_in_one_handler_keeps_that_sign_in() {
    let (layer, store, _clock) = world();
    let mut client = Client::signed_in(&layer, "alice").await;
    client.insert("cart", "apple").await;
    let mut previous = client.clone();

    let answer = client.send(|session| async move {
        session.user_sessions().unwrap().end_all().await.unwrap();
        session.log_in(user("alice")).unwrap();
        session.id().unwrap()
    });
    let id = answer.await.value();

    assert_eq!(ids(&store, "alice").await, [id]);
    assert_eq!(client.user().await.as_deref(), Some("alice"));
    assert_eq!(client.get("cart").await, None);
    assert_eq!(previous.user().await, None);
}

// T21
#[tokio::test]
async fn a_guest_who_resets_a_password_ends_all_sessions_and_signs_in() {
    let (layer, store, _clock) = world();
    let mut thief = Client::signed_in(&layer, "alice").await;
    let mut guest = Client::new(&layer);

    guest
        .send(|session| async move {
            session.sessions_of(user("alice")).end_all().await.unwrap();
            session.log_in(user("alice")).unwrap();
        })
        .await;

    assert_eq!(guest.user().await.as_deref(), Some("alice"));
    assert_eq!(thief.user().await, None);
    assert_eq!(ids(&store, "alice").await.len(), 1);
}

// T21
#[tokio::test]
async fn a_sign_in_after_its_own_end_all_is_rejected_by_a_later_one() {
    let (layer, store, clock) = world();
    let others = admin(&store, "alice");

    let answer = Client::new(&layer).request(move |session| {
        let (others, clock) = (others.clone(), clock.clone());
        async move {
            session.sessions_of(user("alice")).end_all().await.unwrap();
            clock.advance(Duration::from_secs(1));
            others.end_all().await.unwrap();
            session.log_in(user("alice")).unwrap();
        }
    });

    assert_eq!(answer.await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(ids(&store, "alice").await, []);
}

// T21: the server's clock stepped back in between.
#[tokio::test]
async fn a_sign_in_after_its_own_end_all_is_rejected_by_a_later_one_when_the_clock_stepped_back() {
    let (layer, store, clock) = world();
    let others = admin(&store, "alice");

    let answer = Client::new(&layer).request(move |session| {
        let (others, clock) = (others.clone(), clock.clone());
        async move {
            session.sessions_of(user("alice")).end_all().await.unwrap();
            clock.set(clock.now().minus(HOUR));
            others.end_all().await.unwrap();
            session.log_in(user("alice")).unwrap();
        }
    });

    assert_eq!(answer.await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(ids(&store, "alice").await, []);
}

// T21
#[tokio::test]
async fn an_own_end_all_of_one_user_does_not_help_the_sign_in_of_another() {
    let (layer, store, _clock) = world();
    let others = admin(&store, "bob");

    let answer = Client::new(&layer).request(move |session| {
        let others = others.clone();
        async move {
            session.sessions_of(user("alice")).end_all().await.unwrap();
            others.end_all().await.unwrap();
            session.log_in(user("bob")).unwrap();
        }
    });

    assert_eq!(answer.await.status, StatusCode::UNAUTHORIZED);
}

// T21
#[tokio::test]
async fn a_sign_in_of_several_steps_carries_the_time_of_its_first_factor() {
    let (layer, store, clock) = world();
    let mut client = Client::new(&layer);
    client.insert("step", "password").await;
    let began = client
        .send(|session| async move { session.seen_at().unwrap() })
        .await
        .value();
    clock.advance(HOUR);
    admin(&store, "alice").end_all().await.unwrap();
    clock.advance(HOUR);

    let second = |since| {
        client.request(move |session| async move {
            session
                .log_in_with(Login::new(user("alice")).since(since))
                .unwrap();
        })
    };

    assert_eq!(second(began).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        second(began.plus(HOUR)).await.status,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        second(began.plus(HOUR + Duration::from_millis(1)))
            .await
            .status,
        StatusCode::OK
    );
}

// T39
#[tokio::test]
async fn a_sign_in_counts_from_its_first_factor_and_never_from_the_future() {
    let (layer, _store, clock) = world();
    let now = clock.now();

    for (since, counted) in [(now.minus(HOUR), now.minus(HOUR)), (now.plus(HOUR), now)] {
        let earliest = counted.minus(Duration::from_secs(u64::from(since > now) * 60));
        let mut client = Client::new(&layer);
        client
            .send(move |session| async move {
                session
                    .log_in_with(Login::new(user("alice")).since(since))
                    .unwrap();
            })
            .await;
        let found = client.send(|session| async move { session.authenticated_at() });

        // One from the future counts from when its request arrived.
        let found = found.await.value().unwrap();
        assert!((earliest..=counted).contains(&found), "{found}");
    }
}

// T21: the age was taken when the call was sent, the script ran later.
#[tokio::test]
async fn a_sign_in_that_proves_older_than_the_cutoff_after_create_is_rejected() {
    let (store, _clock) = store();
    let faulty = FaultyStore::new(&store);
    faulty.next(Method::Create, Fault::LateCutoff);

    let answer = Client::new(&SessionLayer::new(faulty))
        .request(|session| async move { session.log_in(user("alice")).unwrap() })
        .await;

    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(answer.sets_no_cookie());
    assert_eq!(ids(&store, "alice").await, []);
}

// T21 T57
#[tokio::test]
async fn a_rejected_sign_in_that_cannot_be_ended_is_given_up() {
    let (store, _clock) = store();
    let faulty = FaultyStore::new(&store);
    faulty.next(Method::Create, Fault::LateCutoff);
    faulty.next(Method::End, Fault::Fail);

    let answer = Client::new(&SessionLayer::new(faulty.clone()))
        .request(|session| async move { session.log_in(user("alice")).unwrap() })
        .await;

    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(answer.sets_no_cookie());
    assert_eq!(faulty.given_up().len(), 1);
    assert_eq!(ids(&store, "alice").await, []);
}

// T21: the server's clock stepped back.
#[tokio::test]
async fn a_cutoff_in_the_future_rejects_one_sign_in_and_moves_to_now() {
    let (layer, store, clock) = world();
    admin(&store, "alice").end_all().await.unwrap();
    clock.set(clock.now().minus(DAY / 2));

    let first = Client::new(&layer)
        .request(|session| async move { session.log_in(user("alice")).unwrap() })
        .await;
    clock.advance(HOUR);
    let second = Client::new(&layer).log_in("alice").await;

    assert_eq!(first.status, StatusCode::UNAUTHORIZED);
    assert_eq!(ids(&store, "alice").await, [second]);
}

// T21
#[tokio::test]
async fn a_sign_in_staged_before_its_requests_own_end_all_is_rejected() {
    let (layer, store, _clock) = world();

    let answer = Client::new(&layer).request(|session| async move {
        session.log_in(user("alice")).unwrap();
        session.sessions_of(user("alice")).end_all().await.unwrap();
    });
    let answer = answer.await;

    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(ids(&store, "alice").await, []);
}
