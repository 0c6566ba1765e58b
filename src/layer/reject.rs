//! [`Rejection`]: why the layer answers instead of the service.

use std::time::Duration;

use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Response, StatusCode,
    header::{
        CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE,
        X_CONTENT_TYPE_OPTIONS,
    },
};

use super::{
    form::Form,
    grpc,
    problem::{self, Chosen, Details, EndDetails},
};
use crate::{
    model::EndNotice,
    session::{LimitReached, SessionInfo, Ticket},
};

static GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// Why the layer, a guard or an extractor answers instead of your service.
///
/// You meet it in a [`Reply`](super::Reply) of your own. In axum it is also the error type for handlers
/// in which several things can fail: `?` turns [`SessionError`](crate::SessionError),
/// [`CommitError`](crate::CommitError), [`UserSessionsError`](crate::UserSessionsError) and
/// [`MissingSession`](crate::MissingSession) into it.
///
/// | kind | status | `reason` | gRPC |
/// |---|---|---|---|
/// | [`Disabled`](RejectionKind::Disabled) | 403 | `sign_in_disabled` | `PERMISSION_DENIED` |
/// | [`LimitReached`](RejectionKind::LimitReached) | 409 | `limit_reached` | `RESOURCE_EXHAUSTED` |
/// | [`NoSession`](RejectionKind::NoSession) | 500 | `no_session` | `INTERNAL` |
/// | [`NotRead`](RejectionKind::NotRead) | 500 | `not_read` | `INTERNAL` |
/// | [`NotSignedIn`](RejectionKind::NotSignedIn) | 401, or 303 to the sign-in page | `not_signed_in`, or why the session ended | `UNAUTHENTICATED` |
/// | [`NotStored`](RejectionKind::NotStored) | 500 | `not_stored` | `INTERNAL` |
/// | [`NotYours`](RejectionKind::NotYours) | 403 | `not_yours` | `PERMISSION_DENIED` |
/// | [`NoTicket`](RejectionKind::NoTicket) | 401 | `no_ticket` | `UNAUTHENTICATED` |
/// | [`SignInRejected`](RejectionKind::SignInRejected) | 401 | `sign_in_void` | `UNAUTHENTICATED` |
/// | [`SignInTooOld`](RejectionKind::SignInTooOld) | 401 | `sign_in_too_old` | `UNAUTHENTICATED` |
/// | [`StaleSignIn`](RejectionKind::StaleSignIn) | 401, or 303 to the page that asks again | `insufficient_user_authentication` | `UNAUTHENTICATED` |
/// | [`TooLarge`](RejectionKind::TooLarge) | 413 | `not_stored` | `INTERNAL` |
/// | [`Unavailable`](RejectionKind::Unavailable) | 503 with `Retry-After` | `unavailable` | `UNAVAILABLE` |
///
/// Why a session ended is one of `administrator`, `client_changed`, `credentials_changed`, `disabled`, `everyone`, `evicted`,
/// `expired`, `identity_provider`, `logged_out`, `replaced`, `revoked`, `token_reuse`: see [`EndReason`](crate::EndReason).
///
/// Each 401 that passes a [`SessionLayer`](super::SessionLayer) says in `WWW-Authenticate` what the layer reads:
/// `Bearer realm="session"`, or `Cookie cookie-name="__Host-session"` if it reads cookies only. Your own 401s get
/// it too, unless they have the header. gRPC responses do not. A step-up (`StaleSignIn`) has the challenge of RFC 9470 instead,
/// `Bearer error="insufficient_user_authentication"`, also if the layer reads cookies only: the RFC knows no other scheme.
///
/// ```
/// # #[cfg(feature = "axum")] {
/// use tower_user_sessions::{Rejection, Session};
///
/// async fn sign_out_others(session: Session) -> Result<String, Rejection> {
///     session.insert("last_action", "sign out others")?;
///     session.commit().await?;
///     let Some(sessions) = session.user_sessions() else {
///         return Ok("nobody is signed in".to_owned());
///     };
///     Ok(format!("{} ended", sessions.end_others().await?))
/// }
/// # let _ = axum::Router::<()>::new().route("/", axum::routing::post(sign_out_others));
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Rejection {
    kind: RejectionKind,
    form: Form,
    // Boxed, so that a refusal stays small: most have none.
    ended: Option<Box<EndNotice>>,
    location: Option<HeaderValue>,
    /// How old a sign-in may be, in seconds.
    max_age: Option<u64>,
    sessions: Vec<SessionInfo>,
    ticket: Option<Box<Ticket>>,
    /// What the app's developer should change or look at.
    detail: Option<Box<str>>,
}

