//! Each mistake, corrected as the errors say.

use std::convert::Infallible;

use ui::axum::{
    Router,
    body::Body,
    http::{Request, Response},
    routing::get,
};
use ui::bytes::Bytes;
use ui::http_body_util::{BodyExt, Full, combinators::BoxBody};
use ui::tower::{Layer, Service, service_fn};
use ui::tower_user_sessions::{
    MemoryStore, RedisStore, Session, SessionError, SessionLayer, UserId, UserSessions,
    deadpool_redis::Pool, store::ParseUserIdError,
};

pub fn log_in(session: &Session, account: i64) -> Result<(), SessionError> {
    session.log_in(account)
}

pub fn sessions(store: MemoryStore) -> Result<UserSessions, ParseUserIdError> {
    Ok(UserSessions::new(store, UserId::new("alice")?))
}

pub fn layer(pool: Pool) -> SessionLayer {
    SessionLayer::new(RedisStore::builder(pool).build())
}

async fn handler(session: Session) -> String {
    format!("{:?}", session.user_id())
}

pub fn app() -> Router {
    let sessions = SessionLayer::new(MemoryStore::new())
        .reply_with(|rejection| rejection.into_problem(Body::from));
    Router::new().route("/", get(handler)).layer(sessions)
}

fn serve<S: Service<Request<BoxBody<Bytes, Infallible>>>>(_service: S) {}

pub fn main() {
    let echo = service_fn(async |request: Request<BoxBody<Bytes, Infallible>>| {
        Ok::<_, Infallible>(Response::new(request.into_body()))
    });
    let sessions = SessionLayer::new(MemoryStore::new())
        .reply_with(|rejection| rejection.into_problem(|bytes| Full::from(bytes).boxed()));
    serve(sessions.layer(echo));
}
