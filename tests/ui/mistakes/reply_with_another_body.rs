//~ `Response<Body>`
//~ `Response<Full<Bytes>>`
//~ Reply<Body>

use ui::axum::{Router, routing::get};
use ui::bytes::Bytes;
use ui::http_body_util::Full;
use ui::tower_user_sessions::{MemoryStore, Session, SessionLayer};

async fn handler(session: Session) -> String {
    format!("{:?}", session.user_id())
}

pub fn app() -> Router {
    let sessions = SessionLayer::new(MemoryStore::new())
        .reply_with(|rejection| rejection.into_problem(Full::<Bytes>::from));
    Router::new().route("/", get(handler)).layer(sessions)
}