/// Why the layer answers. [`Rejection`] has the status and `reason` of each.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum RejectionKind {
    /// The app has disabled the user's sign-ins for now.
    Disabled,
    /// The user has as many sessions as the limit allows, and the limit refuses more.
    LimitReached,
    /// The request has no `Session`: a mistake in the app's setup. The log says what to change.
    NoSession,
    /// The stored value has another type than the handler asked for, or the handler watches a session outside of a tokio
    /// runtime.
    NotRead,
    /// The ticket of a refused sign-in was used, its five minutes are over, four newer ones replaced it, or it is made up.
    NoTicket,
    /// Nobody is signed in, and the route is for users. Or the session has ended meanwhile, or guests may keep no data.
    NotSignedIn,
    /// The handler's changes cannot be stored, even if the store works. Or the response was already sent.
    NotStored,
    /// The user has no session with this id.
    NotYours,
    /// The user's sessions were all ended after this sign-in was authenticated.
    SignInRejected,
    /// The first step of this sign-in was a day ago or earlier.
    SignInTooOld,
    /// The user signed in too long ago and has to prove again who they are. Or the client changed since then, and the app's
    /// [`on_client_changed`](super::SessionLayer::on_client_changed) asks for that.
    StaleSignIn,
    /// The session's data is over its limit.
    TooLarge,
    /// The store did not answer, or parallel requests kept changing the data of an update. Or the request is speculative, and
    /// its data would begin a guest session.
    Unavailable,
}

impl Rejection {
    pub(super) fn new(kind: RejectionKind) -> Self {
        Self {
            kind,
            form: Form::Whole,
            ended: None,
            location: None,
            max_age: None,
            sessions: Vec::new(),
            ticket: None,
            detail: None,
        }
    }

    pub(crate) fn unavailable() -> Self {
        Self::new(RejectionKind::Unavailable)
    }

    pub(super) fn no_session() -> Self {
        Self::new(RejectionKind::NoSession)
    }

    /// With the notice of the session that the guest had, if it ended.
    pub(crate) fn not_signed_in(ended: Option<EndNotice>) -> Self {
        Self {
            ended: ended.map(Box::new),
            ..Self::new(RejectionKind::NotSignedIn)
        }
    }

    /// For a call whose session ended. `expired` is the notice if it expired.
    #[cfg(feature = "live")]
    pub(super) fn of_end(end: crate::session::LiveEnd, expired: Option<EndNotice>) -> Self {
        match end {
            crate::session::LiveEnd::Ended(notice) => Self::not_signed_in(notice),
            crate::session::LiveEnd::Expired => Self::not_signed_in(expired),
            crate::session::LiveEnd::OutOfSight => Self::unavailable(),
        }
    }

    /// Sends a browser to the page on which users sign in.
    pub(super) fn to_sign_in(page: HeaderValue) -> Self {
        Self {
            location: Some(page),
            ..Self::new(RejectionKind::NotSignedIn)
        }
    }

    /// Sends a user's browser to the page on which they prove again who they are.
    pub(super) fn to_prove(page: HeaderValue) -> Self {
        Self {
            location: Some(page),
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

    pub(crate) fn of_form(mut self, form: Form) -> Self {
        self.form = form;
        self
    }

    pub(super) fn detailed(mut self, detail: impl Into<Box<str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Returns why the layer answers.
    #[must_use]
    pub fn kind(&self) -> RejectionKind {
        self.kind
    }

    /// Returns whether the request was gRPC. Its clients read `grpc-status` instead of the HTTP status.
    #[must_use]
    pub fn is_grpc(&self) -> bool {
        self.form == Form::Grpc
    }

    /// Returns whether the request was `HEAD`. Its response has no body.
    #[must_use]
    pub fn is_head(&self) -> bool {
        self.form == Form::Head
    }

    /// Returns the sessions whose end makes room, so that the user can choose one to end.
    ///
    /// Empty for every kind but [`RejectionKind::LimitReached`].
    #[must_use]
    pub fn sessions(&self) -> &[SessionInfo] {
        &self.sessions
    }

    /// Returns the ticket that the client sends back with its choice, see
    /// [`Login::by_ticket`](crate::Login::by_ticket).
    #[must_use]
    pub fn ticket(&self) -> Option<&Ticket> {
        self.ticket.as_deref()
    }

    /// Returns why and when the client's previous session ended, if it did.
    #[must_use]
    pub fn ended(&self) -> Option<&EndNotice> {
        self.ended.as_deref()
    }

    /// Returns the page that the browser is sent to, if it is.
    #[must_use]
    pub fn location(&self) -> Option<&HeaderValue> {
        self.location.as_ref()
    }

    /// Returns what to change in the app or to look at, for its developer.
    ///
    /// Always `None` in release builds: there only the log says it.
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        self.detail.as_deref().filter(|_| cfg!(debug_assertions))
    }

    /// Returns the HTTP status of this kind, or 303 if the browser is sent to another page.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        if self.location.is_some() {
            return StatusCode::SEE_OTHER;
        }
        match self.kind {
            RejectionKind::Disabled | RejectionKind::NotYours => StatusCode::FORBIDDEN,
            RejectionKind::LimitReached => StatusCode::CONFLICT,
            RejectionKind::NoSession | RejectionKind::NotRead | RejectionKind::NotStored => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
            RejectionKind::NoTicket
            | RejectionKind::NotSignedIn
            | RejectionKind::SignInRejected
            | RejectionKind::SignInTooOld
            | RejectionKind::StaleSignIn => StatusCode::UNAUTHORIZED,
            RejectionKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            RejectionKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Returns the code that programs read, the `reason` of a problem document.
    ///
    /// If the client's previous session ended for a reason, it is that reason's code, such as `evicted`.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        if let Some(ended) = &self.ended {
            return ended.reason.as_str();
        }
        match self.kind {
            RejectionKind::Disabled => "sign_in_disabled",
            RejectionKind::LimitReached => "limit_reached",
            RejectionKind::NoSession => "no_session",
            RejectionKind::NotRead => "not_read",
            RejectionKind::NoTicket => "no_ticket",
            RejectionKind::NotSignedIn => "not_signed_in",
            RejectionKind::NotStored | RejectionKind::TooLarge => "not_stored",
            RejectionKind::NotYours => "not_yours",
            RejectionKind::SignInRejected => "sign_in_void",
            RejectionKind::SignInTooOld => "sign_in_too_old",
            RejectionKind::StaleSignIn => "insufficient_user_authentication",
            RejectionKind::Unavailable => "unavailable",
        }
    }

