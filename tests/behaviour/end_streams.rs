//! The layer `EndStreams`: which bodies end with their session, and how.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{
    convert::Infallible,
    future::poll_fn,
    sync::{Arc, Mutex, atomic::Ordering},
    task::Poll,
};

use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_stream::StreamExt;
use tonic::{Code, Status};
use tower::{ServiceBuilder, ServiceExt, service_fn};
use tower_user_sessions::{EndStreams, Problem, Session, SessionLayer, UntilEnded, UserSessions};

use crate::common::{
    http::{Client, store, user},
    streams::{Open, SECOND, World, empty, next, open, sized, text},
};

// T72
#[tokio::test(start_paused = true)]
async fn an_event_stream_ends_with_an_event_that_says_why() {
    let world = World::new().await;
    let (body, sender, dropped) = open();
    let mut body = world.get("text/event-stream", body).await;
    sender.send("data: 1\n\n".into()).unwrap();
    assert_eq!(text(next(&mut body).await), "data: 1\n\n");

    world.evict().await;

    assert_eq!(
        text(next(&mut body).await),
        "event: session-ended\ndata: You were signed out because you signed in on Firefox 145 on Windows.\n\n"
    );
    assert!(next(&mut body).await.is_none() && body.is_end_stream());
    assert!(dropped.load(Ordering::SeqCst));
}

#[tokio::test(start_paused = true)]
async fn an_event_stream_that_stops_in_the_middle_of_an_event_fails() {
    let world = World::new().await;
    let (body, sender, _dropped) = open();
    let mut body = world.get("text/event-stream", body).await;
    sender.send("data: ha".into()).unwrap();
    assert_eq!(text(next(&mut body).await), "data: ha");

    world.evict().await;

    let error = next(&mut body).await.unwrap().unwrap_err();
    assert_eq!(error.end().unwrap().reason(), "evicted");
}

#[tokio::test(start_paused = true)]
async fn a_grpc_stream_ends_with_unauthenticated_and_the_reason() {
    let world = World::new().await;
    let (body, sender, _dropped) = open();
    let body = Arc::new(Mutex::new(Some(body)));
    let mut request = world.request(Method::POST, Open::default());
    let grpc = HeaderValue::from_static("application/grpc");
    request.headers_mut().insert(header::CONTENT_TYPE, grpc);
    let response = world.send(request, move |_, _| {
        let body = body.lock().unwrap().take().unwrap();
        async move { Response::new(body) }
    });
    let mut body = response.await.into_body();
    sender.send("message".into()).unwrap();
    assert_eq!(text(next(&mut body).await), "message");

    world.evict().await;

    let trailers = next(&mut body)
        .await
        .unwrap()
        .unwrap()
        .into_trailers()
        .unwrap();
    assert_eq!(trailers["grpc-status"], "16");
    assert_eq!(trailers["grpc-message"], "evicted");
    assert!(next(&mut body).await.is_none());
}

// T72
#[tokio::test(start_paused = true)]
async fn any_other_body_fails_and_is_dropped_at_once_although_nobody_reads_it() {
    let world = World::new().await;
    let (body, _sender, dropped) = open();
    let mut body = world.get("application/octet-stream", body).await;
    sleep(SECOND * 5).await;
    assert!(!dropped.load(Ordering::SeqCst));

    world.evict().await;
    sleep(SECOND).await;

    assert!(dropped.load(Ordering::SeqCst));
    let error = next(&mut body).await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "the session of this stream ended");
    assert!(next(&mut body).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn small_and_complete_bodies_and_those_of_head_are_not_wrapped() {
    let world = World::new().await;
    let mut small = world.get("text/html", sized(65_535)).await;
    let mut large = world.get("text/html", sized(65_536)).await;
    let head = world.send(world.request(Method::HEAD, empty()), move |_, _| async {
        Response::new(sized(1 << 30))
    });
    let mut head = head.await.into_body();
    // A client that knows the size of a download shows how much is left.
    assert_eq!(large.size_hint().exact(), Some(65_536));

    world.evict().await;
    sleep(SECOND * 5).await;

    assert!(next(&mut small).await.is_none() && next(&mut head).await.is_none());
    assert!(next(&mut large).await.unwrap().is_err());
}

// T72
#[tokio::test(start_paused = true)]
async fn a_request_body_that_went_with_its_session_fails_although_the_call_signs_in_then() {
    let world = World::new().await;
    let (upload, _sender, dropped) = open();
    let request = world.request(Method::POST, upload);
    let response = world.send(request, move |session: Session, mut body| {
        let dropped = Arc::clone(&dropped);
        async move {
            // The call is woken by the end, and its handler runs first.
            poll_fn(|_| match dropped.load(Ordering::SeqCst) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            })
            .await;
            session.log_in("bob").unwrap();
            session.commit().await.unwrap();
            let frame = timeout(SECOND, body.frame()).await.expect("it is answered");
            let error = frame.unwrap().unwrap_err();
            assert_eq!(error.end().unwrap().reason(), "evicted");
            assert!(body.frame().await.is_none());
            Response::new(sized(0))
        }
    });
    let evicting = async {
        sleep(SECOND * 2).await;
        world.evict().await;
    };

    let (response, ()) = tokio::join!(response, evicting);

    assert_eq!(response.status(), StatusCode::OK);
}

