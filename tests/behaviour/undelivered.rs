//! Dropped commits, and sessions whose response was never sent: there is one session or none.
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
use tower_user_sessions::{CommitError, MemoryStore, Session, SessionLayer, UserSessions};

use crate::common::{
    faulty::{Fault, FaultyStore, Method, poll_once, until_asked},
    http::{Answer, Client, ids, store, user},
};

fn world() -> (SessionLayer, FaultyStore, MemoryStore) {
    let (store, _clock) = store();
    let faulty = FaultyStore::new(&store);
    (SessionLayer::new(faulty.clone()), faulty, store)
}

// T57
#[tokio::test]
async fn a_dropped_commit_stays_staged_and_committing_again_is_the_same_session() {
    for fault in [Fault::Hang, Fault::HangAfter] {
        let (layer, faulty, store) = world();
        let mut client = Client::new(&layer);
        faulty.next(Method::Create, fault);

        let asked = faulty.clone();
        let answer = client.send(move |session| {
            let asked = asked.clone();
            async move {
                session.log_in(user("alice")).unwrap();
                {
                    let mut commit = pin!(session.commit());
                    until_asked(&asked, Method::Create, 1, commit.as_mut()).await;
                }
                session.id().unwrap()
            }
        });
        let id = answer.await.value();

        assert_eq!(ids(&store, "alice").await, [id], "{fault:?}");
        assert_eq!(client.user().await.as_deref(), Some("alice"), "{fault:?}");
    }
}

// T5
#[tokio::test]
async fn a_commit_dropped_before_the_guest_session_ended_ends_it_later() {
    let (layer, faulty, _store) = world();
    let mut client = Client::new(&layer);
    client.insert("cart", "apple").await;
    let guest = client.clone();
    faulty.next(Method::End, Fault::Hang);

    let asked = faulty.clone();
    client
        .send(move |session| {
            let asked = asked.clone();
            async move {
                session.log_in(user("alice")).unwrap();
                let mut commit = pin!(session.commit());
                until_asked(&asked, Method::End, 1, commit.as_mut()).await;
            }
        })
        .await;

    let found = guest.request(|session| async move { session.id() });
    assert_eq!(found.await.value(), None);
    assert_eq!(client.user().await.as_deref(), Some("alice"));
}

// T57
#[tokio::test]
async fn a_response_dropped_while_a_login_commits_ends_it_as_undelivered() {
    for fault in [Fault::Hang, Fault::HangAfter] {
        let (layer, faulty, store) = world();
        faulty.next(Method::Create, fault);

        let mut answer = Box::pin(
            Client::new(&layer)
                .request(|session| async move { session.log_in(user("alice")).unwrap() }),
        );
        until_asked(&faulty, Method::Create, 1, answer.as_mut()).await;
        drop(answer);

        assert_eq!(faulty.given_up().len(), 1, "{fault:?}");
        assert_eq!(ids(&store, "alice").await, [], "{fault:?}");
    }
}

// T57
#[tokio::test]
async fn a_response_dropped_after_a_commit_ends_its_session_as_undelivered() {
    let (layer, faulty, store) = world();
    let (committed, on_commit) = (faulty.clone(), store.clone());

    let mut answer = Box::pin(Client::new(&layer).request(|session| async move {
        session.log_in(user("alice")).unwrap();
        session.commit().await.unwrap();
        std::future::pending::<()>().await;
    }));
    until_asked(&committed, Method::Create, 1, answer.as_mut()).await;
    while ids(&on_commit, "alice").await.is_empty() {
        until_asked(&committed, Method::Create, 1, answer.as_mut()).await;
    }
    drop(answer);

    assert_eq!(ids(&store, "alice").await, []);
}

#[tokio::test]
async fn a_response_dropped_before_the_commit_began_changes_nothing() {
    let (layer, faulty, store) = world();
    let client = Client::signed_in(&layer, "alice").await;
    let before = ids(&store, "alice").await;

    let mut answer = Box::pin(client.request(|session| async move {
        session.insert("cart", "apple").unwrap();
        session.log_in(user("bob")).unwrap();
        std::future::pending::<()>().await;
    }));
    until_asked(&faulty, Method::Resolve, 1, answer.as_mut()).await;
    let _ = poll_once(answer.as_mut()).await;
    drop(answer);

    assert_eq!(faulty.given_up(), []);
    assert_eq!(faulty.calls(Method::Create), 1);
    assert_eq!(ids(&store, "alice").await, before);
}