    fn title(&self) -> &'static str {
        match self.kind {
            RejectionKind::Disabled => "Sign-in disabled",
            RejectionKind::LimitReached => "Too many sessions",
            RejectionKind::NoSession | RejectionKind::NotRead => "Internal server error",
            RejectionKind::NotSignedIn => "Not signed in",
            RejectionKind::NotStored | RejectionKind::TooLarge => "Session not stored",
            RejectionKind::NotYours => "Not your session",
            RejectionKind::NoTicket
            | RejectionKind::SignInRejected
            | RejectionKind::SignInTooOld => "Sign in again",
            RejectionKind::StaleSignIn => "Prove who you are again",
            RejectionKind::Unavailable => "Sessions are unavailable",
        }
    }

    /// Makes a response with status and headers and an empty body; for gRPC a trailers-only response.
    #[must_use]
    pub fn into_response<B: Default>(self) -> Response<B> {
        self.head(B::default())
    }

    /// Makes a problem document (`application/problem+json`, RFC 9457) in a body that `body` makes, with
    /// `X-Content-Type-Options: nosniff` (ASVS 3.4.4); for gRPC a trailers-only response, and for a redirect an empty body.
    ///
    /// For `HEAD` the body is empty too, and `Content-Length` is that of the document: remove it if you put another body in its
    /// place for other methods.
    #[must_use]
    pub fn into_problem<B>(self, body: impl FnOnce(Bytes) -> B) -> Response<B> {
        if self.is_grpc() || self.location.is_some() {
            return self.head(body(Bytes::new()));
        }
        let details = Details {
            detail: self.detail().map(ToOwned::to_owned),
            ended: self.ended.as_deref().map(EndDetails::from),
            max_age: self.max_age,
            ticket: self.ticket.as_deref().map(Ticket::encode),
            sessions: self.sessions.iter().map(Chosen::from).collect(),
        };
        let bytes = problem::body(self.status(), self.title(), self.reason(), details);
        let length = HeaderValue::from(bytes.len());
        // hyper leaves the content out over HTTP/1 only.
        let content = if self.is_head() { Bytes::new() } else { bytes };
        let mut response = self.head(body(content));
        let headers = response.headers_mut();
        if self.is_head() {
            headers.insert(CONTENT_LENGTH, length);
        }
        let json = HeaderValue::from_static(problem::CONTENT_TYPE);
        headers.insert(CONTENT_TYPE, json);
        headers.insert(X_CONTENT_TYPE_OPTIONS, problem::NOSNIFF);
        response
    }

    fn head<B>(&self, body: B) -> Response<B> {
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.is_grpc() {
            let kind = HeaderValue::from_static("application/grpc");
            headers.insert(CONTENT_TYPE, kind);
            headers.insert(&grpc::STATUS, HeaderValue::from(grpc::code(self.kind)));
            headers.insert(&GRPC_MESSAGE, HeaderValue::from_static(self.reason()));
            return response;
        }
        if let Some(page) = &self.location {
            headers.insert(LOCATION, page.clone());
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
