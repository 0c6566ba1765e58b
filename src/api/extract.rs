//! [`Session`] as an axum extractor.

use std::convert::Infallible;

use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use http::request::Parts;

use crate::session::{MissingSession, Session};

/// The answer without a session is 500 `no_session`, and the log says what to change.
///
/// ```
/// use axum::{Router, routing::get};
/// use tower_user_sessions::{MemoryStore, Session, SessionLayer};
///
/// async fn hello(session: Session) -> String {
///     session.user_id().map_or("hello, guest".to_owned(), |user| format!("hello, {user}"))
/// }
///
/// let app: Router = Router::new()
///     .route("/", get(hello))
///     .layer(SessionLayer::new(MemoryStore::new()));
/// ```
impl<S: Sync> FromRequestParts<S> for Session {
    type Rejection = MissingSession;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, MissingSession> {
        Self::of(&parts.extensions)
    }
}

/// `Option<Session>` is `None` without a layer, and where `resolve_if` let the request pass.
///
/// A guest has a `Session` too. In an outage with [`OnOutage::Guest`](crate::OnOutage::Guest) it is
/// `Some` of an unavailable session.
///
/// ```
/// use tower_user_sessions::Session;
///
/// async fn page(session: Option<Session>) -> &'static str {
///     if session.is_some() { "with a session" } else { "without" }
/// }
/// # let _ = axum::Router::<()>::new().route("/", axum::routing::get(page));
/// ```
impl<S: Sync> OptionalFromRequestParts<S> for Session {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Option<Self>, Infallible> {
        Ok(parts.extensions.get().cloned())
    }
}