// T57
#[tokio::test]
async fn after_the_response_was_dropped_a_clone_of_the_session_commits_nothing() {
    let (layer, faulty, store) = world();
    let kept = Arc::new(Mutex::new(None));
    let keeping = Arc::clone(&kept);

    let mut answer = Box::pin(Client::new(&layer).request(move |session: Session| {
        *keeping.lock().unwrap() = Some(session.clone());
        async move {
            session.log_in(user("alice")).unwrap();
            std::future::pending::<()>().await;
        }
    }));
    let _ = poll_once(answer.as_mut()).await;
    drop(answer);
    let session = kept.lock().unwrap().take().unwrap();
    let committed = session.commit().await;

    assert!(
        matches!(committed, Err(CommitError::Closed)),
        "{committed:?}"
    );
    assert_eq!(faulty.calls(Method::Create), 0);
    assert_eq!(ids(&store, "alice").await, []);
}

// T57
#[tokio::test]
async fn after_a_login_answered_503_a_clone_of_the_session_commits_nothing() {
    let (layer, faulty, store) = world();
    let kept = Arc::new(Mutex::new(None));
    let keeping = Arc::clone(&kept);
    faulty.next(Method::Create, Fault::Fail);

    let answer = Client::new(&layer).request(move |session: Session| {
        *keeping.lock().unwrap() = Some(session.clone());
        async move { session.log_in(user("alice")).unwrap() }
    });
    let answer = answer.await;
    let session = kept.lock().unwrap().take().unwrap();
    let committed = session.commit().await;

    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        matches!(committed, Err(CommitError::Closed)),
        "{committed:?}"
    );
    assert_eq!(ids(&store, "alice").await, []);
}

// T57
#[tokio::test]
async fn a_panic_commits_nothing_and_ends_a_committed_sign_in() {
    for commit_first in [false, true] {
        let (layer, faulty, store) = world();

        let request = Client::new(&layer).request(move |session| async move {
            session.log_in(user("alice")).unwrap();
            if commit_first {
                session.commit().await.unwrap();
            }
            panic!("the handler's own");
        });
        let outcome = tokio::spawn(async move { drop::<Answer<()>>(request.await) }).await;

        assert!(outcome.unwrap_err().is_panic());
        assert_eq!(faulty.calls(Method::Create), usize::from(commit_first));
        assert_eq!(ids(&store, "alice").await, []);
    }
}

// T57
#[tokio::test]
async fn a_commit_that_outlives_the_response_does_not_change_the_guest_session() {
    let (layer, faulty, store) = world();
    let mut guest = Client::new(&layer);
    guest.insert("cart", "apple").await;
    faulty.next(Method::Create, Fault::HangAfter);
    let (outcome, committed) = tokio::sync::oneshot::channel();
    let outcome = Arc::new(Mutex::new(Some(outcome)));

    let mut answer = Box::pin(guest.request(move |session: Session| {
        let outcome = outcome.lock().unwrap().take().unwrap();
        async move {
            session.log_in(user("alice")).unwrap();
            tokio::spawn(async move { outcome.send(session.commit().await).unwrap() });
            std::future::pending::<()>().await;
        }
    }));
    until_asked(&faulty, Method::Create, 2, answer.as_mut()).await;
    drop(answer);
    faulty.release();
    let committed = committed.await.unwrap();

    assert!(
        matches!(committed, Err(CommitError::Closed)),
        "{committed:?}"
    );
    assert_eq!(ids(&store, "alice").await, []);
    assert_eq!(guest.get("cart").await.as_deref(), Some("apple"));
}

