//! `BearerLayer`: a client that keeps its token.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{convert::Infallible, sync::Arc};

use http::{Request, Response};
use tokio::sync::Semaphore;
use tower::{Layer, ServiceExt, service_fn};
use tower_user_sessions::{BearerLayer, store::Token};

// T62
#[tokio::test]
async fn a_late_response_of_an_earlier_session_leaves_the_clients_newer_token_alone() {
    let token = |tag, id, secret| {
        let text = format!("{tag:A<16}{id:A<16}{secret:A<32}");
        Token::parse(text.as_bytes()).unwrap()
    };
    let (first, rotated) = (token("a", "b", "c"), token("a", "b", "d"));
    let newer = token("a", "e", "f");
    let digest = |token: Option<&Token>| token.map(Token::digest);
    // The client signs in again, forgets its token, or waits.
    for (then, wanted) in [
        (Some(Some(&newer)), Some(&newer)),
        (Some(None), None),
        (None, Some(&rotated)),
    ] {
        let bearer = BearerLayer::new();
        bearer.set_token(first.clone());
        let held = Arc::new(Semaphore::new(0));
        let answered = rotated.encode();
        let gate = Arc::clone(&held);
        let service = service_fn(move |request: Request<()>| {
            let (gate, answered) = (Arc::clone(&gate), answered.clone());
            let slow = request.uri().path() == "/slow";
            let token = request.uri().query().map_or(answered, str::to_owned);
            async move {
                if slow {
                    let _passed = gate.acquire().await.unwrap();
                }
                let response = Response::builder().header("x-session-token", token);
                Ok::<_, Infallible>(response.body(()).unwrap())
            }
        });
        let service = bearer.layer(service);
        let get = |path: String| Request::get(path).body(()).unwrap();
        let slow = service.clone().oneshot(get("/slow".to_owned()));
        let meanwhile = async {
            match then {
                Some(Some(newer)) => {
                    let path = format!("/login?{}", newer.encode());
                    service.clone().oneshot(get(path)).await.unwrap();
                    assert_eq!(digest(bearer.token().as_ref()), digest(Some(newer)));
                }
                Some(None) => bearer.forget(),
                None => {}
            }
            held.add_permits(1);
        };

        tokio::join!(async { slow.await.unwrap() }, meanwhile);

        assert_eq!(digest(bearer.token().as_ref()), digest(wanted));
    }
}
