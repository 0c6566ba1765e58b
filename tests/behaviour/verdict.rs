//! Which responses of the service let staged changes be stored.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::io;

use http::{HeaderValue, Method, Request, Response, StatusCode};
use tower::{Layer, ServiceExt, service_fn};
use tower_user_sessions::{Limit, MemoryStore, Session, SessionLayer, UserSessions};

use crate::common::{
    faulty::{self, Fault, FaultyStore},
    http::{Answer, Client, ids, store, user},
};

/// A sign-in with a handler that responds like this.
async fn sign_in(layer: &SessionLayer, status: u16, grpc: Option<&'static str>) -> Answer<()> {
    let client = Client::new(layer);
    client
        .answered(move |session| async move {
            session.log_in(user("alice")).unwrap();
            (answer(status, grpc), ())
        })
        .await
}

fn answer(status: u16, grpc: Option<&'static str>) -> Response<String> {
    let mut response = Response::new(String::new());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    if let Some(code) = grpc {
        let code = HeaderValue::from_static(code);
        response.headers_mut().insert("grpc-status", code);
    }
    response
}

fn world() -> (SessionLayer, MemoryStore) {
    let (store, _clock) = store();
    (SessionLayer::new(store.clone()), store)
}

// T33
#[tokio::test]
async fn below_500_a_sign_in_is_stored() {
    for status in [200, 204, 303, 400, 404, 422, 499] {
        let (layer, store) = world();

        let answer = sign_in(&layer, status, None).await;

        assert_eq!(answer.status, status);
        assert_eq!(answer.set_cookies().len(), 1, "{status}");
        assert_eq!(ids(&store, "alice").await.len(), 1, "{status}");
    }
}

// T33
#[tokio::test]
async fn from_500_on_and_at_408_a_sign_in_is_not_stored_and_the_response_is_kept() {
    for status in [408, 500, 501, 503, 504, 599] {
        let (layer, store) = world();

        let answer = sign_in(&layer, status, None).await;

        assert_eq!(answer.status, status);
        assert!(answer.sets_no_cookie(), "{status}");
        assert_eq!(store.sets(), 0, "{status}");
    }
}

#[tokio::test]
async fn a_failed_grpc_head_counts_as_a_server_error() {
    for code in ["1", "2", "4", "13", "14", "15"] {
        let (layer, store) = world();

        let answer = sign_in(&layer, 200, Some(code)).await;

        assert!(answer.sets_no_cookie(), "{code}");
        assert_eq!(store.sets(), 0, "{code}");
    }
}

#[tokio::test]
async fn any_other_grpc_head_does_not_count_as_a_server_error() {
    for code in ["0", "3", "5", "6", "7", "8", "9", "10", "11", "12", "16"] {
        let (layer, store) = world();

        let answer = sign_in(&layer, 200, Some(code)).await;

        assert_eq!(answer.set_cookies().len(), 1, "{code}");
        assert_eq!(ids(&store, "alice").await.len(), 1, "{code}");
    }
}

#[tokio::test]
async fn data_of_a_failed_request_is_not_stored() {
    let (layer, _store) = world();
    let mut client = Client::signed_in(&layer, "alice").await;

    client
        .answered(|session| async move {
            session.insert("cart", "apple").unwrap();
            (answer(500, None), ())
        })
        .await;

    assert_eq!(client.get("cart").await, None);
}

// T19
#[tokio::test]
async fn a_logout_is_stored_whatever_the_status() {
    for (status, grpc) in [(200, None), (408, None), (500, None), (200, Some("13"))] {
        let (layer, store) = world();
        let client = Client::signed_in(&layer, "alice").await;

        let answered = client.answered(move |session| async move {
            session.log_out().unwrap();
            (answer(status, grpc), ())
        });
        let answered = answered.await;

        assert_eq!(answered.status, status);
        assert!(answered.removes_cookie(), "{status}");
        assert_eq!(ids(&store, "alice").await, [], "{status}");
    }
}

// T19
#[tokio::test]
async fn a_failed_request_stores_its_logout_but_not_the_sign_in_after_it() {
    let (layer, store) = world();
    let client = Client::signed_in(&layer, "alice").await;

    let answered = client.answered(|session| async move {
        session.log_out().unwrap();
        session.log_in(user("bob")).unwrap();
        session.insert("cart", "apple").unwrap();
        (answer(500, None), ())
    });

    assert!(answered.await.removes_cookie());
    assert_eq!(ids(&store, "alice").await, []);
    assert_eq!(ids(&store, "bob").await, []);
}

