//! [`Session`] as an axum extractor.

use std::{error, fmt};

use axum_core::{
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use http::{StatusCode, request::Parts};

use crate::{layer::passed, session::Session};

impl<S: Sync> FromRequestParts<S> for Session {
    type Rejection = MissingSession;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        if let Some(session) = parts.extensions.get::<Self>() {
            return Ok(session.clone());
        }
        let missing = if passed::is_set() {
            MissingSession::NotResolved
        } else {
            MissingSession::NoLayer
        };
        tracing::error!("{missing}");
        Err(missing)
    }
}

/// A handler asked for a `Session` and there was none: answered with 500, for it is a mistake of the
/// app's. The log says which.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MissingSession {
    /// There is no `SessionLayer` around this handler.
    NoLayer,
    /// The layer's `resolve_if` let this request pass.
    NotResolved,
}

impl fmt::Display for MissingSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoLayer => {
                "no session: there is no SessionLayer around this handler; add one with `.layer(…)` after its route"
            }
            Self::NotResolved => {
                "no session: the SessionLayer's `resolve_if` let this request pass; let it resolve this path"
            }
        })
    }
}

impl error::Error for MissingSession {}

impl IntoResponse for MissingSession {
    fn into_response(self) -> Response {
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    }
}
