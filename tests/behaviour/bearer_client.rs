//! `BearerLayer`: a client that keeps its token.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{convert::Infallible, sync::Arc};

use http::{Request, Response, header::AUTHORIZATION};
use tokio::sync::Semaphore;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_user_sessions::{BearerLayer, store::Token};

type Digest = Option<tower_user_sessions::store::Digest>;

fn token(tag: &str, id: &str, secret: &str) -> Token {
    let text = format!("{tag:A<16}{id:A<16}{secret:A<32}");
    Token::parse(text.as_bytes()).unwrap()
}

fn digest(token: Option<&Token>) -> Digest {
    token.map(Token::digest)
}

fn get(path: &str, answered: &Token) -> Request<()> {
    let path = format!("{path}?{}", answered.encode());
    Request::get(path).body(()).unwrap()
}

fn with(mut request: Request<()>, authorization: &str) -> Request<()> {
    let line = authorization.parse().unwrap();
    request.headers_mut().insert(AUTHORIZATION, line);
    request
}

/// Answers with the token in the query, on `/slow` once the gate is open.
fn server(
    gate: &Arc<Semaphore>,
) -> impl Service<
    Request<()>,
    Response = Response<()>,
    Error = Infallible,
    Future: Future<Output = Result<Response<()>, Infallible>>,
> + Clone
+ use<> {
    let gate = Arc::clone(gate);
    service_fn(move |request: Request<()>| {
        let gate = Arc::clone(&gate);
        async move {
            if request.uri().path() == "/slow" {
                let _passed = gate.acquire().await.unwrap();
            }
            let token = request.uri().query().unwrap();
            let response = Response::builder().header("x-session-token", token);
            Ok::<_, Infallible>(response.body(()).unwrap())
        }
    })
}

// T62
#[tokio::test]
async fn a_late_response_of_an_earlier_session_leaves_the_clients_newer_token_alone() {
    let (first, rotated) = (token("a", "b", "c"), token("a", "b", "d"));
    let newer = token("a", "e", "f");
    // The client signs in again, forgets its token, or waits.
    for (then, wanted) in [
        (Some(Some(&newer)), Some(&newer)),
        (Some(None), None),
        (None, Some(&rotated)),
    ] {
        let bearer = BearerLayer::new();
        bearer.set_token(first.clone());
        let gate = Arc::new(Semaphore::new(0));
        let service = bearer.layer(server(&gate));
        let slow = service.clone().oneshot(get("/slow", &rotated));
        let meanwhile = async {
            match then {
                Some(Some(newer)) => {
                    service.clone().oneshot(get("/login", newer)).await.unwrap();
                    assert_eq!(digest(bearer.token().as_ref()), digest(Some(newer)));
                }
                Some(None) => bearer.forget(),
                None => {}
            }
            gate.add_permits(1);
        };

        tokio::join!(async { slow.await.unwrap() }, meanwhile);

        assert_eq!(digest(bearer.token().as_ref()), digest(wanted));
    }
}

// T62
#[tokio::test]
async fn a_request_with_a_token_of_its_own_does_not_change_the_clients_token() {
    let (first, rotated) = (token("a", "b", "c"), token("a", "b", "d"));
    let other = token("e", "f", "g");
    let answered = async |own: &str, answered: &Token| {
        let bearer = BearerLayer::new();
        bearer.set_token(first.clone());
        let service = bearer.layer(server(&Arc::new(Semaphore::new(0))));
        let request = with(get("/", answered), own);
        service.oneshot(request).await.unwrap();
        digest(bearer.token().as_ref())
    };
    let (of_other, of_same) = (other.encode(), first.encode());

    let kept = answered(&format!("Bearer {of_other}"), &token("e", "f", "h")).await;
    let kept_by_sign_in = answered(&format!("bearer {of_other}"), &token("i", "j", "k")).await;
    let taken = answered(&format!("Bearer {of_same}"), &rotated).await;
    let signed_in = answered("Basic YTpi", &other).await;
    let exchanged = answered("Bearer of.another.issuer", &other).await;

    assert_eq!(kept, digest(Some(&first)));
    assert_eq!(kept_by_sign_in, digest(Some(&first)));
    assert_eq!(taken, digest(Some(&rotated)));
    assert_eq!(signed_in, digest(Some(&other)));
    assert_eq!(exchanged, digest(Some(&other)));
}

