//! Errors of handlers as gRPC statuses: the same code and `reason` as the layer's own responses.

use tonic::{Code, Status};

use super::{grpc, reject::Rejection};
use crate::session::{CommitError, MissingSession, SessionError, UserSessionsError};

impl From<Rejection> for Status {
    /// The status that the layer answers with, and the [`reason`](Rejection::reason) as its message.
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
