//! A request that ends all sessions of several users, or of one several times, and signs in afterwards.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use http::StatusCode;
use tower_user_sessions::{
    CommitError, Login, SessionLayer, UserSessions,
    store::{MemoryStore, Timestamp},
};

use crate::common::{
    faulty::{Fault, FaultyStore, Method},
    http::{Client, DAY, HOUR, ids, store, user},
};

// T21
#[tokio::test]
async fn a_request_that_ends_the_sessions_of_two_users_can_sign_either_in() {
    for name in ["alice", "bob"] {
        let (store, _clock) = store();
        let layer = SessionLayer::new(store.clone());
        let mut client = Client::new(&layer);

        let answer = client.send(move |session| async move {
            session.sessions_of(user("alice")).end_all().await.unwrap();
            session.sessions_of(user("bob")).end_all().await.unwrap();
            session.log_in(user(name)).unwrap();
        });

        assert_eq!(answer.await.status, StatusCode::OK, "{name}");
        assert_eq!(ids(&store, name).await.len(), 1);
    }
}

/// The status of a request that ends all sessions of alice twice at once. The older answer comes last.
/// Then it signs in.
async fn ends_twice(sign_in_between: bool) -> StatusCode {
    let (store, clock) = store();
    let faulty = FaultyStore::new(&store);
    let layer = SessionLayer::new(faulty.clone());
    faulty.next(Method::End, Fault::HangAfter);

    let answer = Client::new(&layer).request(move |session| {
        let (faulty, clock) = (faulty.clone(), clock.clone());
        async move {
            let alice = session.sessions_of(user("alice"));
            let newer = async {
                while faulty.calls(Method::End) == 0 {
                    tokio::task::yield_now().await;
                }
                // The store has done the older one, and its answer waits.
                for _ in 0..10 {
                    tokio::task::yield_now().await;
                }
                clock.advance(DAY / 2);
                alice.end_all().await.unwrap();
                if sign_in_between {
                    session.log_in(user("alice")).unwrap();
                }
                faulty.release();
            };
            let (older, ()) = tokio::join!(alice.end_all(), newer);
            older.unwrap();
            if !sign_in_between {
                session.log_in(user("alice")).unwrap();
            }
            session.commit().await.map(drop)
        }
    });
    let answer = answer.await;
    let status = answer.status;
    let done = answer.value();
    assert!(
        matches!(done, Ok(()) | Err(CommitError::Rejected)),
        "{done:?}"
    );
    if done.is_err() {
        return StatusCode::UNAUTHORIZED;
    }
    status
}

// T21
#[tokio::test]
async fn a_sign_in_after_two_ends_at_once_counts_as_later_than_both() {
    assert_eq!(ends_twice(false).await, StatusCode::OK);
}

// T21
#[tokio::test]
async fn the_late_answer_of_an_older_end_does_not_reject_a_sign_in_after_a_newer_one() {
    assert_eq!(ends_twice(true).await, StatusCode::OK);
}

// T21
#[tokio::test]
async fn a_sign_in_staged_before_an_end_of_all_is_rejected() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store.clone());

    let done = Client::new(&layer).request(|session| async move {
        let alice = session.sessions_of(user("alice"));
        alice.end_all().await.unwrap();
        session.log_in(user("alice")).unwrap();
        alice.end_all().await.unwrap();
        session.commit().await.map(drop)
    });

    assert!(matches!(done.await.value(), Err(CommitError::Rejected)));
    assert!(ids(&store, "alice").await.is_empty());
}

/// What one request answers that ends all sessions of alice and signs her in, and when she authenticated by
/// the record. `meanwhile` runs in its handler before that.
async fn ends_all_and_signs_in(
    store: &MemoryStore,
    since: Option<Timestamp>,
    meanwhile: Option<Meanwhile>,
) -> (Result<(), CommitError>, Option<Timestamp>) {
    let layer = SessionLayer::new(store.clone());
    let admin = UserSessions::new(store.clone(), user("alice"));

    let answer = Client::new(&layer).request(move |session| {
        let admin = admin.clone();
        async move {
            match meanwhile {
                Some(Meanwhile::EndsAll) => drop(admin.end_all().await.unwrap()),
                Some(Meanwhile::Enables) => admin.enable().await.unwrap(),
                None => {}
            }
            session.sessions_of(user("alice")).end_all().await.unwrap();
            let login = Login::new(user("alice"));
            let login = match since {
                Some(since) => login.since(since),
                None => login,
            };
            session.log_in_with(login).unwrap();
            session.commit().await.map(drop)
        }
    });
    let done = answer.await.value();
    let live = UserSessions::new(store.clone(), user("alice")).list().await;
    let live = live.unwrap();
    assert_eq!(live.len(), usize::from(done.is_ok()));
    (done, live.first().map(|info| info.authenticated_at()))
}

