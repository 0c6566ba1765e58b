//! Requests through `EndStreams`, with bodies that stay open.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and not every test needs all of it"
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
use http::{HeaderValue, Method, Request, Response, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::{sync::mpsc, time::timeout};
use tower::{ServiceBuilder, ServiceExt, service_fn};
use tower_user_sessions::{
    EndStreams, EndWords, Limit, Problem, Session, SessionLayer, StreamError, UntilEnded,
    store::ManualClock,
};

use super::http::{Client, store};

pub const SECOND: Duration = Duration::from_secs(1);

/// A body that stays open, and says when it is dropped.
pub struct Open {
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

pub fn open() -> (Open, mpsc::UnboundedSender<Bytes>, Arc<AtomicBool>) {
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
pub struct World {
    pub clock: ManualClock,
    pub layer: SessionLayer,
    pub client: Client,
}

impl World {
    pub async fn new() -> Self {
        let (store, clock) = store();
        let layer = SessionLayer::new(store).limit(Limit::at_most(1));
        Self::of(layer, clock).await
    }

    /// With a layer of the test's own.
    pub async fn of(layer: SessionLayer, clock: ManualClock) -> Self {
        let client = Client::signed_in(&layer, "alice").await;
        Self {
            clock,
            layer,
            client,
        }
    }

    /// Sends a request through both layers.
    pub async fn send<H, Fut>(
        &self,
        request: Request<Open>,
        handler: H,
    ) -> Response<UntilEnded<Open>>
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

    pub fn request(&self, method: Method, body: Open) -> Request<Open> {
        let mut request = self.client.head("/").map(|()| body);
        *request.method_mut() = method;
        request
    }

    /// Opens a response with this type.
    pub async fn get(&self, kind: &'static str, body: Open) -> UntilEnded<Open> {
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
    pub async fn evict(&self) {
        let mut other = Client::new(&self.layer);
        other.user_agent = "Mozilla/5.0 (Windows NT 10.0; rv:145.0) Gecko/20100101 Firefox/145.0";
        other.log_in("alice").await;
    }
}

/// A body that says how large it is.
pub fn sized(size: u64) -> Open {
    Open {
        size: Some(size),
        ..Open::default()
    }
}

/// A request body that is complete.
pub fn empty() -> Open {
    sized(0)
}

pub async fn next(body: &mut UntilEnded<Open>) -> Option<Result<Frame<Bytes>, StreamError>> {
    timeout(SECOND * 3, body.frame()).await.unwrap()
}

pub fn text(frame: Option<Result<Frame<Bytes>, StreamError>>) -> String {
    let data = frame.unwrap().unwrap().into_data().unwrap();
    String::from_utf8(data.to_vec()).unwrap()
}
