//! A near cache behind the layer: which requests it answers, and what verifies the session at the store.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{
    convert::Infallible,
    pin::pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};
use tower_user_sessions::{
    DeviceApi, DevicePage, EndReason, MemoryStore, RequireFresh, Session, SessionErrorKind,
    SessionLayer, UserSessions,
    events::{Event, EventKind},
    store::{ManualClock, Near},
};

use crate::common::{
    faulty::{Fault, FaultyStore, Method as Call},
    http::{Client, DAY, store, user},
    people::until,
};

struct World {
    layer: SessionLayer,
    faulty: FaultyStore,
    memory: MemoryStore,
    clock: ManualClock,
}

impl World {
    fn new() -> Self {
        let (memory, clock) = store();
        let faulty = FaultyStore::new(&memory);
        let near = Near::builder(faulty.clone()).clock(clock.clone()).build();
        Self {
            layer: SessionLayer::new(near).near(|_request| true),
            faulty,
            memory,
            clock,
        }
    }

    /// How often the store was asked for a session since the last call.
    fn asked(&self, before: &mut usize) -> usize {
        let calls = self.faulty.calls(Call::Resolve);
        calls - std::mem::replace(before, calls)
    }
}

// T73
#[tokio::test]
async fn requests_that_the_app_chose_are_answered_from_here() {
    let world = World::new();
    let layer = world
        .layer
        .clone()
        .near(|request| request.method == Method::GET);
    let mut client = Client::signed_in(&layer, "alice").await;
    client.user().await;
    let mut asked = world.faulty.calls(Call::Resolve);

    for _ in 0..10 {
        assert_eq!(client.user().await.as_deref(), Some("alice"));
    }
    assert_eq!(world.asked(&mut asked), 0);
    client.method = Method::POST;
    client.user().await;
    assert_eq!(world.asked(&mut asked), 1);
    let mut plain = client.before(&SessionLayer::new(Near::new(world.faulty.clone())));
    plain.method = Method::GET;
    for _ in 0..3 {
        plain.user().await;
    }
    assert_eq!(world.asked(&mut asked), 3);
}

// T73
#[tokio::test]
async fn handshakes_and_pages_that_come_from_another_site_ask_the_store() {
    let world = World::new();
    let mut client = Client::signed_in(&world.layer, "alice").await;
    client.user().await;
    let mut asked = world.faulty.calls(Call::Resolve);
    let mut sends = async |method: Method, headers: &[(&'static str, &'static str)]| {
        (client.method, client.headers) = (method, Default::default());
        for (name, value) in headers {
            let name = HeaderName::from_static(name);
            client.headers.insert(name, HeaderValue::from_static(value));
        }
        assert_eq!(client.user().await.as_deref(), Some("alice"));
        world.asked(&mut asked)
    };
    let (mode, site) = ("sec-fetch-mode", "sec-fetch-site");

    for (method, headers, calls) in [
        (Method::GET, &[("upgrade", "websocket")][..], 1),
        (Method::CONNECT, &[], 1),
        (Method::GET, &[(mode, "navigate"), (site, "cross-site")], 1),
        (Method::GET, &[(mode, "navigate"), (site, "same-site")], 1),
        (Method::GET, &[("accept", "text/html,*/*")], 1),
        (Method::POST, &[(mode, "navigate"), (site, "cross-site")], 1),
        (Method::POST, &[("accept", "text/html,*/*")], 1),
        (Method::GET, &[(mode, "navigate"), (site, "same-origin")], 0),
        (
            Method::POST,
            &[(mode, "navigate"), (site, "same-origin")],
            0,
        ),
        (Method::GET, &[(mode, "navigate"), (site, "none")], 0),
        (Method::GET, &[(mode, "cors"), (site, "cross-site")], 0),
        (Method::GET, &[], 0),
    ] {
        assert_eq!(
            sends(method.clone(), headers).await,
            calls,
            "{method} {headers:?}"
        );
    }
}

