//! The session of a request, where it may be missing.

use std::{error, fmt};

use http::Extensions;

use super::Session;
use crate::request::passed;

impl Session {
    /// The session of a request, from the request's extensions.
    ///
    /// For services and middleware that are not axum handlers. In axum take [`Session`] as an argument.
    ///
    /// ```
    /// use http::Request;
    /// use tower_user_sessions::{MissingSession, Session};
    ///
    /// fn user_of<B>(request: &Request<B>) -> Result<String, MissingSession> {
    ///     let session = Session::of(request.extensions())?;
    ///     Ok(session.user_id().map_or("a guest".to_owned(), |user| user.to_string()))
    /// }
    ///
    /// // No layer saw this request.
    /// assert_eq!(user_of(&Request::new(())), Err(MissingSession::NoLayer));
    /// ```
    ///
    /// # Errors
    ///
    /// If there is no [`SessionLayer`](crate::SessionLayer) outside of the caller, or its `resolve_if`
    /// let the request pass. The error says which of the two.
    pub fn of(extensions: &Extensions) -> Result<Self, MissingSession> {
        if let Some(session) = extensions.get::<Self>() {
            return Ok(session.clone());
        }
        Err(if passed::is_set() {
            MissingSession::NotResolved
        } else {
            MissingSession::NoLayer
        })
    }
}

/// A handler asked for the [`Session`] and the request has none: a mistake in the app's setup.
///
/// Its text says what to change. As a response it is a 500.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MissingSession {
    /// There is no `SessionLayer` outside of this handler.
    NoLayer,
    /// The layer's `resolve_if` let this request pass.
    NotResolved,
}

impl fmt::Display for MissingSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoLayer => {
                "no `SessionLayer` on this route: add `.layer(SessionLayer::new(store))` outside of it"
            }
            Self::NotResolved => {
                "no session on this route: `resolve_if` let the request pass; return true for its path"
            }
        })
    }
}

impl error::Error for MissingSession {}