// T57
#[tokio::test]
async fn after_the_response_was_dropped_a_clone_stores_no_data_either() {
    let (layer, faulty, _store) = world();
    let mut client = Client::signed_in(&layer, "alice").await;
    let kept = Arc::new(Mutex::new(None));
    let keeping = Arc::clone(&kept);

    let mut answer = Box::pin(client.request(move |session: Session| {
        *keeping.lock().unwrap() = Some(session.clone());
        async move {
            session.insert("cart", "apple").unwrap();
            std::future::pending::<()>().await;
        }
    }));
    until_asked(&faulty, Method::Resolve, 1, answer.as_mut()).await;
    while kept.lock().unwrap().is_none() {
        let _ = poll_once(answer.as_mut()).await;
    }
    drop(answer);
    let session: Session = kept.lock().unwrap().take().unwrap();
    let committed = session.commit().await;

    assert!(
        matches!(committed, Err(CommitError::Closed)),
        "{committed:?}"
    );
    assert_eq!(client.get("cart").await, None);
}

// T57
#[tokio::test]
async fn a_commit_that_lost_its_response_between_two_steps_signs_nobody_in() {
    let (layer, faulty, store) = world();
    let client = Client::signed_in(&layer, "alice").await;
    faulty.next(Method::End, Fault::Hang);
    let (outcome, committed) = tokio::sync::oneshot::channel();
    let outcome = Arc::new(Mutex::new(Some(outcome)));

    let mut answer = Box::pin(client.request(move |session: Session| {
        let outcome = outcome.lock().unwrap().take().unwrap();
        async move {
            session.log_out().unwrap();
            session.log_in(user("bob")).unwrap();
            tokio::spawn(async move { outcome.send(session.commit().await).unwrap() });
            std::future::pending::<()>().await;
        }
    }));
    until_asked(&faulty, Method::End, 1, answer.as_mut()).await;
    drop(answer);
    faulty.release();
    let committed = committed.await.unwrap();

    assert!(
        matches!(committed, Err(CommitError::Closed)),
        "{committed:?}"
    );
    assert_eq!(ids(&store, "bob").await, []);
    assert_eq!(faulty.calls(Method::Create), 1);
}

// T57
#[tokio::test]
async fn after_a_503_of_any_step_a_clone_of_the_session_commits_nothing() {
    let (layer, faulty, store) = world();
    let client = Client::signed_in(&layer, "alice").await;
    let kept = Arc::new(Mutex::new(None));
    let keeping = Arc::clone(&kept);
    faulty.next(Method::End, Fault::Fail);

    let answer = client.request(move |session: Session| {
        *keeping.lock().unwrap() = Some(session.clone());
        async move {
            session.log_out().unwrap();
            session.log_in(user("bob")).unwrap();
        }
    });
    let answer = answer.await;
    let session = kept.lock().unwrap().take().unwrap();
    let committed = session.commit().await;

    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        matches!(committed, Err(CommitError::Closed)),
        "{committed:?}"
    );
    assert_eq!(ids(&store, "bob").await, []);
}

// T57
#[tokio::test]
async fn a_login_whose_reply_was_lost_and_whose_handler_fails_is_given_up() {
    let (layer, faulty, store) = world();
    faulty.next(Method::Create, Fault::Lose);

    let answer = Client::new(&layer).answered(|session| async move {
        session.log_in(user("alice")).unwrap();
        session.commit().await.unwrap_err();
        let mut response = Response::new(String::new());
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        (response, ())
    });
    let answer = answer.await;

    assert!(answer.sets_no_cookie());
    assert_eq!(faulty.given_up().len(), 1);
    assert_eq!(ids(&store, "alice").await, []);
}

#[tokio::test]
async fn a_response_replaced_by_503_keeps_the_cookie_of_an_ended_session() {
    let (layer, faulty, store) = world();
    let client = Client::signed_in(&layer, "alice").await;
    let id = ids(&store, "alice").await[0];
    UserSessions::new(store.clone(), user("alice"))
        .end(id)
        .await
        .unwrap();
    faulty.next(Method::Create, Fault::Fail);

    let answer = client.request(|session| async move {
        session.ended().unwrap();
        session.insert("cart", "apple").unwrap();
    });
    let answer = answer.await;

    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.sets_no_cookie());
}
