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
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_user_sessions::{
    EndStreams, EndWords, Limit, Problem, Session, SessionLayer, StreamError, UntilEnded,
    store::ManualClock,
};

use crate::common::{
    faulty::{FaultyStore, Method as Call},
    http::{Client, store},
    log::Log,
};

const SECOND: Duration = Duration::from_secs(1);

/// A body that stays open, and says when it is dropped.
struct Open {
    frames: mpsc::UnboundedReceiver<Bytes>,
    size: Option<u64>,
    _dropped: Flag,
}

/// Set when it is dropped.
#[derive(Default)]
struct Flag(Arc<AtomicBool>);

impl Default for Open {
    fn default() -> Self {
        let (_, frames) = mpsc::unbounded_channel();
        Self {
            frames,
            size: None,
            _dropped: Flag::default(),
        }
    }
}

impl From<Bytes> for Open {
    fn from(bytes: Bytes) -> Self {
        let (sender, frames) = mpsc::unbounded_channel();
        sender.send(bytes).unwrap();
        Self {
            frames,
            ..Self::default()
        }
    }
}

impl Body for Open {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.frames
            .poll_recv(task)
            .map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn size_hint(&self) -> SizeHint {
        self.size
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Drop for Flag {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn open() -> (Open, mpsc::UnboundedSender<Bytes>, Arc<AtomicBool>) {
    let (sender, frames) = mpsc::unbounded_channel();
    let dropped = Arc::new(AtomicBool::new(false));
    let body = Open {
        frames,
        size: None,
        _dropped: Flag(Arc::clone(&dropped)),
    };
    (body, sender, dropped)
}

/// A user with a layer that lets one device in.
struct World {
    clock: ManualClock,
    layer: SessionLayer,
    client: Client,
}

impl World {
    async fn new() -> Self {
        let (store, clock) = store();
        let layer = SessionLayer::new(store).limit(Limit::at_most(1));
        let client = Client::signed_in(&layer, "alice").await;
        Self {
            clock,
            layer,
            client,
        }
    }

    /// Sends a request through both layers.
    async fn send<H, Fut>(&self, request: Request<Open>, handler: H) -> Response<UntilEnded<Open>>
    where
        H: Fn(Session, UntilEnded<Open>) -> Fut + Clone,
        Fut: Future<Output = Response<Open>>,
    {
        let streams = EndStreams::new().reply(Problem).last_event(|end| {
            let words = EndWords::default();
            end.message(&words)
        });
        let service = service_fn(move |request: Request<UntilEnded<Open>>| {
            let session = request.extensions().get::<Session>().unwrap().clone();
            let response = handler(session, request.into_body());
            async move { Ok::<_, Infallible>(response.await) }
        });
        let layers = ServiceBuilder::new()
            .layer(self.layer.clone().reply(Problem))
            .layer(streams);
        layers.service(service).oneshot(request).await.unwrap()
    }

    fn request(&self, method: Method, body: Open) -> Request<Open> {
        let mut request = self.client.head("/").map(|()| body);
        *request.method_mut() = method;
        request
    }

    /// Opens a response with this type.
    async fn get(&self, kind: &'static str, body: Open) -> UntilEnded<Open> {
        let body = Mutex::new(Some(body));
        let body = Arc::new(body);
        let response = self.send(self.request(Method::GET, empty()), move |_, _| {
            let mut response = Response::new(body.lock().unwrap().take().unwrap());
            let kind = HeaderValue::from_static(kind);
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
            async move { response }
        });
        response.await.into_body()
    }

    /// The user signs in on another device, whose user agent is Firefox.
    async fn evict(&self) {
        let mut other = Client::new(&self.layer);
        other.user_agent = "Mozilla/5.0 (Windows NT 10.0; rv:145.0) Gecko/20100101 Firefox/145.0";
        other.log_in("alice").await;
    }
}

/// A body that says how large it is.
fn sized(size: u64) -> Open {
    Open {
        size: Some(size),
        ..Open::default()
    }
}

/// A request body that is complete.
fn empty() -> Open {
    sized(0)
}

async fn next(body: &mut UntilEnded<Open>) -> Option<Result<Frame<Bytes>, StreamError>> {
    timeout(SECOND * 3, body.frame()).await.unwrap()
}

fn text(frame: Option<Result<Frame<Bytes>, StreamError>>) -> String {
    let data = frame.unwrap().unwrap().into_data().unwrap();
    String::from_utf8(data.to_vec()).unwrap()
}

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
        let request = world.request(Method::POST, Open::default());
        let response = world.send(request, move |session: Session, _| async move {
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
            Response::new(sized(0))
        });

        assert_eq!(response.await.status(), StatusCode::OK, "{case}");
    }
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
    let faulty = FaultyStore::new(&store);
    let layer = SessionLayer::new(faulty.clone());
    let client = Client::signed_in(&layer, "alice").await;
    let world = World {
        clock,
        layer,
        client,
    };

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
    upgrade(false, Method::GET, StatusCode::SWITCHING_PROTOCOLS).await;
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
