//~ `Problem` makes no responses with a body of the type `BoxBody<
//~ `Bare` needs a body type that is `Default`, `Problem` one that is `From<Bytes>`
//~ `MapResponseBodyLayer::new(Body::new)` of tower-http makes it axum's again
//~ for any other body: `reply_with(|rejection| rejection.into_problem(|bytes| …))`

use std::convert::Infallible;

use ui::axum::http::{Request, Response};
use ui::bytes::Bytes;
use ui::http_body_util::combinators::BoxBody;
use ui::tower::{Layer, Service, service_fn};
use ui::tower_user_sessions::{MemoryStore, Problem, SessionLayer};

type Body = BoxBody<Bytes, Infallible>;

/// What a server asks for.
fn serve<S: Service<Request<Body>>>(_service: S) {}

pub fn main() {
    let echo = service_fn(async |request: Request<Body>| {
        Ok::<_, Infallible>(Response::new(request.into_body()))
    });
    let sessions = SessionLayer::new(MemoryStore::new()).reply(Problem);
    serve(sessions.layer(echo));
}