// T53
#[tokio::test]
async fn end_others_is_stored_whatever_the_status() {
    let (layer, store) = world();
    Client::signed_in(&layer, "alice").await;
    let mut client = Client::new(&layer);
    let id = client.log_in("alice").await;

    client
        .answered(|session| async move {
            session.user_sessions().unwrap().end_others().await.unwrap();
            (answer(500, None), ())
        })
        .await;

    assert_eq!(ids(&store, "alice").await, [id]);
}

/// Sends a request to a service that fails after `handler`.
async fn failing(layer: &SessionLayer, request: Request<()>, handler: fn(&Session)) -> io::Error {
    let service = service_fn(move |request: Request<()>| async move {
        handler(request.extensions().get().unwrap());
        Err::<Response<String>, _>(io::Error::other("broken pipe"))
    });
    layer.layer(service).oneshot(request).await.unwrap_err()
}

// T33
#[tokio::test]
async fn a_service_that_fails_stores_no_sign_in_and_its_error_is_returned_unchanged() {
    let (layer, store) = world();
    let client = Client::new(&layer);

    let error = failing(&layer, client.head("/"), |session| {
        session.log_in(user("alice")).unwrap();
    });

    assert_eq!(error.await.to_string(), "broken pipe");
    assert_eq!(store.sets(), 0);
}

// T19
#[tokio::test]
async fn a_logout_is_stored_when_the_service_fails() {
    let (layer, store) = world();
    let client = Client::signed_in(&layer, "alice").await;

    let error = failing(&layer, client.head("/"), |session| {
        session.log_out().unwrap();
    });

    assert_eq!(error.await.to_string(), "broken pipe");
    assert_eq!(ids(&store, "alice").await, []);
}

// T57
#[tokio::test]
async fn a_committed_sign_in_goes_out_with_any_response() {
    let (layer, store) = world();
    let mut client = Client::new(&layer);

    let answered = client.answered(|session| async move {
        session.log_in(user("alice")).unwrap();
        session.commit().await.unwrap();
        (answer(500, None), ())
    });
    let answered = answered.await;
    client.keep(&answered);

    assert_eq!(answered.status, 500);
    assert_eq!(client.user().await.as_deref(), Some("alice"));
    assert_eq!(ids(&store, "alice").await.len(), 1);
}

// T57
#[tokio::test]
async fn a_committed_sign_in_without_a_response_ends_as_undelivered() {
    let (layer, store) = world();
    let service = service_fn(|request: Request<()>| async move {
        let session: &Session = request.extensions().get().unwrap();
        session.log_in(user("alice")).unwrap();
        session.commit().await.unwrap();
        Err::<Response<String>, _>(io::Error::other("broken pipe"))
    });

    layer
        .layer(service)
        .oneshot(Request::new(()))
        .await
        .unwrap_err();

    assert_eq!(ids(&store, "alice").await, []);
}

// The session has ended, although the request failed.
#[tokio::test]
async fn an_end_before_a_failure_is_not_undone() {
    let (layer, store) = world();
    let client = Client::signed_in(&layer, "alice").await;

    let error = failing(&layer, client.head("/"), |session| {
        session.insert("cart", "apple").unwrap();
        session.log_out().unwrap();
        session.insert("flash", "bye").unwrap();
    });

    error.await;
    let left = UserSessions::new(store.clone(), user("alice")).list().await;
    assert_eq!(left.unwrap().len(), 0);
    assert_eq!(store.sets(), 1);
}

// T27
#[tokio::test]
async fn a_refusal_is_a_grpc_status_for_a_grpc_call() {
    let (layer, _store) = world();
    let mut client = Client::new(&layer.limit(Limit::at_most(1).refuse()));
    client.clone().log_in("alice").await;
    client.method = Method::POST;
    client
        .headers
        .insert("content-type", HeaderValue::from_static("application/grpc"));

    let answer = client.request(|session| async move { session.log_in(user("alice")).unwrap() });
    let answer = answer.await;

    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("grpc-status"), Some("8"));
    assert!(answer.sets_no_cookie());
}

// T57
#[tokio::test]
async fn a_committed_sign_in_goes_out_with_the_503_of_a_later_change() {
    let (memory, _clock) = store();
    let failing = FaultyStore::new(&memory);
    let mut client = Client::new(&SessionLayer::new(failing.clone()));
    failing.always([faulty::Method::Save], Fault::Fail);

    let answer = client.send(|session| async move {
        session.log_in(user("alice")).unwrap();
        session.commit().await.unwrap();
        session.insert("cart", "apple").unwrap();
    });
    let answer = answer.await;

    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(client.user().await.as_deref(), Some("alice"));
}
