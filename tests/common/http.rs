//! Requests through a `SessionLayer` in this process, and a client with a cookie jar.

use std::{
    convert::Infallible,
    future::Future,
    net::IpAddr,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_user_sessions::{
    MemoryStore, PeerAddr, Reply, RequireUser, Session, SessionId, SessionInfo, SessionLayer,
    UserId, UserSessions,
    store::{ManualClock, Timestamp},
};

/// Far longer than any test takes, so that the real age of a request never matters.
pub const HOUR: Duration = Duration::from_secs(60 * 60);
pub const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// An empty store and the clock that moves its time.
pub fn store() -> (MemoryStore, ManualClock) {
    let clock = ManualClock::at(Timestamp::from_millis(1_764_000_000_000));
    let store = MemoryStore::builder().clock(clock.clone()).build();
    (store, clock)
}

pub fn user(id: &str) -> UserId {
    UserId::new(id).unwrap()
}

/// The ids of a user's live sessions, the most recently active first.
pub async fn ids(store: &MemoryStore, id: &str) -> Vec<SessionId> {
    let live = UserSessions::new(store.clone(), user(id)).list().await;
    live.unwrap().iter().map(SessionInfo::id).collect()
}

/// Sends one request without a cookie through a layer with any `Reply`.
pub async fn through<R, B, F, Fut>(layer: &SessionLayer<R>, handler: F) -> Response<B>
where
    R: Reply<B> + Clone,
    F: Fn(Session) -> Fut + Clone,
    Fut: Future<Output = Response<B>>,
{
    let service = service_fn(move |request: Request<()>| {
        let handled = handler(request.extensions().get::<Session>().unwrap().clone());
        async move { Ok::<_, Infallible>(handled.await) }
    });
    layer
        .layer(service)
        .oneshot(Request::new(()))
        .await
        .unwrap()
}

type Handled = Pin<Box<dyn Future<Output = Result<Response<String>, Infallible>> + Send>>;

/// The service of a handler, without the handler's type: the layer is then compiled once, not for each handler.
#[derive(Clone)]
struct Handler(Arc<Mutex<dyn FnMut(Session) -> Handled + Send>>);

impl Handler {
    fn new(handler: impl FnMut(Session) -> Handled + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(handler)))
    }
}

impl Service<Request<()>> for Handler {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Handled;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let session = request.extensions().get::<Session>().unwrap().clone();
        (self.0.lock().unwrap())(session)
    }
}

/// What a client received, and what the handler returned.
#[derive(Debug)]
pub struct Answer<T> {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
    handled: Option<T>,
}

impl<T> Answer<T> {
    /// What the handler returned.
    pub fn value(self) -> T {
        self.handled.unwrap()
    }

    /// What the handler returned. The rest of the answer stays.
    pub fn take(&mut self) -> T {
        self.handled.take().unwrap()
    }

    /// Whether the service was reached.
    pub fn reached(&self) -> bool {
        self.handled.is_some()
    }

    /// All `Set-Cookie` lines.
    pub fn set_cookies(&self) -> Vec<&str> {
        let lines = self.headers.get_all(header::SET_COOKIE).iter();
        lines.map(|line| line.to_str().unwrap()).collect()
    }

    pub fn sets_no_cookie(&self) -> bool {
        self.set_cookies().is_empty()
    }

