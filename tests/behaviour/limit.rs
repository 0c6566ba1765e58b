//! How many sessions a user may have, and which one ends when there are too many.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;
use http::{Response, StatusCode};
use tower_user_sessions::{
    CommitError, EndReason, Limit, Login, MemoryStore, Problem, Session, SessionId, SessionLayer,
    store::ManualClock,
};

use crate::common::http::{Client, HOUR, ids, store, through, user};

/// Clients of alice that signed in one after the other, an hour apart, and sent their token.
async fn three(layer: &SessionLayer, clock: &ManualClock) -> Vec<(Client, SessionId)> {
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = Client::new(layer);
        let id = client.log_in("alice").await;
        client.user().await;
        clients.push((client, id));
        clock.advance(HOUR);
    }
    clients
}

fn limited(limit: Limit) -> (SessionLayer, MemoryStore, ManualClock) {
    let (store, clock) = store();
    (SessionLayer::new(store.clone()).limit(limit), store, clock)
}

fn sorted(mut ids: Vec<SessionId>) -> Vec<SessionId> {
    ids.sort();
    ids
}

// T25 T26
#[tokio::test]
async fn the_least_recently_active_session_is_evicted_not_the_oldest() {
    let (layer, store, clock) = limited(Limit::at_most(3));
    let mut clients = three(&layer, &clock).await;
    clients[0].0.user().await;
    clock.advance(HOUR);

    let mut newest = Client::new(&layer);
    let fourth = newest.log_in("alice").await;

    assert_eq!(
        ids(&store, "alice").await,
        [fourth, clients[0].1, clients[2].1]
    );
    assert_eq!(clients[1].0.user().await, None);
}

// T26 T58
#[tokio::test]
async fn a_request_that_does_not_count_as_activity_does_not_prevent_eviction() {
    let (layer, store, clock) = limited(Limit::at_most(3));
    let clients = three(&layer, &clock).await;
    let polling = layer.clone().counts_as_activity(|_| false);

    clients[0].0.before(&polling).user().await;
    Client::signed_in(&layer, "alice").await;

    assert!(!ids(&store, "alice").await.contains(&clients[0].1));
}

// T26
#[tokio::test]
async fn equal_activity_is_ordered_by_creation() {
    let (layer, store, clock) = limited(Limit::at_most(3));
    let mut clients = three(&layer, &clock).await;
    for (client, _) in &mut clients {
        client.user().await;
    }

    Client::signed_in(&layer, "alice").await;

    assert!(!ids(&store, "alice").await.contains(&clients[0].1));
}

// T26
#[tokio::test]
async fn equal_creation_is_ordered_by_id_and_the_new_session_is_never_evicted() {
    let (layer, store, _clock) = limited(Limit::at_most(3));
    let mut all = Vec::new();
    for _ in 0..3 {
        all.push(Client::new(&layer).log_in("alice").await);
    }
    all.sort_by_key(SessionId::to_string);

    for _ in 0..20 {
        let newest = Client::new(&layer).log_in("alice").await;

        let victim = all.remove(0);
        all.push(newest);
        all.sort_by_key(SessionId::to_string);
        let live = ids(&store, "alice").await;
        assert!(live.contains(&newest) && !live.contains(&victim));
        assert_eq!(sorted(live), sorted(all.clone()));
    }
}

// T42
#[tokio::test]
async fn the_evicted_client_learns_why() {
    let (layer, _store, _clock) = limited(Limit::at_most(1));
    let first = Client::signed_in(&layer, "alice").await;
    let second = Client::new(&layer).log_in("alice").await;

    let ended = first.request(|session| async move { session.ended() });

    let notice = ended.await.value().unwrap();
    assert_eq!(
        (notice.reason, notice.by),
        (EndReason::Evicted, Some(second))
    );
}

