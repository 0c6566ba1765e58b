//! Failures of ours become responses, by a policy that can be replaced.

use std::time::Duration;

use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE},
};

use super::{
    grpc,
    problem::{self, Chosen, Details, EndDetails},
};
use crate::{
    model::EndNotice,
    session::{LimitReached, SessionInfo, Ticket},
};

static GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// Why a layer answers instead of the service, or in place of its answer.
#[derive(Clone, Debug)]
pub struct Rejection {
    kind: RejectionKind,
    grpc: bool,
    // Boxed, so that a refusal stays small: most have none.
    ended: Option<Box<EndNotice>>,
    login: Option<HeaderValue>,
    /// How old a sign-in may be, in seconds.
    max_age: Option<u64>,
    sessions: Vec<SessionInfo>,
    ticket: Option<Box<Ticket>>,
}

/// Why a layer answers.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum RejectionKind {
    /// The user may not sign in for now.
    Disabled,
    /// The user has as many sessions as the limit allows, and it refuses more.
    LimitReached,
    /// There is no `Session` to ask: a mistake of the app's.
    NoSession,
    /// The ticket of a refused sign-in is good no longer.
    NoTicket,
    /// The request is a guest's, and the route is for users.
    NotSignedIn,
    /// What the handler staged cannot be stored, whatever the store's state.
    NotStored,
    /// The sign-in was authenticated before the user's sessions were ended.
    SignInRejected,
    /// The user has to prove again who they are.
    StaleSignIn,
    /// The store did not answer.
    Unavailable,
}

impl Rejection {
    fn new(kind: RejectionKind) -> Self {
        Self {
            kind,
            grpc: false,
            ended: None,
            login: None,
            max_age: None,
            sessions: Vec::new(),
            ticket: None,
        }
    }

    pub(crate) fn unavailable() -> Self {
        Self::new(RejectionKind::Unavailable)
    }

    pub(super) fn sign_in_rejected() -> Self {
        Self::new(RejectionKind::SignInRejected)
    }

    pub(super) fn disabled() -> Self {
        Self::new(RejectionKind::Disabled)
    }

    pub(super) fn no_ticket() -> Self {
        Self::new(RejectionKind::NoTicket)
    }

    pub(super) fn not_stored() -> Self {
        Self::new(RejectionKind::NotStored)
    }

    pub(crate) fn no_session() -> Self {
        Self::new(RejectionKind::NoSession)
    }

    /// With the notice of the session that the guest had, if it ended.
    pub(crate) fn not_signed_in(ended: Option<EndNotice>) -> Self {
        Self {
            ended: ended.map(Box::new),
            ..Self::new(RejectionKind::NotSignedIn)
        }
    }

    /// Sends a browser to the page on which people sign in.
    pub(super) fn to_sign_in(login: HeaderValue) -> Self {
        Self {
            login: Some(login),
            ..Self::new(RejectionKind::NotSignedIn)
        }
    }

    /// Sends a user's browser to the page where they prove again who they are.
    pub(super) fn to_prove(page: HeaderValue) -> Self {
        Self {
            login: Some(page),
            ..Self::new(RejectionKind::StaleSignIn)
        }
    }

    /// Asks a user to prove again who they are.
    pub(crate) fn stale(within: Duration) -> Self {
        Self {
            max_age: Some(within.as_secs()),
            ..Self::new(RejectionKind::StaleSignIn)
        }
    }

    pub(super) fn limit_reached(reached: LimitReached) -> Self {
        Self {
            sessions: reached.sessions,
            ticket: reached.ticket.map(Box::new),
            ..Self::new(RejectionKind::LimitReached)
        }
    }

    pub(crate) fn for_grpc(mut self, grpc: bool) -> Self {
        self.grpc = grpc;
        self
    }

    /// Why the layer answers.
    #[must_use]
    pub fn kind(&self) -> RejectionKind {
        self.kind
    }

    /// Whether the request was gRPC, which wants `grpc-status` rather than a status.
    #[must_use]
    pub fn is_grpc(&self) -> bool {
        self.grpc
    }

    /// The sessions that fill the limit, for a picker; empty for any other kind.
    #[must_use]
    pub fn sessions(&self) -> &[SessionInfo] {
        &self.sessions
    }

    /// What the client may come back with once it has chosen one of them.
    #[must_use]
    pub fn ticket(&self) -> Option<&Ticket> {
        self.ticket.as_deref()
    }

    /// Why the session ended that this guest had, if one did.
    #[must_use]
    pub fn ended(&self) -> Option<&EndNotice> {
        self.ended.as_deref()
    }

    /// Where a browser is sent to sign in, if it is.
    #[must_use]
    pub fn location(&self) -> Option<&HeaderValue> {
        self.login.as_ref()
    }