// T72
#[tokio::test(start_paused = true)]
async fn a_call_whose_request_body_was_cut_off_is_answered_with_the_reason_whatever_its_handler_answers()
 {
    for (grpc, fails) in [(false, true), (false, false), (true, true), (true, false)] {
        let world = World::new().await;
        let (upload, sender, _dropped) = open();
        let mut request = world.request(Method::POST, upload);
        if grpc {
            let kind = HeaderValue::from_static("application/grpc");
            request.headers_mut().insert(header::CONTENT_TYPE, kind);
        }
        let response = world.send(request, move |_, mut body| async move {
            let mut read = 0;
            let cause = loop {
                match body.frame().await.unwrap() {
                    Ok(frame) => read += frame.into_data().unwrap().len(),
                    Err(cause) => break cause,
                }
            };
            assert_eq!(read, 6);
            match (grpc, fails) {
                // What tonic makes of such an error: unknown.
                (true, true) => Status::from_error(cause.into()).into_http(),
                (true, false) => Status::ok("").into_http(),
                (false, _) => {
                    let mut response = Response::new(sized(0));
                    if fails {
                        *response.status_mut() = StatusCode::BAD_REQUEST;
                    }
                    response
                }
            }
        });
        let feeding = async {
            sender.send("before".into()).unwrap();
            sleep(SECOND * 2).await;
            world.evict().await;
        };
        let (mut response, ()) = tokio::join!(response, feeding);

        if grpc {
            let status = Status::from_header_map(response.headers()).unwrap();
            let why = (status.code(), status.message());
            assert_eq!(why, (Code::Unauthenticated, "evicted"), "fails: {fails}");
        } else {
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
            let problem = text(next(response.body_mut()).await);
            assert!(problem.contains("\"reason\":\"evicted\""), "{problem}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn where_two_layers_end_streams_the_inner_one_answers_for_a_body_that_was_cut_off() {
    let world = World::new().await;
    let (upload, sender, _dropped) = open();
    let request = world.request(Method::POST, upload);
    let service = service_fn(
        async |request: Request<UntilEnded<UntilEnded<Open>>>| -> Result<_, Infallible> {
            let mut body = request.into_body();
            while let Some(Ok(_)) = body.frame().await {}
            Ok(Response::new(sized(0)))
        },
    );
    let layers = ServiceBuilder::new()
        .layer(world.layer.clone())
        .layer(EndStreams::new())
        .layer(EndStreams::new().reply(Problem));
    let ending = async {
        sender.send("before".into()).unwrap();
        sleep(SECOND * 2).await;
        world.evict().await;
    };

    let (response, ()) = tokio::join!(layers.service(service).oneshot(request), ending);

    let response = response.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    // That of the outer one has no body.
    assert_eq!(
        response.headers()[header::CONTENT_TYPE],
        "application/problem+json"
    );
}

/// Reads `GET /` of a response that ends with its session, up to the end of the connection.
async fn raw(version: &str) -> String {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store.clone());
    let client = Client::signed_in(&layer, "alice").await;
    let frames =
        tokio_stream::once(Ok::<_, Infallible>("half a file")).chain(tokio_stream::pending());
    let file = Arc::new(Mutex::new(Some(axum::body::Body::from_stream(frames))));
    let handler = async move || file.lock().unwrap().take().unwrap();
    let app = axum::Router::new()
        .route("/", axum::routing::get(handler))
        .layer(EndStreams::new())
        .layer(layer);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut connection = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    let cookie = client.cookie.unwrap();
    let request = format!("GET / {version}\r\nhost: app.test\r\ncookie: {cookie}\r\n\r\n");
    connection.write_all(request.as_bytes()).await.unwrap();

    let mut answer = Vec::new();
    while !answer.ends_with(b"half a file") && !answer.ends_with(b"half a file\r\n") {
        assert!(connection.read_buf(&mut answer).await.unwrap() > 0);
    }
    UserSessions::new(store, user("alice"))
        .end_all()
        .await
        .unwrap();
    connection.read_to_end(&mut answer).await.unwrap();
    server.abort();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_part_of_a_body_looks_whole_over_http_1_0_and_not_over_1_1() {
    let old = raw("HTTP/1.0").await;
    let new = raw("HTTP/1.1").await;

    // It is whole once the connection ends.
    assert!(old.ends_with("\r\n\r\nhalf a file"), "{old}");
    assert!(!old.contains("content-length"), "{old}");
    // The last chunk is missing.
    assert!(new.contains("transfer-encoding: chunked"), "{new}");
    assert!(new.ends_with("\r\nhalf a file\r\n"), "{new}");
}

// T72
#[tokio::test(start_paused = true)]
async fn a_stream_does_not_end_with_a_session_that_its_own_request_left() {
    for signs_in in [true, false] {
        let world = World::new().await;
        let (upload, _feed, _read) = open();
        let (body, sender, _dropped) = open();
        let body = Arc::new(Mutex::new(Some(body)));
        let request = world.request(Method::POST, upload);
        let response = world.send(request, move |session: Session, _| {
            let body = body.lock().unwrap().take().unwrap();
            async move {
                if signs_in {
                    session.log_in("bob").unwrap();
                    session.commit().await.unwrap();
                } else {
                    session.log_out().unwrap();
                }
                Response::new(body)
            }
        });
        let mut body = response.await.into_body();
        sleep(SECOND * 5).await;

        sender.send("on".into()).unwrap();

        assert_eq!(text(next(&mut body).await), "on", "{signs_in}");
    }
}