#[tokio::test]
async fn guest_sessions_ask_the_store() {
    let world = World::new();
    let mut guest = Client::new(&world.layer);
    guest.insert("cart", "apple").await;
    let mut asked = world.faulty.calls(Call::Resolve);

    for _ in 0..5 {
        assert_eq!(guest.get("cart").await.as_deref(), Some("apple"));
    }

    assert_eq!(world.asked(&mut asked), 5);
}

// T73
#[tokio::test]
async fn a_browser_sees_what_it_wrote_and_that_it_signed_out() {
    let world = World::new();
    let mut client = Client::signed_in(&world.layer, "alice").await;
    for value in ["apple", "pear"] {
        client.user().await;
        client.insert("cart", value).await;
        assert_eq!(client.get("cart").await.as_deref(), Some(value));
    }
    let mut copy = client.clone();

    client
        .send(|session| async move { session.log_out().unwrap() })
        .await;

    assert_eq!(copy.user().await, None);
}

// T73
#[tokio::test]
async fn verify_asks_the_store_once_and_says_why_the_session_ended() {
    let world = World::new();
    let mut client = Client::signed_in(&world.layer, "alice").await;
    client.user().await;
    let mut asked = world.faulty.calls(Call::Resolve);
    let answer = client
        .send(|session| async move {
            session.verify().await.unwrap();
            session.verify().await.unwrap();
            session.user_id()
        })
        .await;
    assert_eq!(answer.value(), Some(user("alice")));
    assert_eq!(world.asked(&mut asked), 1);

    // While the handler is at work, an administrator ends the session.
    let admin = UserSessions::new(world.memory.clone(), user("alice"));
    let answer = client
        .send(move |session| {
            let admin = admin.clone();
            async move {
                admin.end_all().await.unwrap();
                let before = session.user_id();
                // A clone of the session gets the same answer.
                for session in [&session, &session.clone()] {
                    let error = session.verify().await.unwrap_err();
                    assert_eq!(error.kind(), SessionErrorKind::Ended);
                }
                let reason = session.ended().map(|notice| notice.reason);
                (before, session.user_id(), reason)
            }
        })
        .await;
    let ended = Some(EndReason::Administrator);
    assert_eq!(answer.value(), (Some(user("alice")), None, ended));
}

#[tokio::test]
async fn verify_reports_an_outage_and_keeps_the_session() {
    let world = World::new();
    let mut client = Client::signed_in(&world.layer, "alice").await;
    client.user().await;
    world.faulty.always([Call::Resolve], Fault::Fail);

    let answer = client
        .send(|session| async move {
            let error = session.verify().await.unwrap_err();
            (error.kind(), session.user_id())
        })
        .await;

    let kept = (SessionErrorKind::Unavailable, Some(user("alice")));
    assert_eq!(answer.value(), kept);
}