// T25
#[tokio::test]
async fn commit_lists_the_evicted_sessions() {
    let (layer, _store, clock) = limited(Limit::at_most(3));
    let clients = three(&layer, &clock).await;

    let evicted = Client::new(&layer).request(|session| async move {
        let login = Login::new(user("alice")).limit(Limit::at_most(2));
        session.log_in_with(login).unwrap();
        session.commit().await.unwrap().evicted
    });

    let evicted: Vec<_> = evicted.await.value().iter().map(|info| info.id()).collect();
    assert_eq!(evicted, [clients[0].1, clients[1].1]);
}

// T31
#[tokio::test]
async fn a_lowered_limit_evicts_at_the_next_login_and_not_before() {
    let (layer, store, clock) = limited(Limit::at_most(3));
    let clients = three(&layer, &clock).await;
    let layer = layer.limit(Limit::at_most(2));

    let mut first = clients[0].0.before(&layer);
    let before = first.user().await;
    let newest = Client::new(&layer).log_in("alice").await;

    assert_eq!(before.as_deref(), Some("alice"));
    assert_eq!(
        sorted(ids(&store, "alice").await),
        sorted(vec![newest, clients[0].1])
    );
}

// T26
#[tokio::test]
async fn a_login_may_state_its_own_limit() {
    let (layer, store, clock) = limited(Limit::at_most(3));
    three(&layer, &clock).await;

    let generous = Login::new(user("alice")).limit(Limit::at_most(4));
    Client::new(&layer)
        .request(move |session| {
            let login = generous.clone();
            async move { session.log_in_with(login).unwrap() }
        })
        .await;

    assert_eq!(ids(&store, "alice").await.len(), 4);
}

// T28
#[tokio::test]
async fn expired_sessions_never_count() {
    let (layer, store, clock) = limited(Limit::at_most(3).refuse());
    let layer = layer.lifetime(tower_user_sessions::Lifetime::new(HOUR, HOUR));
    three(&layer, &clock).await;

    let newest = Client::new(&layer).log_in("alice").await;

    assert_eq!(ids(&store, "alice").await, [newest]);
}

// T32
#[tokio::test]
async fn guests_never_count() {
    let (layer, store, _clock) = limited(Limit::at_most(1).refuse());
    for _ in 0..3 {
        Client::new(&layer).insert("cart", "apple").await;
    }
    let mut guest = Client::new(&layer);
    guest.insert("cart", "apple").await;

    let id = guest.log_in("alice").await;

    assert_eq!(ids(&store, "alice").await, [id]);
    assert_eq!(store.sets(), 4 + 1);
}

#[tokio::test]
async fn other_users_never_count() {
    let (layer, store, _clock) = limited(Limit::at_most(1));
    let bob = Client::new(&layer).log_in("bob").await;

    Client::new(&layer).log_in("alice").await;

    assert_eq!(ids(&store, "bob").await, [bob]);
}

// T27 T34
#[tokio::test]
async fn a_refused_login_answers_409_evicts_none_and_does_not_change_the_guest_session() {
    let (layer, store, _clock) = limited(Limit::at_most(1).refuse());
    let first = Client::new(&layer).log_in("alice").await;
    let mut guest = Client::new(&layer);
    guest.insert("cart", "apple").await;

    let refused = guest.send(|session| async move {
        session
            .log_in_with(Login::new(user("alice")).carry(["cart"]))
            .unwrap();
        session.insert("note", "new").unwrap();
    });
    let refused = refused.await;

    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.sets_no_cookie());
    assert_eq!(ids(&store, "alice").await, [first]);
    assert_eq!(guest.get("cart").await.as_deref(), Some("apple"));
    assert_eq!(guest.get("note").await, None);
}