// T62
#[tokio::test]
async fn of_requests_at_once_the_one_that_was_sent_last_decides_on_the_clients_session() {
    let (earlier, later) = (token("a", "b", "c"), token("d", "e", "f"));
    // A guest session or another sign-in, sent before: its response comes after the other one, or before it.
    for late in [true, false] {
        let bearer = BearerLayer::new();
        let gate = Arc::new(Semaphore::new(0));
        let mut service = bearer.layer(server(&gate));
        let slow = service.call(get("/slow", &earlier));
        let newer = service.call(get("/slow", &later));

        gate.add_permits(2);
        if late {
            newer.await.unwrap();
            slow.await.unwrap();
        } else {
            slow.await.unwrap();
            newer.await.unwrap();
        }

        assert_eq!(digest(bearer.token().as_ref()), digest(Some(&later)));
    }
}

// T62
#[tokio::test]
async fn a_new_token_of_the_session_before_does_not_undo_a_sign_in_that_was_sent_earlier() {
    let (first, rotated) = (token("a", "b", "c"), token("a", "b", "d"));
    let newer = token("a", "e", "f");
    for late in [true, false] {
        let bearer = BearerLayer::new();
        bearer.set_token(first.clone());
        let mut service = bearer.layer(server(&Arc::new(Semaphore::new(1))));
        let login = service.call(with(get("/login", &newer), "Basic YTpi"));
        let poll = service.call(get("/", &rotated));

        if late {
            login.await.unwrap();
            poll.await.unwrap();
        } else {
            poll.await.unwrap();
            assert_eq!(digest(bearer.token().as_ref()), digest(Some(&rotated)));
            login.await.unwrap();
        }

        assert_eq!(digest(bearer.token().as_ref()), digest(Some(&newer)));
    }
}

// T62
#[tokio::test]
async fn a_request_from_before_forget_brings_the_client_no_token() {
    let bearer = BearerLayer::new();
    let mut service = bearer.layer(server(&Arc::new(Semaphore::new(0))));
    let sent_before = service.call(get("/", &token("a", "b", "c")));
    let signed_in = service.call(get("/", &token("d", "e", "f")));

    signed_in.await.unwrap();
    bearer.forget();
    sent_before.await.unwrap();

    assert_eq!(digest(bearer.token().as_ref()), None);
}

// T62
#[tokio::test]
async fn a_sign_in_whose_response_comes_after_the_token_was_forgotten_is_forgotten_too() {
    let bearer = BearerLayer::new();
    let gate = Arc::new(Semaphore::new(0));
    let mut service = bearer.layer(server(&gate));
    let sign_in = service.call(get("/slow", &token("a", "b", "c")));

    bearer.forget();
    gate.add_permits(1);
    sign_in.await.unwrap();

    assert!(bearer.token().is_none());
}

// T3
#[tokio::test]
async fn debug_output_of_a_request_and_of_its_response_has_no_token() {
    let bearer = BearerLayer::new();
    bearer.set_token(token("a", "b", "c"));
    let echo = service_fn(async |request: Request<()>| {
        let seen = format!("{request:?}");
        let response = Response::builder().header("x-session-token", token("a", "b", "d").encode());
        Ok::<_, Infallible>(response.body(seen).unwrap())
    });

    let request = Request::get("/").body(()).unwrap();
    let response = bearer.layer(echo).oneshot(request).await.unwrap();

    let (sent, received) = (response.body(), format!("{:?}", response.headers()));
    assert!(
        sent.contains("authorization") && !sent.contains("cAAAA"),
        "{sent}"
    );
    assert!(!received.contains("dAAAA"), "{received}");
}
