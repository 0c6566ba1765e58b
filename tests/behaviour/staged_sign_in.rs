//! A middleware stages a sign-in: guards decide by what is stored, until it is committed.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::Request,
    middleware::{Next, from_fn},
    routing::get,
};
use http::StatusCode;
use http_body_util::BodyExt;
use tower::ServiceExt;
use tower_user_sessions::{
    DeviceApi, DevicePage, Login, MemoryStore, RequireFresh, RequireUser, Session, SessionLayer,
    TokenSource, User, UserSessions,
};

use crate::common::http::{Client, HOUR, store, user};

const FRESH: Duration = Duration::from_secs(300);

/// Every route is behind another guard. The middleware `before` runs outside of them.
fn app(layer: &SessionLayer, before: fn(&Session), commits: bool) -> Router {
    counting(layer, before, commits, &Arc::default())
}

/// The same. It counts how often a handler behind a guard was reached.
fn counting(
    layer: &SessionLayer,
    before: fn(&Session),
    commits: bool,
    acted: &Arc<AtomicUsize>,
) -> Router {
    let count = || {
        let acted = Arc::clone(acted);
        move || acted.fetch_add(1, SeqCst)
    };
    let reached = || {
        let count = count();
        get(async move || count().to_string())
    };
    let (by_user, by_option) = (count(), count());
    Router::new()
        .route("/guard", reached().route_layer(RequireUser::new()))
        .route(
            "/redirect",
            reached().route_layer(RequireUser::new().redirect_to("/login")),
        )
        .route("/fresh", reached().route_layer(RequireFresh::within(FRESH)))
        .route("/user", get(async move |_user: User| by_user().to_string()))
        .route(
            "/option",
            get(async move |user: Option<User>| match user {
                Some(_user) => Ok(by_option().to_string()),
                None => Err(StatusCode::UNAUTHORIZED),
            }),
        )
        .nest_service("/api", DeviceApi::new())
        .nest_service("/page", DevicePage::at("/page"))
        .layer(from_fn(
            move |session: Session, request: Request, next: Next| async move {
                before(&session);
                if commits {
                    session.commit().await.unwrap();
                }
                next.run(request).await
            },
        ))
        .layer(layer.clone())
}

/// The status and the body of each guarded route.
async fn visit(app: &Router, client: &Client, path: &str) -> (StatusCode, String) {
    let mut request = client.head(path).map(|()| Body::empty());
    if path == "/redirect" {
        let navigates = "navigate".parse().unwrap();
        request.headers_mut().insert("sec-fetch-mode", navigates);
    }
    let (head, body) = app.clone().oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (head.status, String::from_utf8(body.to_vec()).unwrap())
}

const GUARDED: [&str; 7] = [
    "/guard",
    "/redirect",
    "/fresh",
    "/user",
    "/option",
    "/api/",
    "/page",
];

#[tokio::test]
async fn a_staged_sign_in_that_the_store_refuses_reaches_no_guarded_handler() {
    let (store, _clock) = store();
    let sessions = UserSessions::new(store.clone(), user("alice"));
    sessions.disable_for(HOUR).await.unwrap();
    let layer = SessionLayer::new(store);
    let acted = Arc::new(AtomicUsize::new(0));
    let sign_in = |session: &Session| session.log_in("alice").unwrap();
    let app = counting(&layer, sign_in, false, &acted);

    for path in GUARDED {
        let (status, body) = visit(&app, &Client::new(&layer), path).await;

        assert_eq!((status, &*body), (StatusCode::FORBIDDEN, ""), "{path}");
    }
    assert_eq!(acted.load(SeqCst), 0);
}

/// The guards' own answers: the sign-in is stored, so the layer leaves the response alone.
#[tokio::test]
async fn a_staged_sign_in_counts_as_none_until_it_is_committed() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store);

    for (commits, passes) in [(false, false), (true, true)] {
        let app = app(&layer, |session| session.log_in("alice").unwrap(), commits);
        for path in GUARDED {
            let (status, body) = visit(&app, &Client::new(&layer), path).await;
            assert_eq!(status.is_success(), passes, "{path}: {status} {body}");
        }
    }
}

#[tokio::test]
async fn while_a_sign_in_as_another_user_or_a_sign_out_is_staged_no_user_passes() {
    let before: [fn(&Session); 2] = [
        |session| session.log_in("bob").unwrap(),
        |session| session.log_out().unwrap(),
    ];
    for before in before {
        let (store, _clock) = store();
        let layer = SessionLayer::new(store);
        for path in GUARDED {
            let alice = Client::signed_in(&layer, "alice").await;
            let (status, body) = visit(&app(&layer, before, false), &alice, path).await;
            assert!(!status.is_success(), "{path}: {status} {body}");
        }
    }
}

#[tokio::test]
async fn a_user_passes_whose_sign_in_is_staged_again() {
    let layer = SessionLayer::new(MemoryStore::new());
    let app = app(&layer, |session| session.log_in("alice").unwrap(), false);

    for path in GUARDED {
        let alice = Client::signed_in(&layer, "alice").await;
        let (status, body) = visit(&app, &alice, path).await;
        assert!(status.is_success(), "{path}: {status} {body}");
    }
}