    /// The HTTP status that fits: 409, 403, 500, 401 or 503, and 303 where a browser is sent to sign in.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        if self.login.is_some() {
            return StatusCode::SEE_OTHER;
        }
        match self.kind {
            RejectionKind::Disabled => StatusCode::FORBIDDEN,
            RejectionKind::LimitReached => StatusCode::CONFLICT,
            RejectionKind::NoSession | RejectionKind::NotStored => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
            RejectionKind::NoTicket
            | RejectionKind::NotSignedIn
            | RejectionKind::SignInRejected
            | RejectionKind::StaleSignIn => StatusCode::UNAUTHORIZED,
            RejectionKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The code for machines, as in the `reason` of a problem: of a session that ended, why.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        if let Some(ended) = &self.ended {
            return ended.reason.as_str();
        }
        match self.kind {
            RejectionKind::Disabled => "sign_in_disabled",
            RejectionKind::LimitReached => "limit_reached",
            RejectionKind::NoSession => "no_session",
            RejectionKind::NoTicket => "no_ticket",
            RejectionKind::NotSignedIn => "not_signed_in",
            RejectionKind::NotStored => "not_stored",
            RejectionKind::SignInRejected => "sign_in_void",
            RejectionKind::StaleSignIn => "insufficient_user_authentication",
            RejectionKind::Unavailable => "unavailable",
        }
    }

    fn title(&self) -> &'static str {
        match self.kind {
            RejectionKind::Disabled => "Sign-in disabled",
            RejectionKind::LimitReached => "Too many sessions",
            RejectionKind::NoSession => "Internal server error",
            RejectionKind::NotSignedIn => "Not signed in",
            RejectionKind::NotStored => "Session not stored",
            RejectionKind::NoTicket | RejectionKind::SignInRejected => "Sign in again",
            RejectionKind::StaleSignIn => "Prove who you are again",
            RejectionKind::Unavailable => "Sessions are unavailable",
        }
    }

    fn grpc_status(&self) -> HeaderValue {
        HeaderValue::from_static(match self.kind {
            // Permission denied, resource exhausted, internal, unauthenticated, unavailable.
            RejectionKind::Disabled => "7",
            RejectionKind::LimitReached => "8",
            RejectionKind::NoSession | RejectionKind::NotStored => "13",
            RejectionKind::NoTicket
            | RejectionKind::NotSignedIn
            | RejectionKind::SignInRejected
            | RejectionKind::StaleSignIn => "16",
            RejectionKind::Unavailable => "14",
        })
    }

    /// Status and headers with an empty body; for gRPC a trailers-only response.
    #[must_use]
    pub fn into_response<B: Default>(self) -> Response<B> {
        self.head(B::default())
    }

    /// `application/problem+json` (RFC 9457) in a body made by `body`; for gRPC a trailers-only
    /// response.
    #[must_use]
    pub fn into_problem<B>(self, body: impl FnOnce(Bytes) -> B) -> Response<B> {
        if self.grpc || self.login.is_some() {
            return self.head(body(Bytes::new()));
        }
        let details = Details {
            ended: self.ended.as_deref().map(EndDetails::from),
            max_age: self.max_age,
            ticket: self.ticket.as_deref().map(Ticket::encode),
            sessions: self.sessions.iter().map(Chosen::from).collect(),
        };
        let bytes = problem::body(self.status(), self.title(), self.reason(), details);
        let mut response = self.head(body(bytes));
        let json = HeaderValue::from_static(problem::CONTENT_TYPE);
        response.headers_mut().insert(CONTENT_TYPE, json);
        response
    }

    fn head<B>(&self, body: B) -> Response<B> {
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.grpc {
            let kind = HeaderValue::from_static("application/grpc");
            headers.insert(CONTENT_TYPE, kind);
            headers.insert(&grpc::STATUS, self.grpc_status());
            headers.insert(&GRPC_MESSAGE, HeaderValue::from_static(self.reason()));
            return response;
        }
        if let Some(login) = &self.login {
            headers.insert(LOCATION, login.clone());
        }
        if let Some(max_age) = self.max_age {
            // RFC 9470 §3.
            let challenge = format!(
                "Bearer error=\"insufficient_user_authentication\", \
                 error_description=\"A more recent authentication is required\", \
                 max_age=\"{max_age}\""
            );
            if let Ok(challenge) = HeaderValue::try_from(challenge) {
                headers.insert(WWW_AUTHENTICATE, challenge);
            }
        }
        if self.kind == RejectionKind::Unavailable {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        *response.status_mut() = self.status();
        response
    }
}

/// Makes responses of rejections, in the service's own body type.
///
/// A function of a [`Rejection`] is one too.
#[diagnostic::on_unimplemented(
    message = "`{Self}` makes no responses with a body of the type `{B}`",
    label = "not a `Reply<{B}>`",
    note = "`Bare` needs a body type that is `Default`, `Problem` one that is `From<Bytes>`",
    note = "for any other body: `reply_with(|rejection| rejection.into_problem(|bytes| …))`"
)]
pub trait Reply<B> {
    /// The response.
    fn reply(&self, rejection: Rejection) -> Response<B>;
}

/// Answers with status and headers, and an empty body: the default.
#[derive(Clone, Copy, Debug, Default)]
#[expect(
    clippy::exhaustive_structs,
    reason = "named in the place where it is used"
)]
pub struct Bare;

#[diagnostic::do_not_recommend]
impl<B: Default> Reply<B> for Bare {
    fn reply(&self, rejection: Rejection) -> Response<B> {
        rejection.into_response()
    }
}

/// Answers with `application/problem+json` (RFC 9457).
#[derive(Clone, Copy, Debug, Default)]
#[expect(
    clippy::exhaustive_structs,
    reason = "named in the place where it is used"
)]
pub struct Problem;

#[diagnostic::do_not_recommend]
impl<B: From<Bytes>> Reply<B> for Problem {
    fn reply(&self, rejection: Rejection) -> Response<B> {
        rejection.into_problem(B::from)
    }
}

impl<F, B> Reply<B> for F
where
    F: Fn(Rejection) -> Response<B>,
{
    fn reply(&self, rejection: Rejection) -> Response<B> {
        self(rejection)
    }
}
