//! Errors of handlers as axum responses.

use axum_core::{
    body::Body,
    response::{IntoResponse, Response},
};

use crate::{
    layer::Rejection,
    session::{CommitError, MissingSession, SessionError, UserSessionsError},
};

/// Not by its own `into_response`, which makes an empty body.
fn problem(error: impl Into<Rejection>) -> Response {
    error.into().into_problem(Body::from)
}

/// A problem document (`application/problem+json`, RFC 9457), see [`Problem`](crate::Problem).
impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        problem(self)
    }
}

/// The problem document of its [`Rejection`].
///
/// ```
/// use tower_user_sessions::{Session, SessionError};
///
/// async fn visits(session: Session) -> Result<String, SessionError> {
///     let visits: u32 = session.get("visits")?.unwrap_or(0) + 1;
///     session.insert("visits", &visits)?;
///     Ok(format!("{visits} visits"))
/// }
/// # let _ = axum::Router::<()>::new().route("/", axum::routing::get(visits));
/// ```
impl IntoResponse for SessionError {
    fn into_response(self) -> Response {
        problem(self)
    }
}

/// The problem document of its [`Rejection`]: 409 `limit_reached` with the sessions and a ticket, say.
///
/// ```
/// use tower_user_sessions::{CommitError, Session};
///
/// async fn store_now(session: Session) -> Result<&'static str, CommitError> {
///     session.commit().await?;
///     Ok("stored")
/// }
/// # let _ = axum::Router::<()>::new().route("/", axum::routing::post(store_now));
/// ```
impl IntoResponse for CommitError {
    fn into_response(self) -> Response {
        problem(self)
    }
}

/// The problem document of its [`Rejection`].
///
/// ```
/// use tower_user_sessions::{Session, UserSessionsError};
///
/// async fn devices(session: Session) -> Result<String, UserSessionsError> {
///     let Some(sessions) = session.user_sessions() else {
///         return Ok("nobody is signed in".to_owned());
///     };
///     Ok(format!("{} devices", sessions.count().await?))
/// }
/// # let _ = axum::Router::<()>::new().route("/", axum::routing::get(devices));
/// ```
impl IntoResponse for UserSessionsError {
    fn into_response(self) -> Response {
        problem(self)
    }
}

/// The problem document of its [`Rejection`]: 500 `no_session`. The log says what to change.
///
/// ```
/// use axum::extract::Request;
/// use tower_user_sessions::{MissingSession, Session};
///
/// async fn hello(request: Request) -> Result<&'static str, MissingSession> {
///     let session = Session::of(request.extensions())?;
///     Ok(if session.user_id().is_some() { "hello" } else { "hello, guest" })
/// }
/// # let _ = axum::Router::<()>::new().route("/", axum::routing::get(hello));
/// ```
impl IntoResponse for MissingSession {
    fn into_response(self) -> Response {
        problem(self)
    }
}
