//! Sends requests with any bytes in `Cookie` and `Authorization` through the layer.
#![no_main]

use std::{
    convert::Infallible,
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};

use fuzz::{Act, Counting, Request, Sent};
use http::{HeaderMap, Response, header::SET_COOKIE};
use libfuzzer_sys::fuzz_target;
use tower::{Layer, ServiceExt, service_fn};
use tower_user_sessions::{
    Session, SessionCookie, SessionLayer, SessionStore, UserId,
    store::{Arrival, Authenticated, Create, Created, Tag, Token},
};

const NAME: &str = "__Host-session";

fuzz_target!(|bytes: &[u8]| {
    let store = Counting::default();
    let live = signed_in(&store);
    let unknown = Token::random(Tag::random().unwrap()).unwrap().encode();
    let Request {
        source,
        act,
        headers,
    } = Request::of(bytes, &live, &unknown, NAME);
    let sent = Sent::of(source, &headers, NAME);
    let before = store.calls();

    let cookie = SessionCookie::named(NAME).build().unwrap();
    let layer = SessionLayer::new(store.clone())
        .cookie(cookie)
        .token_source(source);
    let response = answer(&layer, act, headers);
    let calls = store.calls() - before;
    let (head, user) = response.into_parts();

    assert_eq!(head.status, 200);
    let set = cookies_set(&head.headers);
    let guest = format!("{NAME}-guest");
    for name in [NAME, guest.as_str()] {
        let lines = set.iter().filter(|set| set.as_str() == name);
        assert!(lines.count() <= 1, "two cookies named {name}");
    }
    let opened = sent.opened(&live);
    assert_eq!(user.is_some(), opened.user, "the user, for {sent:?}");
    if act != Act::Nothing {
        return;
    }
    assert_eq!(calls, opened.calls, "calls to the store, for {sent:?}");
    assert!(set.is_empty(), "reading sets no cookie, for {sent:?}");
});

/// Signs a user in and returns the token.
fn signed_in(store: &Counting) -> String {
    let user = UserId::new("alice").unwrap();
    let token = Token::random(store.tag(&user)).unwrap();
    let create = Create::new(&token, Some(user), Authenticated::On(Arrival::now()));
    let created = at_once(store.create(&create)).unwrap();
    assert!(matches!(created, Created::Created(_)));
    token.encode()
}

/// The response; its body is the user that the service saw.
fn answer(layer: &SessionLayer, act: Act, headers: HeaderMap) -> Response<Option<UserId>> {
    let service = service_fn(async |request: http::Request<()>| {
        let session: &Session = request.extensions().get().unwrap();
        let user = session.user_id();
        match act {
            Act::Nothing => Ok(()),
            Act::Insert => session.insert("key", "value"),
            Act::LogIn => session.log_in(42),
            Act::LogOut => session.log_out(),
        }
        .unwrap();
        Ok::<_, Infallible>(Response::new(user))
    });
    let mut request = http::Request::new(());
    *request.headers_mut() = headers;
    let Ok(response) = at_once(layer.layer(service).oneshot(request));
    response
}

/// The names of the cookies in the response.
fn cookies_set(headers: &HeaderMap) -> Vec<String> {
    let lines = headers.get_all(SET_COOKIE).iter();
    let names = lines.filter_map(|line| line.to_str().ok()?.split_once('='));
    names.map(|(name, _)| name.to_owned()).collect()
}

/// Polls a future once. The store is in memory, so that nothing waits.
fn at_once<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => panic!("a store in memory does not wait"),
    }
}
