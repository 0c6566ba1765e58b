//! Errors of handlers as [`Rejection`]s: the same status and `reason` as the layer's own responses.

use std::error::Error;

use super::{
    mistake,
    reject::{Rejection, RejectionKind},
};
use crate::{
    session::{
        CommitError, Failures, MissingSession, Outage, SessionError, SessionErrorKind,
        UserSessionsError,
    },
    store::{StoreError, StoreErrorKind, in_full},
};

/// Failures of the store that handlers pass on. An error does not know its layer, so the process counts them.
static PASSED_ON: Failures<(&str, StoreErrorKind)> = Failures::new();

// Failures of the server are logged here, because no response carries their cause.
impl From<SessionError> for Rejection {
    /// 401 `not_signed_in` if there is no user or no stored session, if it has ended, or if guests may keep no data. 503
    /// `unavailable` in an outage, 413 `not_stored` over the data limit, 401 `no_ticket` for a made-up
    /// ticket. A value of another type, or a missing runtime, is 500 `not_read`. Everything else is 500
    /// `not_stored`.
    fn from(error: SessionError) -> Self {
        let kind = match error.kind() {
            SessionErrorKind::Ended
            | SessionErrorKind::GuestsOff
            | SessionErrorKind::NoSession
            | SessionErrorKind::NotSignedIn => {
                return Self::not_signed_in(None);
            }
            SessionErrorKind::Ticket => return Self::new(RejectionKind::NoTicket),
            SessionErrorKind::Decode | SessionErrorKind::NoRuntime => RejectionKind::NotRead,
            SessionErrorKind::TooLarge => RejectionKind::TooLarge,
            SessionErrorKind::Unavailable => {
                // Why is in the log since the layer asked the store.
                tracing::debug!(error = &error as &dyn Error, "session not changed or read");
                return Self::unavailable().detailed(in_full(&error));
            }
            SessionErrorKind::Closed
            | SessionErrorKind::Encode
            | SessionErrorKind::KeyTooLong
            | SessionErrorKind::Random
            | SessionErrorKind::SafeMethod
            | SessionErrorKind::UserId => RejectionKind::NotStored,
        };
        tracing::error!(error = &error as &dyn Error, "session not changed or read");
        Self::new(kind).detailed(in_full(&error))
    }
}

impl From<CommitError> for Rejection {
    /// A refused sign-in is 409 `limit_reached` with the sessions and the ticket, 403
    /// `sign_in_disabled`, or 401 `sign_in_void`, `sign_in_too_old` or `no_ticket`. A session that ended
    /// meanwhile is 401 `not_signed_in`: the client has to sign in again. So is a re-authentication that came too late after
    /// another one. Data over its limit is 413 `not_stored`. A
    /// store that does not answer and data that keeps changing are 503 `unavailable`. So is a guest session
    /// that a speculative request would begin: the browser then loads the page again when the user opens it.
    /// Everything else is 500 `not_stored`.
    fn from(error: CommitError) -> Self {
        let failed = match error {
            CommitError::Disabled => return Self::new(RejectionKind::Disabled),
            CommitError::Ended | CommitError::TokenReplaced => return Self::not_signed_in(None),
            CommitError::LimitReached(reached) => return Self::limit_reached(reached),
            CommitError::NoTicket => return Self::new(RejectionKind::NoTicket),
            CommitError::TooOld => return Self::new(RejectionKind::SignInTooOld),
            CommitError::Rejected => return Self::new(RejectionKind::SignInRejected),
            CommitError::Speculative => return Self::unavailable().detailed(in_full(&error)),
            CommitError::Store(ref store) => return not_committed(&error, store),
            CommitError::Conflict => Self::unavailable().detailed(in_full(&error)),
            CommitError::TooLarge => Self::new(RejectionKind::TooLarge).detailed(in_full(&error)),
            CommitError::Closed | CommitError::Update(_) => {
                Self::new(RejectionKind::NotStored).detailed(in_full(&error))
            }
        };
        tracing::error!(error = &error as &dyn Error, "session not committed");
        failed
    }
}

impl From<UserSessionsError> for Rejection {
    /// 401 `not_signed_in` if the caller's own session has ended. 403 `not_yours` for an id that is not
    /// this user's. 503 `unavailable` if the store does not answer.
    fn from(error: UserSessionsError) -> Self {
        match error {
            UserSessionsError::CallerEnded => Self::not_signed_in(None),
            UserSessionsError::Store(error) => {
                let what = "sessions not listed or ended";
                unanswered(PASSED_ON.due((what, error.kind())), &error, what)
            }
            UserSessionsError::Unknown => Self::new(RejectionKind::NotYours),
        }
    }
}

impl From<StoreError> for Rejection {
    /// 503 `unavailable`: the store does not answer a call of [`Everyone`](crate::Everyone).
    fn from(error: StoreError) -> Self {
        UserSessionsError::from(error).into()
    }
}

impl From<MissingSession> for Rejection {
    /// 500 `no_session`. The log says what to change.
    fn from(missing: MissingSession) -> Self {
        mistake::missing_session("Session", missing)
    }
}

/// The answer where the store did not answer a request of this layer.
pub(super) fn unresolved(outage: &Outage, error: &StoreError, what: &'static str) -> Rejection {
    unanswered(outage.failed(what, error.kind()), error, what)
}

/// The same, with a warning that says what to look at if a line about it is due.
fn unanswered(due: Option<u64>, error: &StoreError, what: &'static str) -> Rejection {
    let (kind, advice) = (error.kind(), mistake::advice(error));
    if let Some(failed) = due {
        tracing::warn!(
            error = error as &dyn Error,
            ?kind,
            failed,
            "{what}: {advice}"
        );
    } else {
        tracing::debug!(error = error as &dyn Error, ?kind, "{what}");
    }
    mistake::outage(error)
}

/// The same for changes, which are lost.
fn not_committed(error: &CommitError, store: &StoreError) -> Rejection {
    let (what, kind) = ("session not committed", store.kind());
    if let Some(failed) = PASSED_ON.due((what, kind)) {
        tracing::error!(error = error as &dyn Error, ?kind, failed, "{what}");
    } else {
        tracing::debug!(error = error as &dyn Error, ?kind, "{what}");
    }
    mistake::outage(store)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http::{Request, Response};
    use tower::{ServiceExt, service_fn};
    use tower_layer::Layer;

    use crate::{
        layer::SessionLayer,
        model::{Tag, Token, clock::Monotonic},
        store::{MemoryStore, StoreErrorKind},
    };

    #[tokio::test]
    async fn the_first_answer_of_the_store_ten_seconds_after_the_last_failure_ends_the_outage() {
        let echo = service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(())));
        let service = SessionLayer::new(MemoryStore::new()).layer(echo);
        let outage = &service.config.rules.outage;
        let now = Monotonic::now().as_millis();
        let is_open_after = async |failed| {
            outage.failed_at("session not resolved", StoreErrorKind::Timeout, failed);
            let token = Token::random(Tag::random().unwrap()).unwrap().encode();
            let request = Request::builder().header("cookie", format!("__Host-session={token}"));
            let request = request.body(()).unwrap();
            service.clone().oneshot(request).await.unwrap();
            outage.is_open()
        };

        assert!(is_open_after(now).await);
        assert!(!is_open_after(now - 10_000).await);
    }
}