// T39
#[tokio::test]
async fn a_staged_re_authentication_makes_no_stale_sign_in_fresh_until_it_is_committed() {
    let (store, clock) = store();
    let layer = SessionLayer::new(store);
    let before = |session: &Session| {
        if session.user_id().is_some() {
            session.reauthenticated().unwrap();
        }
    };

    for commits in [false, true] {
        let alice = Client::signed_in(&layer, "alice").await;
        clock.advance(HOUR);

        let (status, _) = visit(&app(&layer, before, commits), &alice, "/fresh").await;

        assert_eq!(status.is_success(), commits);
    }
}

/// The first step of the guide's recipe: the password was right.
async fn step_one(session: Session) {
    begin(&session, "alice");
}

fn begin(session: &Session, user: &str) {
    let is_guest = session.user_id().is_none();
    let cart: Option<Vec<String>> = session.get("cart").unwrap().filter(|_| is_guest);
    session.log_out().unwrap();
    if let Some(cart) = cart {
        session.insert("cart", &cart).unwrap();
    }
    session.insert("pending", user).unwrap();
}

async fn fill_cart(session: Session) {
    session.insert("cart", &["apple"]).unwrap();
}

async fn cart(session: Session) -> Option<Vec<String>> {
    session.get("cart").unwrap()
}

/// The second step: the code was right. Returns whether the first step was done.
async fn step_two(session: Session) -> bool {
    let pending: Option<String> = session.get("pending").unwrap();
    let Some((user, since)) = pending.zip(session.authenticated_at()) else {
        return false;
    };
    let login = Login::new(user).since(since).carry(["cart"]);
    session.log_in_with(login).is_ok()
}

// T5: the recipe of the guide.
#[tokio::test]
async fn the_guest_token_of_before_the_first_of_two_steps_is_of_no_use_after_it() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store);
    let mut victim = Client::new(&layer);
    victim.send(fill_cart).await;
    // Another person knows the guest token, or has planted it.
    let mut attacker = victim.clone();

    victim.send(step_one).await;

    assert_ne!(victim.guest, attacker.guest);
    assert_eq!(attacker.get("pending").await, None);
    assert!(!attacker.send(step_two).await.value());
    assert!(victim.send(step_two).await.value());
    assert_eq!(attacker.user().await, None);
    assert_eq!(victim.user().await.as_deref(), Some("alice"));
    assert_eq!(victim.request(cart).await.value().unwrap(), ["apple"]);
}

#[tokio::test]
async fn two_steps_bring_no_cart_where_there_was_none_and_none_of_another_user() {
    let layer = SessionLayer::new(MemoryStore::new());
    let mut guest = Client::new(&layer);
    let mut alice = Client::signed_in(&layer, "alice").await;
    alice.send(fill_cart).await;

    for client in [&mut guest, &mut alice] {
        // The user goes back, and enters the password a second time.
        for _ in 0..2 {
            client
                .send(|session: Session| async move { begin(&session, "bob") })
                .await;
        }
        assert!(client.send(step_two).await.value());

        assert_eq!(client.user().await.as_deref(), Some("bob"));
        assert_eq!(client.request(cart).await.value(), None);
    }
}

// T48: the recipe of the guide, and one that does not sign out first.
#[tokio::test]
async fn both_steps_sign_in_again_after_the_response_of_the_second_was_lost() {
    for signs_out in [true, false] {
        let layer = SessionLayer::new(MemoryStore::new());
        let mut client = Client::new(&layer);
        let begin = move |session: Session| async move {
            if signs_out {
                step_one(session).await;
            } else {
                session.insert("pending", "alice").unwrap();
            }
        };
        client.send(begin).await;
        // The browser never gets this response, and sends its guest cookie again.
        assert!(client.request(step_two).await.value());

        client.send(begin).await;

        assert!(client.send(step_two).await.value(), "{signs_out}");
        assert_eq!(client.user().await.as_deref(), Some("alice"));
    }
}

// T48
#[tokio::test]
async fn a_bearer_client_does_both_steps_again_after_the_response_of_the_second_was_lost() {
    let layer = SessionLayer::new(MemoryStore::new()).token_source(TokenSource::Bearer);
    let mut client = Client::new(&layer);
    let began = client.request(step_one).await;
    assert!(client.bears(&began));
    // The client never gets this response, and sends the token of its guest session again.
    assert!(client.request(step_two).await.value());

    let began = client.request(step_one).await;

    assert!(client.bears(&began), "{began:?}");
    let signed_in = client.request(step_two).await;
    assert!(client.bears(&signed_in), "{signed_in:?}");
    assert!(signed_in.value());
    assert_eq!(client.user().await.as_deref(), Some("alice"));
}

// T48
#[tokio::test]
async fn a_bearer_client_whose_session_ended_meanwhile_begins_again_after_a_sign_out() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store.clone()).token_source(TokenSource::Bearer);
    let mut client = Client::new(&layer);
    let sign_in = |session: Session| async move { session.log_in("alice").unwrap() };
    let signed_in = client.request(sign_in).await;
    assert!(client.bears(&signed_in));

    let answer = client.request(move |session: Session| {
        let admin = UserSessions::new(store.clone(), user("alice"));
        async move {
            admin.end_all().await.unwrap();
            session.insert("note", "x").unwrap();
            assert!(session.commit().await.is_err());
            session.log_out().unwrap();
            fill_cart(session).await;
        }
    });
    let answer = answer.await;

    assert!(client.bears(&answer), "{answer:?}");
    assert_eq!(client.request(cart).await.value().unwrap(), ["apple"]);
}
