//! Failures of ours become responses, by a policy that can be replaced.

use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Method, Request, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER},
};

use super::problem;
use crate::session::{LimitReached, SessionInfo, Verdict};

/// Parsed once: the status of every response is looked at.
static GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// Why the layer answers instead of the service, or in place of its answer.
#[derive(Clone, Debug)]
pub struct Rejection {
    kind: RejectionKind,
    grpc: bool,
    sessions: Vec<SessionInfo>,
}

/// Why the layer answers.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum RejectionKind {
    /// The user has as many sessions as the limit allows, and it refuses more.
    LimitReached,
    /// What the handler staged cannot be stored, whatever the store's state.
    NotStored,
    /// The sign-in was authenticated before the user's sessions were ended.
    SignInVoid,
    /// The store did not answer.
    Unavailable,
}

impl Rejection {
    fn new(kind: RejectionKind) -> Self {
        Self {
            kind,
            grpc: false,
            sessions: Vec::new(),
        }
    }

    pub(super) fn unavailable() -> Self {
        Self::new(RejectionKind::Unavailable)
    }

    pub(super) fn sign_in_void() -> Self {
        Self::new(RejectionKind::SignInVoid)
    }

    pub(super) fn not_stored() -> Self {
        Self::new(RejectionKind::NotStored)
    }

    pub(super) fn limit_reached(reached: LimitReached) -> Self {
        Self {
            sessions: reached.sessions,
            ..Self::new(RejectionKind::LimitReached)
        }
    }

    pub(super) fn for_grpc(mut self, grpc: bool) -> Self {
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

    /// The HTTP status that fits: 409, 500, 401 or 503.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self.kind {
            RejectionKind::LimitReached => StatusCode::CONFLICT,
            RejectionKind::NotStored => StatusCode::INTERNAL_SERVER_ERROR,
            RejectionKind::SignInVoid => StatusCode::UNAUTHORIZED,
            RejectionKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The code for machines, as in the `reason` of a problem.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self.kind {
            RejectionKind::LimitReached => "limit_reached",
            RejectionKind::NotStored => "not_stored",
            RejectionKind::SignInVoid => "sign_in_void",
            RejectionKind::Unavailable => "unavailable",
        }
    }

    fn title(&self) -> &'static str {
        match self.kind {
            RejectionKind::LimitReached => "Too many sessions",
            RejectionKind::NotStored => "Session not stored",
            RejectionKind::SignInVoid => "Sign in again",
            RejectionKind::Unavailable => "Sessions are unavailable",
        }
    }

    fn grpc_status(&self) -> HeaderValue {
        HeaderValue::from_static(match self.kind {
            // Resource exhausted, internal, unauthenticated, unavailable.
            RejectionKind::LimitReached => "8",
            RejectionKind::NotStored => "13",
            RejectionKind::SignInVoid => "16",
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
        if self.grpc {
            return self.head(body(Bytes::new()));
        }
        let bytes = problem::body(self.status(), self.title(), self.reason());
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
            let grpc = HeaderValue::from_static("application/grpc");
            headers.insert(CONTENT_TYPE, grpc);
            headers.insert(&GRPC_STATUS, self.grpc_status());
            return response;
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

/// Whether the request is gRPC, which is always POST (not gRPC-Web, whose clients read HTTP statuses).
pub(super) fn is_grpc<B>(request: &Request<B>) -> bool {
    *request.method() == Method::POST
        && request
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.as_bytes().strip_prefix(b"application/grpc"))
            .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// Whether the service's answer lets sign-ins and data be stored.
pub(super) fn verdict<B>(response: &Response<B>) -> Verdict {
    // 408 is what a timeout inside the layer answers for a handler that it aborted.
    let failed = response.status().is_server_error()
        || response.status() == StatusCode::REQUEST_TIMEOUT
        || response
            .headers()
            .get(&GRPC_STATUS)
            .is_some_and(|code| FAILED.iter().any(|failed| code == failed));
    if failed {
        Verdict::OnlyEnds
    } else {
        Verdict::Store
    }
}

/// Cancelled, unknown, deadline exceeded, internal, unavailable, data loss.
const FAILED: [&str; 6] = ["1", "2", "4", "13", "14", "15"];
