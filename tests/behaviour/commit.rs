//! When staged changes are stored: with the response head, at once by `commit()`, or never.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{
    pin::pin,
    sync::{Arc, Mutex},
};

use http::{Response, StatusCode};
use tower_user_sessions::{
    CommitError, Login, MemoryStore, Session, SessionErrorKind, SessionLayer,
};

use crate::common::{
    faulty::{Fault, FaultyStore, Method, poll_once, until_asked},
    http::{Client, ids, store, user},
};

fn world() -> (SessionLayer, FaultyStore, MemoryStore) {
    let (store, _clock) = store();
    let faulty = FaultyStore::new(&store);
    (SessionLayer::new(faulty.clone()), faulty, store)
}

#[tokio::test]
async fn with_nothing_staged_a_request_is_one_store_call_and_sets_no_cookie() {
    let (layer, faulty, _store) = world();
    let mut client = Client::signed_in(&layer, "alice").await;
    let before = faulty.all_calls();

    let answer = client.send(|session| async move { session.get::<String>("cart").unwrap() });

    assert!(answer.await.sets_no_cookie());
    assert_eq!(faulty.all_calls() - before, 1);
}

#[tokio::test]
async fn all_changes_of_one_handler_are_one_round_trip() {
    let (layer, faulty, _store) = world();
    let mut client = Client::signed_in(&layer, "alice").await;
    let before = faulty.all_calls();

    client
        .send(|session| async move {
            session.insert("a", "1").unwrap();
            session.insert("b", "2").unwrap();
            session
                .update("a", |a: Option<String>| a.unwrap() + "1")
                .unwrap();
        })
        .await;

    assert_eq!(faulty.all_calls() - before, 2);
    assert_eq!(client.get("a").await.as_deref(), Some("11"));
}

#[tokio::test]
async fn a_login_is_one_round_trip_and_a_second_one_ends_the_guest_session() {
    let (layer, faulty, _store) = world();
    let mut client = Client::new(&layer);

    client.log_in("alice").await;
    let fresh = faulty.all_calls();
    let mut guest = Client::new(&layer);
    guest.insert("cart", "apple").await;
    let before = faulty.all_calls();
    guest.log_in("alice").await;

    assert_eq!(fresh, 1);
    assert_eq!(faulty.all_calls() - before, 3);
    assert_eq!(
        (faulty.calls(Method::Create), faulty.calls(Method::End)),
        (3, 1)
    );
}

#[tokio::test]
async fn commit_stores_at_once() {
    let (layer, _faulty, store) = world();

    let live = Client::new(&layer).request(move |session| {
        let store = store.clone();
        async move {
            session.log_in(user("alice")).unwrap();
            let before = ids(&store, "alice").await.len();
            session.commit().await.unwrap();
            (before, ids(&store, "alice").await.len())
        }
    });

    assert_eq!(live.await.value(), (0, 1));
}

#[tokio::test]
async fn two_commits_at_once_on_a_new_guest_make_one_session() {
    let (layer, faulty, store) = world();
    let mut client = Client::new(&layer);

    let answer = client.send(|session: Session| async move {
        session.insert("cart", "apple").unwrap();
        let (one, two) = tokio::join!(session.commit(), session.commit());
        one.unwrap();
        two.unwrap();
    });
    answer.await;

    assert_eq!(faulty.calls(Method::Create), 1);
    assert_eq!(store.sets(), 1);
    assert_eq!(client.get("cart").await.as_deref(), Some("apple"));
}

#[tokio::test]
async fn two_commits_at_once_of_a_login_make_one_session() {
    let (layer, faulty, store) = world();

    let answer = Client::new(&layer).request(|session: Session| async move {
        session.log_in(user("alice")).unwrap();
        let (one, two) = tokio::join!(session.commit(), session.commit());
        one.unwrap();
        two.unwrap();
    });
    answer.await;

    assert_eq!(faulty.calls(Method::Create), 1);
    assert_eq!(ids(&store, "alice").await.len(), 1);
}