// T27
#[tokio::test]
async fn a_refused_login_answers_problem_json_if_the_app_chose_it() {
    let (layer, _store, _clock) = limited(Limit::at_most(1).refuse());
    Client::new(&layer).log_in("alice").await;
    let layer = layer.reply(Problem);

    let refused = through(&layer, |session: Session| async move {
        session.log_in(user("alice")).unwrap();
        Response::new(Bytes::new())
    });
    let (head, body) = refused.await.into_parts();

    assert_eq!(head.headers["content-type"], "application/problem+json");
    assert_eq!(head.headers["cache-control"], "no-store");
    let mut problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let members = problem.as_object_mut().unwrap();
    assert!(members.remove("ticket").is_some());
    assert_eq!(
        members
            .remove("sessions")
            .unwrap()
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let expected = serde_json::json!({
        "type": "about:blank",
        "title": "Too many sessions",
        "status": 409,
        "reason": "limit_reached",
    });
    assert_eq!(problem, expected);
}

// T27
#[tokio::test]
async fn commit_lists_the_sessions_that_fill_the_limit_and_unstages_the_login() {
    let (layer, store, clock) = limited(Limit::at_most(3).refuse());
    let mut clients = three(&layer, &clock).await;
    clients[1].0.user().await;

    let answer = Client::new(&layer).request(|session| async move {
        session.log_in(user("alice")).unwrap();
        let Err(CommitError::LimitReached(reached)) = session.commit().await else {
            panic!("not refused");
        };
        let filled: Vec<_> = reached.sessions.iter().map(|info| info.id()).collect();
        (filled, session.user_id())
    });
    let answer = answer.await;

    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(
        answer.value(),
        (vec![clients[1].1, clients[2].1, clients[0].1], None)
    );
    assert_eq!(ids(&store, "alice").await.len(), 3);
}

// T34
#[tokio::test]
async fn a_login_whose_handler_fails_evicts_none() {
    let (layer, store, clock) = limited(Limit::at_most(3));
    let clients = three(&layer, &clock).await;

    Client::new(&layer)
        .answered(|session| async move {
            session.log_in(user("alice")).unwrap();
            let mut response = Response::new(String::new());
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            (response, ())
        })
        .await;

    let live = ids(&store, "alice").await;
    assert_eq!(
        sorted(live),
        sorted(clients.iter().map(|(_, id)| *id).collect())
    );
}

// T25
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_logins_at_once_never_exceed_the_limit() {
    let (layer, store, _clock) = limited(Limit::at_most(3));
    let over = Arc::new(AtomicBool::new(false));
    let watched = (store.clone(), Arc::clone(&over));
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let watcher = tokio::spawn(async move {
        let mut looks = 0_u32;
        while stopped.try_recv().is_err() {
            over_three(&watched.0, &watched.1).await;
            looks += 1;
            tokio::task::yield_now().await;
        }
        looks
    });

    let logins: Vec<_> = (0..500)
        .map(|_| {
            let layer = layer.clone();
            tokio::spawn(async move { Client::new(&layer).log_in("alice").await })
        })
        .collect();
    for login in logins {
        login.await.unwrap();
    }
    stop.send(()).unwrap();

    assert!(watcher.await.unwrap() > 0);
    assert!(!over.load(Ordering::SeqCst));
    assert_eq!(ids(&store, "alice").await.len(), 3);
}

async fn over_three(store: &MemoryStore, over: &AtomicBool) {
    if ids(store, "alice").await.len() > 3 {
        over.store(true, Ordering::SeqCst);
    }
}

// T27
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_refusing_limit_admits_exactly_its_number_of_many_logins_at_once() {
    let (layer, store, _clock) = limited(Limit::at_most(3).refuse());

    let logins: Vec<_> = (0..200)
        .map(|_| {
            let client = Client::new(&layer);
            tokio::spawn(client.request(|session| async move {
                session.log_in(user("alice")).unwrap();
                session.id().unwrap()
            }))
        })
        .collect();
    let mut admitted = Vec::new();
    for login in logins {
        let answer = login.await.unwrap();
        match answer.status {
            StatusCode::OK => admitted.push(answer.value()),
            status => assert_eq!(status, StatusCode::CONFLICT),
        }
    }

    assert_eq!(admitted.len(), 3);
    assert_eq!(sorted(ids(&store, "alice").await), sorted(admitted));
}
