//! Counts the allocations that the layer adds to a request on the memory store: next to none.
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
    task::{Context, Poll, Waker},
    time::Duration,
};

use http::{
    HeaderValue, Request, Response,
    header::{
        AUTHORIZATION, CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_TYPE, COOKIE,
        SET_COOKIE, VARY,
    },
};
use tower::{Layer, Service, service_fn};
use tower_user_sessions::{
    Caching, DeviceCookie, MemoryStore, Session, SessionLayer, SessionStore, TokenSource,
    store::{
        Create, Created, End, Ended, Forget, List, Look, Looked, ManualClock, NoteClient, Record,
        Resolve, Resolved, Rotate, Rotated, Save, Saved, StoreError, Tag, Ticketed, Timestamp,
        Touch,
    },
};

/// `/in` signs in, `/me` reads the user, everything else leaves the session alone.
async fn handle(request: Request<()>) -> Result<Response<()>, Infallible> {
    let session: Option<&Session> = request.extensions().get();
    match request.uri().path() {
        "/in" => session.unwrap().log_in(7).unwrap(),
        "/me" | "/page" | "/kept" => assert_eq!(session.unwrap().user_id().unwrap().as_str(), "7"),
        _ => {}
    }
    Ok(response(&request))
}

/// `/page` has headers, as the responses of most apps. `/kept` has those to which the layer adds.
fn response(request: &Request<()>) -> Response<()> {
    let mut response = Response::new(());
    let path = request.uri().path();
    let headers = response.headers_mut();
    if path == "/kept" {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=60"));
        headers.insert(VARY, HeaderValue::from_static("accept"));
    }
    if path == "/page" {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("7"));
        headers.insert(CONTENT_LANGUAGE, HeaderValue::from_static("en"));
    }
    response
}

/// The response of a service that never waits, without a runtime, because that would allocate too.
pub(super) fn answer<S>(service: &mut S, request: Request<()>) -> Response<()>
where
    S: Service<Request<()>, Response = Response<()>, Error = Infallible>,
{
    let mut task = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut task).is_ready());
    match pin!(service.call(request)).poll(&mut task) {
        Poll::Ready(Ok(response)) => response,
        Poll::Ready(Err(never)) => match never {},
        Poll::Pending => panic!("nothing here waits"),
    }
}

/// How many allocations a response takes, without those of the request itself.
fn allocations<S>(service: &mut S, request: Request<()>) -> u64
where
    S: Service<Request<()>, Response = Response<()>, Error = Infallible>,
{
    let counted = allocation_counter::measure(|| {
        answer(service, request);
    });
    counted.count_total
}

/// What the layer adds to the allocations of the service.
fn added(layer: &SessionLayer, make: impl Fn() -> Request<()>) -> u64 {
    let mut service = layer.layer(service_fn(handle));
    // State that is made once per thread does not count.
    answer(&mut service, make());
    let bare = allocations(&mut service_fn(bare), make());

    allocations(&mut service, make()) - bare
}

async fn bare(request: Request<()>) -> Result<Response<()>, Infallible> {
    Ok(response(&request))
}

fn request(path: &str) -> Request<()> {
    Request::builder().uri(path).body(()).unwrap()
}

/// The cookie of a new session of user 7.
fn sign_in(layer: &SessionLayer) -> String {
    let response = answer(&mut layer.layer(service_fn(handle)), request("/in"));
    let line = response.headers()[SET_COOKIE].to_str().unwrap();
    line.split(';').next().unwrap().to_owned()
}

fn with_cookie(path: &str, cookie: &str) -> Request<()> {
    let mut request = request(path);
    let value = cookie.try_into().unwrap();
    request.headers_mut().insert(COOKIE, value);
    request
}

/// A request into which another layer has already put an extension.
fn with_extension(mut request: Request<()>) -> Request<()> {
    request.extensions_mut().insert("another layer's");
    request
}

/// What responses say to caches is counted on its own.
fn unchanged() -> SessionLayer {
    SessionLayer::new(MemoryStore::new()).caching(Caching::Unchanged)
}

// T65
#[test]
fn what_a_response_says_to_caches_takes_2_allocations_without_headers_and_2_to_add_to_one_and_else_none()
 {
    let layer = SessionLayer::new(MemoryStore::new());
    let cookie = sign_in(&layer);
    let silent = unchanged();
    let silent_cookie = sign_in(&silent);
    let added_on = |path| {
        let loud = added(&layer, || with_cookie(path, &cookie));
        loud - added(&silent, || with_cookie(path, &silent_cookie))
    };

    assert_eq!(added_on("/me"), 2);
    assert_eq!(added_on("/page"), 0);
    assert_eq!(added_on("/kept"), 4);
}

#[test]
fn reading_the_user_and_recording_the_activity_takes_at_most_4_allocations_on_empty_extensions() {
    let layer = unchanged();
    let cookie = sign_in(&layer);

    let added = added(&layer, || with_cookie("/me", &cookie));

    assert!(added <= 4, "{added} allocations");
}

#[test]
fn reading_the_user_and_recording_the_activity_takes_at_most_2_allocations_on_existing_extensions()
{
    let layer = unchanged();
    let cookie = sign_in(&layer);

    let added = added(&layer, || with_extension(with_cookie("/me", &cookie)));

    assert!(added <= 2, "{added} allocations");
}

