//! [`User`] as an axum extractor.

use axum_core::{
    body::Body,
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use http::request::Parts;

use crate::{
    layer::{Rejection, grpc::is_grpc, require::user_of},
    model::UserId,
};

/// The signed-in user, as an axum extractor: a handler that takes it is never reached by guests.
///
/// Guests are answered as [`RequireUser`](crate::RequireUser) does with
/// [`Problem`](crate::Problem), without its redirect.
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
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct User(UserId);

impl User {
    /// Who it is.
    #[must_use]
    pub fn id(&self) -> &UserId {
        &self.0
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
        let grpc = is_grpc(&parts.method, &parts.headers);
        user_of(parts.extensions.get())
            .map(Self)
            .map_err(|rejection| rejection.for_grpc(grpc))
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        self.into_problem(Body::from)
    }
}
