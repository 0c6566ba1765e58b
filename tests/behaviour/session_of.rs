//! `Session::of`: the session of a request, for services that are not axum handlers.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::convert::Infallible;

use http::{Extensions, Request, Response};
use tower::{Layer, ServiceExt, service_fn};
use tower_user_sessions::{MemoryStore, MissingSession, Session, SessionLayer};

type Found = Option<Result<Option<String>, MissingSession>>;

/// What `Session::of` returns inside of this layer: the user who signed in through it.
async fn ask(layer: SessionLayer) -> Result<Option<String>, MissingSession> {
    let service = service_fn(async |request: Request<()>| {
        let found = Session::of(request.extensions()).map(|session| {
            session.log_in(42).unwrap();
            let same: &Session = request.extensions().get().unwrap();
            same.user_id().map(|user| user.to_string())
        });
        Ok::<_, Infallible>(Response::new(Found::Some(found)))
    });
    let response = layer
        .layer(service)
        .oneshot(Request::new(()))
        .await
        .unwrap();
    response.into_body().unwrap()
}

#[tokio::test]
async fn it_is_the_session_that_the_layer_put_there() {
    let found = ask(SessionLayer::new(MemoryStore::new())).await;

    assert_eq!(found, Ok(Some("42".to_owned())));
}

#[tokio::test]
async fn a_request_that_resolve_if_let_pass_says_so() {
    let layer = SessionLayer::new(MemoryStore::new()).resolve_if(|_request| false);

    assert_eq!(ask(layer).await, Err(MissingSession::NotResolved));
}

#[test]
fn a_request_that_no_layer_saw_says_so() {
    let missing = Session::of(&Extensions::new()).unwrap_err();

    assert_eq!(missing, MissingSession::NoLayer);
    assert_eq!(
        missing.to_string(),
        "no `SessionLayer` on this route: add `.layer(SessionLayer::new(store))` outside of it"
    );
}