// T73
#[tokio::test]
async fn the_device_api_the_page_and_require_fresh_verify_at_the_store() {
    let world = World::new();
    let mut client = Client::signed_in(&world.layer, "alice").await;
    client.user().await;
    let mut asked = world.faulty.calls(Call::Resolve);
    let ok = service_fn(|_: Request<()>| async {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let fresh = || {
        ServiceBuilder::new()
            .layer(world.layer.clone())
            .layer(RequireFresh::within(DAY))
            .service(ok)
    };

    let api = world.layer.layer(DeviceApi::at("/sessions"));
    let answer = api.oneshot(client.head("/sessions")).await.unwrap();
    assert_eq!(
        (answer.status(), world.asked(&mut asked)),
        (StatusCode::OK, 1)
    );
    let page = world.layer.layer(DevicePage::at("/devices"));
    let head = client.head("/devices").map(|()| Full::<Bytes>::default());
    let answer = page.oneshot(head).await.unwrap();
    assert_eq!(
        (answer.status(), world.asked(&mut asked)),
        (StatusCode::OK, 1)
    );
    let answer = fresh().oneshot(client.head("/transfer")).await.unwrap();
    assert_eq!(
        (answer.status(), world.asked(&mut asked)),
        (StatusCode::OK, 1)
    );

    world.faulty.always([Call::Resolve], Fault::Fail);
    let answer = fresh().oneshot(client.head("/transfer")).await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    world.faulty.mend();
    world.clock.advance(Duration::from_secs(1));
    // The user authenticated again on another node: this one asks, and lets the request through.
    let stale = RequireFresh::within(Duration::from_millis(500));
    let guarded = ServiceBuilder::new()
        .layer(world.layer.clone())
        .layer(stale)
        .service(ok);
    let answer = guarded.oneshot(client.head("/transfer")).await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
}

// T72
#[tokio::test]
async fn a_stream_that_opens_on_a_kept_answer_asks_the_store() {
    let world = World::new();
    let mut client = Client::signed_in(&world.layer, "alice").await;
    client.user().await;
    let live = |session: Session| async move { session.live().unwrap() };
    let mut asked = world.faulty.calls(Call::Resolve);
    // From the first stream on, the layer reads the feed.
    let first = client.send(live).await.value();
    until("the first look", async || {
        world.faulty.calls(Call::Look) == 1
    })
    .await;

    let second = client.send(live).await.value();

    assert_eq!(world.asked(&mut asked), 0);
    // A message that was lost since the answer was kept would be missed else, until the lease is over.
    until("another look", async || world.faulty.calls(Call::Look) == 2).await;
    assert!(first.end().is_none() && second.end().is_none());
}

// T73
#[tokio::test]
async fn a_sign_in_of_a_clone_while_verify_is_under_way_is_kept() {
    let (memory, clock) = store();
    // The cache's clock stands still, so that it still answers for what has expired.
    let near = Near::builder(memory)
        .clock(ManualClock::at(clock.now()))
        .build();
    let clone = Arc::new(Mutex::new(None::<Session>));
    let signs_in = Arc::clone(&clone);
    let layer = SessionLayer::new(near)
        .near(|_request| true)
        .events(move |event: Event| {
            // The last moment: the store has answered, and its answer is not noted yet.
            if event.kind == EventKind::Expired
                && let Some(session) = signs_in.lock().unwrap().take()
            {
                session.log_in("bob").unwrap();
                let mut commit = pin!(session.commit());
                let done = commit
                    .as_mut()
                    .poll(&mut Context::from_waker(Waker::noop()));
                assert!(matches!(done, Poll::Ready(Ok(_))), "{done:?}");
            }
        });
    let mut client = Client::signed_in(&layer, "alice").await;
    client.user().await;
    clock.advance(60 * DAY);

    let answer = client.send(move |session| {
        let clone = Arc::clone(&clone);
        async move {
            assert_eq!(session.user_id(), Some(user("alice")));
            *clone.lock().unwrap() = Some(session.clone());
            session.verify().await.unwrap();
            assert!(clone.lock().unwrap().is_none(), "the event was raised");
            session.user_id()
        }
    });

    assert_eq!(answer.await.value(), Some(user("bob")));
    assert_eq!(client.user().await.as_deref(), Some("bob"));
}

// T48 T73
#[tokio::test]
async fn a_session_with_a_new_token_is_not_verified_with_it_before_the_client_has_it() {
    let world = World::new();
    let mut client = Client::signed_in(&world.layer, "alice").await;
    client.user().await;

    // The response with the new token is lost.
    let lost = client.request(|session| async move {
        session.rotate().unwrap();
        session.commit().await.unwrap();
        session.verify().await.unwrap();
    });
    lost.await;

    // If its client had the new token, the previous one would be reuse now.
    world.clock.advance(Duration::from_secs(3 * 60));
    assert_eq!(client.user().await.as_deref(), Some("alice"));
}