    pub fn removes_cookie(&self) -> bool {
        matches!(self.set_cookies()[..], [line] if line.contains("Max-Age=0"))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// A browser that keeps the session cookie it receives.
#[derive(Clone)]
pub struct Client {
    layer: SessionLayer,
    /// The signed-in cookie: `name=value`
    pub cookie: Option<String>,
    /// The guest cookie.
    pub guest: Option<String>,
    pub method: Method,
    pub user_agent: &'static str,
    /// The address of its peer, where the app sets that.
    pub peer: Option<IpAddr>,
    /// Other headers of its requests.
    pub headers: HeaderMap,
}

impl Client {
    pub fn new(layer: &SessionLayer) -> Self {
        Self {
            layer: layer.clone(),
            cookie: None,
            guest: None,
            method: Method::GET,
            user_agent: "test",
            peer: None,
            headers: HeaderMap::new(),
        }
    }

    /// A client that sends exactly these `Cookie` headers.
    pub fn with_cookies<const N: usize>(layer: &SessionLayer, cookies: [&[u8]; N]) -> Self {
        let mut client = Self::new(layer);
        for cookie in cookies {
            let value = HeaderValue::from_bytes(cookie).unwrap();
            client.headers.append(header::COOKIE, value);
        }
        client
    }

    /// The same browser in front of a layer with other settings.
    pub fn before(&self, layer: &SessionLayer) -> Self {
        Self {
            layer: layer.clone(),
            ..self.clone()
        }
    }

    /// A client that is signed in.
    pub async fn signed_in(layer: &SessionLayer, id: &str) -> Self {
        let mut client = Self::new(layer);
        client.log_in(id).await;
        client
    }

    pub async fn log_in(&mut self, id: &str) -> SessionId {
        let user = user(id);
        let answer = self.send(move |session| {
            let user = user.clone();
            async move {
                session.log_in(user).unwrap();
                session.id().unwrap()
            }
        });
        let answer = answer.await;
        assert_eq!(answer.status, StatusCode::OK);
        answer.value()
    }

    /// The user that the next request finds.
    pub async fn user(&mut self) -> Option<String> {
        let found = self.send(|session| async move { session.user_id() }).await;
        found.value().map(|user| user.to_string())
    }

    /// The status of a route for users only.
    pub async fn users_only(&self) -> StatusCode {
        let route = service_fn(|_: Request<()>| async {
            Ok::<_, Infallible>(Response::<String>::default())
        });
        let guarded = self.layer.layer(RequireUser::new().layer(route));
        guarded.oneshot(self.head("/")).await.unwrap().status()
    }

    /// The value that the session keeps under this key, as the next request reads it.
    pub async fn get(&mut self, key: &'static str) -> Option<String> {
        let found = self.send(move |session| async move { session.get(key).unwrap() });
        found.await.value()
    }

    pub async fn insert(&mut self, key: &'static str, value: &'static str) {
        let answer = self.send(move |session| async move { session.insert(key, value).unwrap() });
        assert_eq!(answer.await.status, StatusCode::OK);
    }

    /// Sends a request and keeps the cookie of the response. The status is 200 unless the layer
    /// changes it.
    pub async fn send<T, F, Fut>(&mut self, handler: F) -> Answer<T>
    where
        T: Send + 'static,
        F: Fn(Session) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
    {
        let answer = Box::pin(self.request(handler)).await;
        self.keep(&answer);
        answer
    }

    /// Runs `first` in one request, and `second` in another one while the first is in flight. Returns the status of the
    /// first.
    pub async fn at_once(&mut self, first: fn(&Session), second: fn(&Session)) -> StatusCode {
        let parallel = self.clone();
        let answer = self.send(move |session| {
            let parallel = parallel.clone();
            async move {
                first(&session);
                parallel
                    .request(move |session| async move { second(&session) })
                    .await;
            }
        });
        answer.await.status
    }

    /// Sends a request. The cookie of its response is lost unless it is [kept](Self::keep).
    pub fn request<T, F, Fut>(
        &self,
        handler: F,
    ) -> impl Future<Output = Answer<T>> + Send + use<T, F, Fut>
    where
        T: Send + 'static,
        F: Fn(Session) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
    {
        self.answered(move |session| {
            let handled = handler(session);
            async move { (Response::new(String::new()), handled.await) }
        })
    }

    /// Sends a request whose handler also makes the response head.
    pub fn answered<T, F, Fut>(
        &self,
        handler: F,
    ) -> impl Future<Output = Answer<T>> + Send + use<T, F, Fut>
    where
        T: Send + 'static,
        F: Fn(Session) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = (Response<String>, T)> + Send + 'static,
    {
        let slot = Arc::new(Mutex::new(None));
        let filled = Arc::clone(&slot);
        let service = Handler::new(move |session| {
            let (handled, slot) = (handler(session), Arc::clone(&slot));
            Box::pin(async move {
                let (response, value) = handled.await;
                *slot.lock().unwrap() = Some(value);
                Ok(response)
            })
        });
        let sent = self.layer.layer(service).oneshot(self.head("/"));
        async move {
            let (head, body) = sent.await.unwrap().into_parts();
            Answer {
                status: head.status,
                headers: head.headers,
                body,
                handled: filled.lock().unwrap().take(),
            }
        }
    }

    /// Builds a request of this client.
    pub fn head(&self, path: &str) -> Request<()> {
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(path)
            .header(header::USER_AGENT, self.user_agent);
        let cookies: Vec<&str> = [&self.cookie, &self.guest]
            .into_iter()
            .flatten()
            .map(String::as_str)
            .collect();
        if !cookies.is_empty() {
            request = request.header(header::COOKIE, cookies.join("; "));
        }
        let mut request = request.body(()).unwrap();
        if let Some(peer) = self.peer {
            request.extensions_mut().insert(PeerAddr::from(peer));
        }
        if self.headers.contains_key(header::USER_AGENT) {
            request.headers_mut().remove(header::USER_AGENT);
        }
        for (name, value) in &self.headers {
            request.headers_mut().append(name, value.clone());
        }
        request
    }

    /// The token in the jar: that of the user, else that of the guest.
    pub fn token(&self) -> String {
        let cookie = self.cookie.as_deref().or(self.guest.as_deref());
        let (_, token) = cookie.unwrap().split_once('=').unwrap();
        token.to_owned()
    }

    /// Sends the token of this answer from now on, as a bearer client. Returns whether it has one.
    pub fn bears<T>(&mut self, answer: &Answer<T>) -> bool {
        let Some(token) = answer.header("x-session-token") else {
            return false;
        };
        let line = format!("Bearer {token}").parse().unwrap();
        self.headers.insert(header::AUTHORIZATION, line);
        true
    }

    /// Updates the jar as a browser would.
    pub fn keep<T>(&mut self, answer: &Answer<T>) {
        let lines = answer.set_cookies().into_iter();
        for line in lines.filter(|line| !line.starts_with("__Host-device=")) {
            let pair = line.split(';').next().unwrap();
            let (name, _) = pair.split_once('=').unwrap();
            let removed = line.contains("Max-Age=0");
            let cookie = if name.ends_with("-guest") {
                &mut self.guest
            } else {
                &mut self.cookie
            };
            *cookie = (!removed).then(|| pair.to_owned());
        }
    }
}
