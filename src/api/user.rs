//! [`User`] as an axum extractor.

use std::fmt;

use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use http::request::Parts;

use crate::{
    layer::{
        Rejection,
        form::Form,
        require::{session_of, user_of},
    },
    model::UserId,
};

/// The signed-in user, as an axum extractor. Guests do not reach a handler that takes it.
///
/// | request | answer |
/// |---|---|
/// | of a guest | 401 `not_signed_in`; if its session was ended, the `reason` says why, as [`Session::ended`](crate::Session::ended) does |
/// | in an outage, with [`OnOutage::Guest`](crate::OnOutage::Guest) | 503 `unavailable` |
/// | whose sign-in is staged and not [committed](crate::Session::commit) | as of a guest: the store may still refuse the sign-in |
/// | without a session: no layer, or `resolve_if` let it pass | 500 `no_session`; the log says what to change |
///
/// The answers are problem documents, see [`Problem`](crate::Problem), and gRPC statuses for gRPC. To
/// send browsers to a sign-in page instead, use [`RequireUser`](crate::RequireUser).
///
/// ```
/// use axum::{Router, routing::get};
/// use tower_user_sessions::{MemoryStore, SessionLayer, User};
///
/// async fn me(user: User) -> String {
///     user.id().to_string()
/// }
///
/// let app: Router = Router::new()
///     .route("/me", get(me))
///     .layer(SessionLayer::new(MemoryStore::new()));
/// ```
///
/// Take `Option<User>` where guests are welcome too. It is `None` for guests, and only for them: an
/// outage and a missing session are answered as above. A handler for guests can ask
/// [`Session::ended`](crate::Session::ended) why the previous session of the browser ended.
///
/// ```
/// use tower_user_sessions::User;
///
/// async fn hello(user: Option<User>) -> String {
///     user.map_or("hello, guest".to_owned(), |user| format!("hello, {user}"))
/// }
/// # let _ = axum::Router::<()>::new().route("/", axum::routing::get(hello));
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct User(UserId);

impl User {
    /// Returns the user's id.
    #[must_use]
    pub fn id(&self) -> &UserId {
        &self.0
    }
}

impl fmt::Display for User {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl From<User> for UserId {
    fn from(user: User) -> Self {
        user.0
    }
}

impl<S: Sync> FromRequestParts<S> for User {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Rejection> {
        let form = Form::of(&parts.method, &parts.headers);
        user_of("User", &parts.extensions)
            .map(Self)
            .map_err(|rejection| rejection.of_form(form))
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for User {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Option<Self>, Rejection> {
        let form = Form::of(&parts.method, &parts.headers);
        let session = session_of("Option<User>", &parts.extensions)
            .map_err(|rejection| rejection.of_form(form))?;
        Ok(session.stored_user().map(Self))
    }
}
