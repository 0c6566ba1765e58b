//! Two requests re-authenticate with one token, and the client leaves one of them before its response.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use http::StatusCode;
use tokio::{sync::Notify, task::JoinHandle};
use tower_user_sessions::{CommitError, MemoryStore, SessionId, SessionLayer, store::ManualClock};

use crate::common::{
    faulty::{Fault, FaultyStore, Method, poll_once, until_asked},
    http::{Answer, Client, ids, store},
};

const GRACE: Duration = Duration::from_secs(120);

/// Its call to the store has not happened yet, or has happened.
const FAULTS: [Fault; 2] = [Fault::Hang, Fault::HangAfter];

struct World {
    faulty: FaultyStore,
    store: MemoryStore,
    browser: Client,
    id: Vec<SessionId>,
}

async fn world() -> World {
    let (store, _clock) = store();
    let faulty = FaultyStore::new(&store);
    let browser = Client::signed_in(&SessionLayer::new(faulty.clone()), "alice").await;
    let id = ids(&store, "alice").await;
    World {
        faulty,
        store,
        browser,
        id,
    }
}

impl World {
    /// The second click. Its handler has found the session, and checks the password until it is notified. It says whether the
    /// session goes on.
    async fn second(&self) -> (JoinHandle<Answer<bool>>, Arc<Notify>) {
        let (found, checked) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (finds, checks) = (Arc::clone(&found), Arc::clone(&checked));
        let second = self.browser.request(move |session| {
            let (finds, checks) = (Arc::clone(&finds), Arc::clone(&checks));
            async move {
                assert!(session.user_id().is_some());
                finds.notify_one();
                checks.notified().await;
                session.reauthenticated().unwrap();
                match session.commit().await {
                    Err(CommitError::Ended) => false,
                    done => {
                        done.unwrap();
                        true
                    }
                }
            }
        });
        let second = tokio::spawn(second);
        found.notified().await;
        (second, checked)
    }

    /// The first click, which waits for the store.
    async fn first(&self, fault: Fault) -> Pin<Box<impl Future<Output = Answer<()>> + use<>>> {
        self.faulty.next(Method::Rotate, fault);
        let asked = self.faulty.calls(Method::Rotate) + 1;
        let first =
            (self.browser).request(|session| async move { session.reauthenticated().unwrap() });
        let mut first = Box::pin(first);
        until_asked(&self.faulty, Method::Rotate, asked, first.as_mut()).await;
        assert!(poll_once(first.as_mut()).await.is_none());
        first
    }
}

// T54 T57
#[tokio::test]
async fn if_the_first_click_is_dropped_before_the_second_is_through_the_second_learns_that_the_session_ended()
 {
    for fault in FAULTS {
        let world = world().await;
        let (second, checked) = world.second().await;
        let first = world.first(fault).await;

        drop(first);
        checked.notify_one();
        let second = second.await.unwrap();

        assert_eq!(world.faulty.given_up(), world.id, "{fault:?}");
        assert!(second.sets_no_cookie(), "{fault:?}");
        assert!(!second.value(), "{fault:?}");
        assert_eq!(ids(&world.store, "alice").await, [], "{fault:?}");
    }
}

// T54 T57
#[tokio::test]
async fn if_the_first_click_is_dropped_after_the_second_was_answered_the_session_ends_all_the_same()
{
    for fault in FAULTS {
        let world = world().await;
        let (second, checked) = world.second().await;
        let first = world.first(fault).await;

        checked.notify_one();
        let second = second.await.unwrap();
        drop(first);

        assert_eq!(second.status, StatusCode::OK, "{fault:?}");
        assert!(!second.sets_no_cookie(), "{fault:?}");
        assert_eq!(world.faulty.given_up(), world.id, "{fault:?}");
        assert_eq!(ids(&world.store, "alice").await, [], "{fault:?}");
        let mut browser = world.browser.clone();
        browser.keep(&second);
        assert!(second.value(), "{fault:?}");
        let after = browser.send(|session| async move {
            (session.user_id(), session.ended().map(|it| it.reason))
        });
        assert_eq!(after.await.value(), (None, None), "{fault:?}");
    }
}

// T54 T57
#[tokio::test]
async fn if_both_clicks_are_dropped_no_session_is_left_without_a_client() {
    for fault in FAULTS {
        let world = world().await;
        let (second, checked) = world.second().await;
        let first = world.first(fault).await;
        world.faulty.next(Method::Rotate, Fault::HangAfter);
        checked.notify_one();
        while world.faulty.calls(Method::Rotate) < 2 {
            tokio::task::yield_now().await;
        }

        second.abort();
        assert!(second.await.unwrap_err().is_cancelled(), "{fault:?}");
        drop(first);

        assert_eq!(ids(&world.store, "alice").await, [], "{fault:?}");
    }
}

// Why a dropped re-authentication ends the session, although that of another request succeeded: the store may run the
// dropped one last. The delivered token then works no longer than the grace time, unless a request sends it.
// T54
#[tokio::test]
async fn a_session_whose_later_token_no_client_has_is_live_after_the_grace_time_and_nobody_can_use_it()
 {
    let (store, clock): (MemoryStore, ManualClock) = store();
    let before = Client::signed_in(&SessionLayer::new(store.clone()), "alice").await;
    let id = ids(&store, "alice").await;
    let parallel = before.clone();
    let later = before.request(move |session| {
        let parallel = parallel.clone();
        async move {
            assert!(session.user_id().is_some());
            let earlier =
                parallel.request(|session| async move { session.reauthenticated().unwrap() });
            let earlier = earlier.await;
            session.reauthenticated().unwrap();
            earlier
        }
    });
    let mut browser = before.clone();
    browser.keep(&later.await.value());

    clock.advance(GRACE);

    assert_eq!(browser.user().await, None);
    assert_eq!(ids(&store, "alice").await, id);
}