/// What another request does while one runs.
#[derive(Clone, Copy)]
enum Meanwhile {
    EndsAll,
    Enables,
}

// T21
#[tokio::test]
async fn an_own_end_does_not_hide_one_that_came_after_the_arrival() {
    for meanwhile in [Meanwhile::EndsAll, Meanwhile::Enables] {
        let (store, _clock) = store();

        let (done, _) = ends_all_and_signs_in(&store, None, Some(meanwhile)).await;

        assert!(matches!(done, Err(CommitError::Rejected)), "{done:?}");
    }
}

// T21
#[tokio::test]
async fn an_own_end_does_not_hide_one_that_came_after_the_first_step() {
    let (store, clock) = store();
    let first_step = clock.now();
    clock.advance(HOUR);
    let admin = UserSessions::new(store.clone(), user("alice"));
    admin.end_all().await.unwrap();
    clock.advance(HOUR);

    let (done, _) = ends_all_and_signs_in(&store, Some(first_step), None).await;

    assert!(matches!(done, Err(CommitError::Rejected)), "{done:?}");
}

// T21
#[tokio::test]
async fn a_sign_in_after_its_own_end_may_be_proven_after_an_earlier_end() {
    for has_first_step in [false, true] {
        let (store, clock) = store();
        let admin = UserSessions::new(store.clone(), user("alice"));
        admin.end_all().await.unwrap();
        clock.advance(HOUR);
        let first_step = Some(clock.now()).filter(|_| has_first_step);
        clock.advance(HOUR);

        let (done, _) = ends_all_and_signs_in(&store, first_step, None).await;

        assert!(done.is_ok(), "{first_step:?}: {done:?}");
    }
}

// T21
#[tokio::test]
async fn a_sign_in_after_its_own_end_is_too_old_after_a_day() {
    let (store, clock) = store();
    let first_step = clock.now();
    clock.advance(DAY);

    let (done, _) = ends_all_and_signs_in(&store, Some(first_step), None).await;

    assert!(matches!(done, Err(CommitError::TooOld)), "{done:?}");
}

// T39
#[tokio::test]
async fn an_own_end_makes_the_first_step_of_a_sign_in_no_younger() {
    let (store, clock) = store();
    let first_step = clock.now();
    clock.advance(HOUR);

    let (done, authenticated) = ends_all_and_signs_in(&store, Some(first_step), None).await;

    done.unwrap();
    assert_eq!(authenticated, Some(first_step));
}

/// When another request ends all sessions, if one does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Other {
    None,
    Before,
    Between,
}

// T21
#[tokio::test]
async fn a_repeated_end_whose_first_answer_was_lost_hides_ends_of_others_and_not_its_own() {
    for other in [Other::None, Other::Before, Other::Between] {
        let (store, clock) = store();
        let faulty = FaultyStore::new(&store);
        let layer = SessionLayer::new(faulty.clone());
        let admin = UserSessions::new(store.clone(), user("alice"));

        let answer = Client::new(&layer).request(move |session| {
            let (admin, faulty, clock) = (admin.clone(), faulty.clone(), clock.clone());
            async move {
                let alice = session.sessions_of(user("alice"));
                if other == Other::Before {
                    admin.end_all().await.unwrap();
                }
                faulty.next(Method::End, Fault::Lose);
                alice.end_all().await.unwrap_err();
                match other {
                    Other::None => clock.advance(HOUR),
                    Other::Before => {}
                    Other::Between => drop(admin.end_all().await.unwrap()),
                }
                alice.end_all().await.unwrap();
                session.log_in(user("alice")).unwrap();
                session.commit().await.map(drop)
            }
        });

        let done = answer.await.value();
        match other {
            Other::None => assert!(done.is_ok(), "{done:?}"),
            _ => assert!(
                matches!(done, Err(CommitError::Rejected)),
                "{other:?}: {done:?}"
            ),
        }
    }
}
