//! A sign-in whose answer from the store is read late, near an "end all".
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{pin::pin, time::Duration};

use http::StatusCode;
use tower_user_sessions::{CommitError, Login, SessionLayer, UserSessions};

use crate::common::{
    faulty::{Fault, FaultyStore, Method, poll_once, until_asked},
    http::{Client, HOUR, ids, store, user},
};

// T21
#[tokio::test]
async fn a_sign_in_that_arrived_after_end_all_is_kept_however_late_its_answer_is_read() {
    for after in [true, false] {
        let (store, clock) = store();
        let faulty = FaultyStore::new(&store);
        let layer = SessionLayer::new(faulty.clone());
        if after {
            UserSessions::new(store.clone(), user("alice"))
                .end_all()
                .await
                .unwrap();
            // For so long the machine may be busy between the request and its sign-in.
            clock.advance(Duration::from_millis(500));
        }
        faulty.next(Method::Create, Fault::HangAfter);
        let client = Client::new(&layer);
        let others = UserSessions::new(store.clone(), user("alice"));
        let mut answer = pin!(client.request(move |session| {
            let others = others.clone();
            async move {
                if !after {
                    others.end_all().await.unwrap();
                }
                session.log_in(user("alice")).unwrap();
            }
        }));
        until_asked(&faulty, Method::Create, 1, answer.as_mut()).await;
        // The store has made the session, and its answer waits.
        for _ in 0..10 {
            assert!(poll_once(answer.as_mut()).await.is_none());
        }
        // A busy machine: the store's time goes on as that of the node does.
        tokio::time::sleep(Duration::from_secs(1)).await;
        clock.advance(Duration::from_secs(1));
        faulty.release();

        let status = if after {
            StatusCode::OK
        } else {
            StatusCode::UNAUTHORIZED
        };
        assert_eq!(answer.await.status, status, "{after}");
        assert_eq!(ids(&store, "alice").await.len(), usize::from(after));
    }
}

// T21
#[tokio::test]
async fn a_proof_from_the_future_is_as_old_as_its_request_and_makes_no_session() {
    let (store, clock) = store();
    let faulty = FaultyStore::new(&store);
    let layer = SessionLayer::new(faulty.clone());
    let admin = UserSessions::new(store, user("alice"));
    let ahead = clock.now().plus(HOUR);

    let answer = Client::new(&layer).request(move |session| {
        let admin = admin.clone();
        async move {
            admin.end_all().await.unwrap();
            session
                .log_in_with(Login::new(user("alice")).since(ahead))
                .unwrap();
            session.commit().await.map(drop)
        }
    });

    assert!(matches!(answer.await.value(), Err(CommitError::Rejected)));
    // The store refused it, so that there was nothing to end.
    assert_eq!(faulty.calls(Method::End), 0);
}
