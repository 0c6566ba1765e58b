//! [`SignedIn`]: a layer for tests, in which every request is signed in (feature `test`).

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use http::{
    HeaderValue, Request, Response,
    header::{COOKIE, SET_COOKIE},
};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::{cookie::SessionCookie, layer::SessionLayer, service::SessionService};
use crate::{
    model::{IntoUserId, Token},
    request::{GUEST, named_cookie},
    session::{Session, for_test},
    store::{MemoryStore, SharedStore},
};

/// A layer for tests: every request is signed in as this user, without a cookie in your test.
///
/// It is a [`SessionLayer`] with a store of its own and one session. Data that a request inserts is
/// there in the next one. It acts as the browser does: if a handler signs out or signs in as
/// another user, so it is for later requests. A request that brings a session cookie is left alone.
///
/// ```
/// use axum::{Router, body::Body, http::Request, routing::{get, post}};
/// use tower::ServiceExt;
/// use tower_user_sessions::{Session, User, test};
///
/// async fn me(user: User) -> String {
///     user.id().to_string()
/// }
///
/// async fn add_to_cart(session: Session) {
///     session.insert("cart", "apple").unwrap();
/// }
///
/// # tokio_test::block_on(async {
/// let alice = test::signed_in_as("alice");
/// let app = Router::new()
///     .route("/me", get(me))
///     .route("/cart", post(add_to_cart))
///     .layer(alice.clone());
///
/// let request = Request::post("/cart").body(Body::empty()).unwrap();
/// let response = app.oneshot(request).await.unwrap();
///
/// assert_eq!(response.status(), 200);
/// assert_eq!(alice.session().get("cart").unwrap(), Some("apple".to_owned()));
/// # });
/// ```
///
/// # Panics
///
/// If the text is no user id.
pub fn signed_in_as(user: impl IntoUserId) -> SignedIn {
    let store = SharedStore::from(MemoryStore::new());
    let (token, _live) = for_test::sign_in(&store, user);
    SignedIn {
        layer: SessionLayer::new(store.clone()),
        store,
        jar: Jar(Arc::new(Mutex::new([Some(token), None]))),
    }
}

/// See [`signed_in_as`].
#[derive(Clone)]
#[must_use]
pub struct SignedIn {
    layer: SessionLayer,
    store: SharedStore,
    jar: Jar,
}

impl SignedIn {
    /// The session as it is stored now: what did my handler insert?
    ///
    /// Take it again after each request. It is a guest session once a handler has signed out.
    #[must_use]
    pub fn session(&self) -> Session {
        let [signed_in, guest] = self.jar.tokens().clone();
        match signed_in.or(guest) {
            Some(token) => for_test::opened(self.store.clone(), token),
            None => Session::for_test_guest(),
        }
    }
}

/// The tokens that the browser would have in the signed-in and in the guest cookie.
#[derive(Clone)]
struct Jar(Arc<Mutex<[Option<Token>; 2]>>);

impl Jar {
    fn tokens(&self) -> MutexGuard<'_, [Option<Token>; 2]> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fill<B>(&self, request: &mut Request<B>) {
        let names = names();
        if named_cookie(request.headers(), &names[0]).is_some() {
            return;
        }
        for (name, token) in names.iter().zip(&*self.tokens()) {
            if let Some(token) = token
                && let Ok(value) = HeaderValue::try_from(format!("{name}={}", token.encode()))
            {
                request.headers_mut().append(COOKIE, value);
            }
        }
    }

    fn empty<B>(&self, response: &Response<B>) {
        let names = names();
        for line in response.headers().get_all(SET_COOKIE) {
            let line = line.to_str().unwrap_or_default();
            let Some((name, value)) = line.split_once('=') else {
                continue;
            };
            let value = value.split(';').next().unwrap_or_default();
            let mut tokens = self.tokens();
            for (kept, token) in names.iter().zip(&mut *tokens) {
                if name == kept {
                    *token = value.parse().ok();
                }
            }
        }
    }
}

fn names() -> [String; 2] {
    ["", GUEST].map(|suffix| format!("{}{suffix}", SessionCookie::default().name()))
}

impl<S> Layer<S> for SignedIn {
    type Service = SignedInService<SessionService<S, super::Bare>>;

    fn layer(&self, inner: S) -> Self::Service {
        SignedInService {
            inner: self.layer.layer(inner),
            jar: self.jar.clone(),
        }
    }
}

/// Service of [`SignedIn`].
#[derive(Clone)]
pub struct SignedInService<S> {
    inner: S,
    jar: Jar,
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for SignedInService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = SignedInFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        self.jar.fill(&mut request);
        SignedInFuture {
            call: self.inner.call(request),
            jar: self.jar.clone(),
        }
    }
}

pin_project! {
    /// Response future of [`SignedInService`].
    #[must_use = "futures do nothing unless polled"]
    pub struct SignedInFuture<F> {
        #[pin]
        call: F,
        jar: Jar,
    }
}

impl<F, B, E> Future for SignedInFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = ready!(this.call.poll(cx));
        if let Ok(response) = &answer {
            this.jar.empty(response);
        }
        Poll::Ready(answer)
    }
}

impl fmt::Debug for SignedIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedIn").finish_non_exhaustive()
    }
}

impl<S: fmt::Debug> fmt::Debug for SignedInService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedInService")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

impl<F> fmt::Debug for SignedInFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedInFuture").finish_non_exhaustive()
    }
}
