//! The layer `EndStreams`: calls that wait, their request bodies, and upgrades.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};

use http::{Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use tokio::time::{sleep, timeout};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_user_sessions::{
    CommitError, EndReason, EndStreams, Limit, Session, SessionLayer, UntilEnded, UserId,
    UserSessions,
};

use crate::common::{
    faulty::{Fault, FaultyStore, Method as Call},
    http::{Client, store, user},
    log::Log,
    streams::{Open, SECOND, World, empty, next, open, sized, text},
};

// T72
#[tokio::test(start_paused = true)]
async fn a_call_that_waits_is_dropped_and_its_request_body_is_read_no_more() {
    let world = World::new().await;
    let (upload, sender, dropped) = open();
    let read = Arc::new(Mutex::new(Vec::new()));
    let reads = Arc::clone(&read);
    let answer = world.send(
        world.request(Method::PUT, upload),
        move |session, mut body| {
            let reads = Arc::clone(&reads);
            async move {
                session.insert("half", "a word").unwrap();
                while let Some(Ok(frame)) = body.frame().await {
                    reads.lock().unwrap().push(frame.into_data().unwrap());
                }
                sleep(SECOND * 1_000).await;
                Response::new(Open::default())
            }
        },
    );
    let feeding = async {
        sender.send("before".into()).unwrap();
        sleep(SECOND * 2).await;
        world.evict().await;
        sleep(SECOND).await;
        // The receiver is gone with the body.
        assert!(sender.send("after".into()).is_err() && dropped.load(Ordering::SeqCst));
    };
    let (response, ()) = tokio::join!(answer, feeding);

    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let problem = text(next(&mut response.into_body()).await);
    assert!(problem.contains("\"reason\":\"evicted\""), "{problem}");
    assert_eq!(*read.lock().unwrap(), ["before"]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_ends_or_replaces_its_own_session_goes_on() {
    let world = World::new().await;
    for case in ["log out", "end all", "sign in"] {
        world.clock.advance(SECOND);
        let mut client = world.client.clone();
        client.log_in("alice").await;
        let world = World {
            clock: world.clock.clone(),
            layer: world.layer.clone(),
            client,
        };
        let (upload, sender, _dropped) = open();
        let request = world.request(Method::POST, upload);
        let response = world.send(request, move |session: Session, mut body| {
            let sender = sender.clone();
            async move {
                match case {
                    "log out" => {
                        session.log_out().unwrap();
                        session.commit().await.unwrap();
                    }
                    "end all" => drop(session.user_sessions().unwrap().end_all().await.unwrap()),
                    _ => {
                        session.log_in("bob").unwrap();
                        session.commit().await.unwrap();
                    }
                }
                sleep(SECOND * 5).await;
                sender.send("read on".into()).unwrap();
                let frame = body.frame().await.unwrap().unwrap();
                assert_eq!(frame.into_data().unwrap(), "read on", "{case}");
                Response::new(sized(0))
            }
        });

        assert_eq!(response.await.status(), StatusCode::OK, "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_session_expires_is_answered_with_that_reason() {
    let world = World::new().await;
    let request = world.request(Method::POST, Open::default());
    let response = world.send(request, |_, _| async move {
        sleep(SECOND * 1_000).await;
        Response::new(sized(0))
    });
    let expiring = async {
        sleep(SECOND * 2).await;
        world.clock.advance(SECOND * 60 * 60 * 24 * 60);
    };
    let (response, ()) = tokio::join!(response, expiring);

    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let problem = text(next(&mut response.into_body()).await);
    assert!(problem.contains("\"reason\":\"expired\""), "{problem}");
}

/// The store answers at once, so the call never waits before its response head.
#[tokio::test(start_paused = true)]
async fn a_response_ends_although_its_handler_ignores_that_the_session_has_ended() {
    for (own, waits) in [(false, false), (false, true), (true, false)] {
        let (store, clock) = store();
        let world = World::of(SessionLayer::new(store.clone()), clock).await;
        let (body, _sender, dropped) = open();
        let body = Arc::new(Mutex::new(Some(body)));
        let response = world.send(world.request(Method::GET, empty()), move |session, _| {
            let (body, store) = (body.lock().unwrap().take().unwrap(), store.clone());
            async move {
                session.insert("seen", "prices").unwrap();
                let all = if own {
                    session.user_sessions().unwrap()
                } else {
                    UserSessions::new(store, user("alice"))
                };
                all.because(EndReason::Disabled).end_all().await.unwrap();
                if !own {
                    assert!(matches!(session.commit().await, Err(CommitError::Ended)));
                }
                if waits {
                    sleep(SECOND * 5).await;
                }
                Response::new(body)
            }
        });
        let mut response = response.await;
        if waits {
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
            let problem = text(next(response.body_mut()).await);
            assert!(problem.contains("\"reason\":\"disabled\""), "{problem}");
            assert!(dropped.load(Ordering::SeqCst));
        } else if own {
            let read = timeout(SECOND * 100, response.body_mut().frame()).await;
            assert!(read.is_err(), "it goes on: {read:?}");
        } else {
            let error = next(response.body_mut()).await.unwrap().unwrap_err();
            assert_eq!(error.end().unwrap().reason(), "disabled");
            assert!(dropped.load(Ordering::SeqCst));
        }
    }
}

// T72
#[tokio::test(start_paused = true)]
async fn a_call_whose_session_ends_while_a_clone_commits_is_dropped_after_that_commit() {
    // Saved after the session ended, saved before that, and an end of sessions of another user.
    for case in [
        (Call::Save, Fault::Hang),
        (Call::Save, Fault::HangAfter),
        (Call::End, Fault::HangAfter),
    ] {
        let (store, clock) = store();
        let faulty = FaultyStore::new(&store);
        let layer = SessionLayer::new(faulty.clone()).limit(Limit::at_most(1));
        let world = World::of(layer, clock).await;
        faulty.next(case.0, case.1);
        let (upload, _sender, _dropped) = open();
        let read = Arc::new(Mutex::new(None));
        let reads = Arc::clone(&read);
        let response = world.send(
            world.request(Method::POST, upload),
            move |session: Session, mut body| {
                let reads = Arc::clone(&reads);
                async move {
                    // Its own task, so that nobody else polls it.
                    let reader = tokio::spawn(async move { body.frame().await });
                    *reads.lock().unwrap() = Some(reader);
                    tokio::spawn(async move {
                        if case.0 == Call::End {
                            let bob = UserId::new("bob").unwrap();
                            session.sessions_of(&bob).end_all().await.unwrap();
                        } else {
                            session.insert("seen", "yes").unwrap();
                            let _ended_or_not = session.commit().await;
                        }
                    });
                    sleep(SECOND * 1_000).await;
                    Response::new(sized(0))
                }
            },
        );
        let releasing = async {
            sleep(SECOND * 2).await;
            world.evict().await;
            sleep(SECOND * 5).await;
            faulty.release();
        };
        let both = async { tokio::join!(response, releasing).0 };
        let response = timeout(SECOND * 10, both).await.expect("it is woken");

        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{case:?}");
        let reader = read.lock().unwrap().take().unwrap();
        let frame = timeout(SECOND, reader).await.expect("it is woken").unwrap();
        assert!(frame.unwrap().is_err(), "{case:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_the_end_of_its_own_session_goes_on() {
    let (store, clock) = store();
    let faulty = FaultyStore::new(&store);
    let world = World::of(SessionLayer::new(faulty.clone()), clock).await;
    // The sessions have ended, and the answer comes 5 s later.
    faulty.next(Call::End, Fault::HangAfter);
    let request = world.request(Method::POST, Open::default());
    let response = world.send(request, |session: Session, _| async move {
        session.user_sessions().unwrap().end_all().await.unwrap();
        Response::new(sized(0))
    });
    let answering = async {
        sleep(SECOND * 5).await;
        faulty.release();
    };
    let (response, ()) = tokio::join!(response, answering);

    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_stopped_call_signs_nobody_in() {
    let world = World::new().await;
    let response = world.send(
        world.request(Method::POST, empty()),
        |session, _| async move {
            session.insert("half", "a word").unwrap();
            sleep(SECOND * 1_000).await;
            session.log_in("bob").unwrap();
            Response::new(Open::default())
        },
    );
    let evicting = async {
        sleep(SECOND * 2).await;
        world.evict().await;
    };
    let (response, ()) = tokio::join!(response, evicting);

    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert!(!response.headers().contains_key(header::SET_COOKIE));
}

#[tokio::test(start_paused = true)]
async fn a_response_of_a_sign_in_ends_with_the_new_session() {
    let world = World::new().await;
    let (body, _sender, _dropped) = open();
    let body = Arc::new(Mutex::new(Some(body)));
    let response = world.send(
        world.request(Method::POST, empty()),
        move |session: Session, _| {
            let body = body.lock().unwrap().take().unwrap();
            async move {
                session.log_in("alice").unwrap();
                session.commit().await.unwrap();
                Response::new(body)
            }
        },
    );
    let mut body = response.await.into_body();
    assert!(timeout(SECOND * 5, body.frame()).await.is_err());

    world.evict().await;

    assert!(next(&mut body).await.unwrap().is_err());
}

#[tokio::test(start_paused = true)]
async fn calls_that_are_answered_within_a_second_ask_the_store_for_nothing() {
    let (store, clock) = store();
    // A trusted feed without news would make the look unnecessary after a second too.
    let faulty = FaultyStore::without_feed(&store);
    let world = World::of(SessionLayer::new(faulty.clone()), clock).await;

    for wait in [0, 900, 5_000] {
        let request = world.request(Method::POST, Open::default());
        let response = world.send(request, move |_, _| async move {
            sleep(Duration::from_millis(wait)).await;
            Response::new(sized(0))
        });
        assert_eq!(response.await.status(), StatusCode::OK);
        let looks = usize::from(wait > 1_000);
        assert_eq!(faulty.calls(Call::Look), looks, "{wait}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_whose_handler_does_not_watch_the_session_is_logged_once() {
    let log = Log::start();
    let world = World::new().await;
    let upgrade = |watches: bool, method: Method, status| {
        world.send(
            world.request(method, empty()),
            move |session: Session, _| async move {
                let live = watches.then(|| session.live().unwrap());
                let mut response = Response::new(sized(0));
                *response.status_mut() = status;
                drop(live);
                response
            },
        )
    };
    let warned = || {
        log.at("WARN")
            .iter()
            .filter(|line| line.contains("live.ended()"))
            .count()
    };

    upgrade(true, Method::GET, StatusCode::SWITCHING_PROTOCOLS).await;
    upgrade(false, Method::GET, StatusCode::OK).await;
    assert_eq!(warned(), 0);
    upgrade(false, Method::CONNECT, StatusCode::OK).await;
    assert_eq!(warned(), 1);
    upgrade(false, Method::GET, StatusCode::SWITCHING_PROTOCOLS).await;
    assert_eq!(warned(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stream_outside_of_the_session_layer_is_logged_once() {
    let log = Log::start();
    let world = World::new().await;
    let warned = || {
        let lines = log.at("WARN");
        lines
            .iter()
            .filter(|line| line.contains("`EndStreams`"))
            .count()
    };
    let (body, _sender, _dropped) = open();
    let _body = world.get("text/event-stream", body).await;
    assert_eq!(warned(), 0);

    let opens = service_fn(|_: Request<UntilEnded<Open>>| async {
        Ok::<_, Infallible>(Response::new(open().0))
    });
    // The app says that this route has none, such as a health check.
    let routes = world.layer.clone().resolve_if(|_| false);
    let passes = routes.layer(EndStreams::new().layer(opens));
    let response = passes.oneshot(world.request(Method::GET, empty())).await;
    assert_eq!((response.unwrap().status(), warned()), (StatusCode::OK, 0));
    for _ in 0..2 {
        let outside = EndStreams::new().layer(world.layer.layer(opens));
        let response = outside.oneshot(world.request(Method::GET, empty())).await;
        assert_eq!(response.unwrap().status(), StatusCode::OK);
    }

    assert_eq!(warned(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_guest_and_a_request_without_a_layer_pass_untouched() {
    let world = World::new().await;
    let guest = World {
        clock: world.clock.clone(),
        client: Client::new(&world.layer),
        layer: world.layer.clone(),
    };
    let (body, sender, _dropped) = open();
    let mut body = guest.get("text/event-stream", body).await;
    sender.send("data: 1\n\n".into()).unwrap();
    assert_eq!(text(next(&mut body).await), "data: 1\n\n");

    let bare = EndStreams::new().layer(service_fn(|request: Request<UntilEnded<Open>>| async {
        Ok::<_, Infallible>(Response::new(request.into_body()))
    }));
    fn is_service<S: Service<Request<Open>>>(_: &S) {}
    is_service(&bare);
    drop(sender);
    assert!(next(&mut body).await.is_none());
}