#[test]
fn a_hit_that_records_a_newer_activity_takes_no_more() {
    let clock = ManualClock::at(Timestamp::from_millis(1_800_000_000_000));
    let store = MemoryStore::builder().clock(clock.clone()).build();
    let layer = SessionLayer::new(store).caching(Caching::Unchanged);
    let cookie = sign_in(&layer);

    let added = added(&layer, || {
        clock.advance(Duration::from_secs(1));
        with_cookie("/me", &cookie)
    });

    assert!(added <= 4, "{added} allocations");
}

#[test]
fn a_bearer_takes_no_more_than_a_cookie() {
    let store = MemoryStore::new();
    let cookie = sign_in(&SessionLayer::new(store.clone()));
    let (_, token) = cookie.split_once('=').unwrap();

    for source in [TokenSource::Bearer, TokenSource::CookieThenBearer] {
        let layer = SessionLayer::new(store.clone())
            .token_source(source)
            .caching(Caching::Unchanged);
        let added = added(&layer, || {
            let mut request = with_extension(request("/me"));
            let value = format!("Bearer {token}").try_into().unwrap();
            request.headers_mut().insert(AUTHORIZATION, value);
            request
        });

        assert!(added <= 2, "{added} allocations");
    }
}

#[test]
fn a_request_without_a_token_takes_no_more_than_a_hit() {
    let layer = SessionLayer::new(MemoryStore::new());

    let on_empty = added(&layer, || request("/"));
    let on_existing = added(&layer, || with_extension(request("/")));

    assert!(on_empty <= 4, "{on_empty} allocations");
    assert!(on_existing <= 2, "{on_existing} allocations");
}

// T37
#[test]
fn client_hints_and_a_user_agent_take_no_more() {
    let layer = SessionLayer::new(MemoryStore::new());
    let with_headers = || {
        let mut request = with_extension(request("/"));
        for (name, value) in [
            ("sec-ch-ua", r#""Google Chrome";v="142""#),
            ("sec-ch-ua-mobile", "?0"),
            ("sec-ch-ua-platform", r#""Windows""#),
            ("user-agent", "Mozilla/5.0"),
        ] {
            let value = HeaderValue::from_static(value);
            request.headers_mut().insert(name, value);
        }
        request
    };

    let plain = added(&layer, || with_extension(request("/")));
    let hinted = added(&layer, with_headers);

    assert_eq!(hinted, plain);
}

#[test]
fn a_request_that_resolve_if_skips_takes_no_allocation() {
    let layer = SessionLayer::new(MemoryStore::new()).resolve_if(|parts| parts.uri.path() != "/");
    let cookie = sign_in(&layer);

    let added = added(&layer, || with_cookie("/", &cookie));

    assert_eq!(added, 0);
}

/// A store that has to be awaited, such as one over the network.
struct Elsewhere(MemoryStore);

impl SessionStore for Elsewhere {
    async fn resolve(&self, resolve: &Resolve) -> Result<Resolved, StoreError> {
        self.0.resolve(resolve).await
    }

    async fn create(&self, create: &Create) -> Result<Created, StoreError> {
        self.0.create(create).await
    }

    async fn ticket(&self, tag: Tag, ticket: &Ticketed) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.ticket(tag, ticket).await
    }

    async fn save(&self, save: &Save) -> Result<Saved, StoreError> {
        self.0.save(save).await
    }

    async fn rotate(&self, rotate: &Rotate) -> Result<Rotated, StoreError> {
        self.0.rotate(rotate).await
    }

    async fn list(&self, list: &List) -> Result<Vec<Record>, StoreError> {
        self.0.list(list).await
    }

    async fn end(&self, end: &End) -> Result<Ended, StoreError> {
        self.0.end(end).await
    }

    async fn forget(&self, forget: &Forget) -> Result<(), StoreError> {
        self.0.forget(forget).await
    }

    async fn note_client(&self, note: &NoteClient) -> Result<bool, StoreError> {
        self.0.note_client(note).await
    }

    async fn look(&self, look: &Look) -> Result<Looked, StoreError> {
        self.0.look(look).await
    }

    async fn touch(&self, touch: &Touch) -> Result<(), StoreError> {
        self.0.touch(touch).await
    }
}

#[test]
fn a_store_that_has_to_be_awaited_takes_two_more_boxes() {
    let layer = SessionLayer::new(Elsewhere(MemoryStore::new())).caching(Caching::Unchanged);
    let cookie = sign_in(&layer);

    let added = added(&layer, || with_extension(with_cookie("/me", &cookie)));

    assert!(added <= 4, "{added} allocations");
}

/// Some frameworks apply a layer for each request.
#[test]
fn a_layer_whose_device_cookie_clashes_copies_no_settings_when_it_is_applied() {
    let device = DeviceCookie::named("__Host-session").unwrap();
    let layer = SessionLayer::new(MemoryStore::new()).device_cookie(device);
    // The first time it logs the mistake.
    drop(layer.layer(()));

    let applied = allocation_counter::measure(|| drop(layer.layer(())));

    assert_eq!(applied.count_total, 0);
}
