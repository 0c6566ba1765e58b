//! Errors of handlers as gRPC statuses: the same code and `reason` as the layer's own responses.

use tonic::{Code, Status};

use super::{grpc, reject::Rejection};
use crate::session::{CommitError, MissingSession, SessionError, UserSessionsError};

impl From<Rejection> for Status {
    /// The code that the layer answers with, and the [`reason`](Rejection::reason) as the message.
    ///
    /// So `?` works in tonic handlers, with [`SessionError`], [`CommitError`], [`UserSessionsError`] and
    /// [`MissingSession`]:
    ///
    /// ```
    /// use tonic::{Request, Response, Status};
    /// use tower_user_sessions::Session;
    ///
    /// async fn sign_in(request: Request<String>) -> Result<Response<()>, Status> {
    ///     let session = Session::of(request.extensions())?;
    ///     session.log_in(42)?;
    ///     session.commit().await?;
    ///     Ok(Response::new(()))
    /// }
    ///
    /// # tokio_test::block_on(async {
    /// let status = sign_in(Request::new("no layer".to_owned())).await.unwrap_err();
    /// assert_eq!(status.code(), tonic::Code::Internal);
    /// assert_eq!(status.message(), "no_session");
    /// # });
    /// ```
    fn from(rejection: Rejection) -> Self {
        let code = Code::from_i32(grpc::code(rejection.kind()));
        Self::new(code, rejection.reason())
    }
}

impl From<SessionError> for Status {
    /// As the [`Rejection`] of this error.
    fn from(error: SessionError) -> Self {
        Rejection::from(error).into()
    }
}

impl From<CommitError> for Status {
    /// As the [`Rejection`] of this error.
    fn from(error: CommitError) -> Self {
        Rejection::from(error).into()
    }
}

impl From<UserSessionsError> for Status {
    /// As the [`Rejection`] of this error.
    fn from(error: UserSessionsError) -> Self {
        Rejection::from(error).into()
    }
}

impl From<MissingSession> for Status {
    /// As the [`Rejection`] of this error.
    fn from(missing: MissingSession) -> Self {
        Rejection::from(missing).into()
    }
}