#[tokio::test]
async fn the_layer_waits_for_a_commit_in_progress() {
    let (layer, faulty, _store) = world();
    let mut client = Client::new(&layer);
    faulty.next(Method::Create, Fault::Hang);

    let asked = faulty.clone();
    let mut answer = Box::pin(client.request(move |session: Session| {
        let asked = asked.clone();
        async move {
            session.insert("cart", "apple").unwrap();
            let committing = session.clone();
            tokio::spawn(async move { committing.commit().await.map(drop) });
            while asked.calls(Method::Create) == 0 {
                tokio::task::yield_now().await;
            }
        }
    }));
    until_asked(&faulty, Method::Create, 1, answer.as_mut()).await;
    faulty.release();
    let answer = answer.await;
    client.keep(&answer);

    assert_eq!(faulty.calls(Method::Create), 1);
    assert_eq!(client.get("cart").await.as_deref(), Some("apple"));
}

#[tokio::test]
async fn staging_after_the_response_head_is_a_typed_error() {
    let (layer, _faulty, store) = world();
    let mut client = Client::signed_in(&layer, "alice").await;

    let session = client.send(|session| async move { session }).await.value();
    let kinds = [
        session.insert("cart", "apple").unwrap_err().kind(),
        session
            .update("n", |n: Option<u8>| n.unwrap_or(0))
            .unwrap_err()
            .kind(),
        session.remove("cart").unwrap_err().kind(),
        session.log_in(user("bob")).unwrap_err().kind(),
        session.log_out().unwrap_err().kind(),
    ];

    assert_eq!(kinds, [SessionErrorKind::Closed; 5]);
    assert_eq!(ids(&store, "alice").await.len(), 1);
}

#[tokio::test]
async fn a_panic_in_a_clone_of_the_session_leaves_it_usable() {
    let (layer, _faulty, _store) = world();
    let mut client = Client::signed_in(&layer, "alice").await;

    client
        .send(|session: Session| async move {
            let clone = session.clone();
            let panicked = tokio::spawn(async move {
                clone.update("cart", |_: Option<String>| -> String {
                    panic!("the user's own")
                })
            });
            assert!(panicked.await.unwrap_err().is_panic());
            session.insert("cart", "apple").unwrap();
        })
        .await;

    assert_eq!(client.get("cart").await.as_deref(), Some("apple"));
}

#[tokio::test]
async fn a_failed_response_also_waits_for_a_commit_in_progress() {
    let (layer, faulty, store) = world();
    faulty.next(Method::Create, Fault::HangAfter);

    let asked = faulty.clone();
    let mut answer = Box::pin(Client::new(&layer).answered(move |session: Session| {
        let asked = asked.clone();
        async move {
            session.log_in(user("alice")).unwrap();
            tokio::spawn(async move { session.commit().await.map(drop) });
            while asked.calls(Method::Create) == 0 {
                tokio::task::yield_now().await;
            }
            let mut response = Response::new(String::new());
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            (response, ())
        }
    }));
    until_asked(&faulty, Method::Create, 1, answer.as_mut()).await;
    let early = poll_once(answer.as_mut()).await;
    assert!(early.is_none(), "did not wait");
    faulty.release();
    let answer = answer.await;

    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(answer.set_cookies().len(), 1);
    assert_eq!(ids(&store, "alice").await.len(), 1);
}

#[tokio::test]
async fn staging_while_the_layer_commits_is_a_typed_error() {
    let (layer, faulty, _store) = world();
    let client = Client::signed_in(&layer, "alice").await;
    let kept = Arc::new(Mutex::new(None));
    let keeping = Arc::clone(&kept);
    faulty.next(Method::Save, Fault::Hang);

    let mut answer = Box::pin(client.request(move |session: Session| {
        *keeping.lock().unwrap() = Some(session.clone());
        async move { session.insert("cart", "apple").unwrap() }
    }));
    until_asked(&faulty, Method::Save, 1, answer.as_mut()).await;
    let session: Session = kept.lock().unwrap().take().unwrap();
    let late = session.insert("cart", "pear");

    assert_eq!(late.unwrap_err().kind(), SessionErrorKind::Closed);
}

#[tokio::test]
async fn a_login_staged_during_a_commit_still_carries_the_guests_data() {
    let (layer, faulty, _store) = world();
    let mut client = Client::new(&layer);
    faulty.next(Method::Create, Fault::Hang);

    let asked = faulty.clone();
    client
        .send(move |session| {
            let asked = asked.clone();
            async move {
                session.insert("cart", "apple").unwrap();
                let mut commit = pin!(session.commit());
                until_asked(&asked, Method::Create, 1, commit.as_mut()).await;
                session
                    .log_in_with(Login::new(user("alice")).carry(["cart"]))
                    .unwrap();
                asked.release();
                commit.await.unwrap();
            }
        })
        .await;

    assert_eq!(client.user().await.as_deref(), Some("alice"));
    assert_eq!(client.get("cart").await.as_deref(), Some("apple"));
}

#[tokio::test]
async fn changes_staged_after_a_logout_during_a_commit_are_kept() {
    let (layer, faulty, _store) = world();
    let mut client = Client::signed_in(&layer, "alice").await;
    faulty.next(Method::Save, Fault::Hang);

    let asked = faulty.clone();
    client
        .send(move |session| {
            let asked = asked.clone();
            async move {
                session.insert("cart", "apple").unwrap();
                let mut commit = pin!(session.commit());
                until_asked(&asked, Method::Save, 1, commit.as_mut()).await;
                session.log_out().unwrap();
                session.insert("flash", "bye").unwrap();
                asked.release();
                commit.await.unwrap();
            }
        })
        .await;

    assert_eq!(client.get("cart").await, None);
    assert_eq!(client.get("flash").await.as_deref(), Some("bye"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_runs_while_a_clone_commits_is_not_lost() {
    let (layer, _faulty, _store) = world();
    let mut client = Client::signed_in(&layer, "alice").await;
    client.insert("log", "0").await;

    client
        .send(|session: Session| async move {
            let clone = session.clone();
            let handle = tokio::runtime::Handle::current();
            let mut first = true;
            tokio::task::spawn_blocking(move || {
                session
                    .update("log", move |log: Option<String>| {
                        if std::mem::take(&mut first) {
                            clone
                                .update("log", |log: Option<String>| log.unwrap() + "a")
                                .unwrap();
                            handle.block_on(clone.commit()).unwrap();
                        }
                        log.unwrap() + "b"
                    })
                    .unwrap();
            })
            .await
            .unwrap();
        })
        .await;

    assert_eq!(client.get("log").await.as_deref(), Some("0ab"));
}

#[tokio::test]
async fn an_update_may_stage_another_key_while_it_runs() {
    let (layer, _faulty, _store) = world();
    let mut client = Client::new(&layer);

    client
        .send(|session: Session| async move {
            let clone = session.clone();
            let mut runs = 0;
            session
                .update("n", move |n: Option<u8>| {
                    runs += 1;
                    assert!(runs < 5, "runs for ever");
                    clone.insert("other", "x").unwrap();
                    n.unwrap_or(0) + 1
                })
                .unwrap();
        })
        .await;

    assert_eq!(client.get("other").await.as_deref(), Some("x"));
}

#[tokio::test]
async fn a_sign_in_staged_with_an_update_that_gave_up_is_no_longer_staged() {
    let (layer, faulty, store) = world();
    let mut client = Client::signed_in(&layer, "alice").await;
    let before = ids(&store, "alice").await;
    faulty.always([Method::Save], Fault::Overtake);

    let answer = client.send(|session| async move {
        session.update("n", |n: Option<u8>| n.unwrap_or(0)).unwrap();
        session.log_in(user("alice")).unwrap();
        matches!(session.commit().await, Err(CommitError::Conflict))
    });

    assert!(answer.await.value());
    assert_eq!(ids(&store, "alice").await, before);
}
