//! Sessions in a stack of tower-http layers, in the right order. The page `composing` of the docs says
//! why.
//!
//! ```console
//! $ cargo run -p example-composing
//! ```

use std::{
    env,
    error::Error,
    io::{self, Write},
    time::Duration,
};

use axum::{
    Json, Router,
    body::Body,
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use tokio::net::TcpListener;
use tower::{ServiceBuilder, limit::GlobalConcurrencyLimitLayer};
use tower_http::{
    catch_panic::CatchPanicLayer,
    compression::CompressionLayer,
    cors::CorsLayer,
    csrf::CsrfLayer,
    limit::RequestBodyLimitLayer,
    map_response_body::MapResponseBodyLayer,
    request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer},
    sensitive_headers::SetSensitiveHeadersLayer,
    timeout::TimeoutLayer,
    trace::TraceLayer,
};
use tower_user_sessions::{
    DeviceApi, Limit, Login, MemoryStore, Problem, RequireUser, Session, SessionError,
    SessionLayer, TokenSource, User,
};

/// The other origin whose scripts may call this one. Name yours: with none, browsers hand no response to them.
const FRONT_END: &str = "http://localhost:5173";

#[tokio::main]
async fn main() -> io::Result<()> {
    tracing_subscriber::fmt::init();
    let address = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".to_owned());
    let listener = TcpListener::bind(address).await?;
    let port = listener.local_addr()?.port();
    writeln!(io::stdout(), "listening on http://localhost:{port}")?;
    axum::serve(listener, app().map_err(io::Error::other)?).await
}

fn app() -> Result<Router, Box<dyn Error + Send + Sync>> {
    let users_only = RequireUser::new().redirect_to("/").reply(Problem);
    let sessions = SessionLayer::new(MemoryStore::new())
        .token_source(TokenSource::CookieThenBearer)
        .limit(Limit::at_most(3).refuse())
        // A health check needs no session, so no store call.
        .resolve_if(|request| request.uri.path() != "/health")
        .reply(Problem);
    let secret = [header::AUTHORIZATION, header::COOKIE, header::SET_COOKIE];

    let app = Router::new()
        .route("/account", get(account))
        .nest_service("/sessions", DeviceApi::new().add_trusted_origin(FRONT_END)?)
        // Guards the routes above, not those below.
        .route_layer(users_only)
        .route("/", get(async || "POST /login, then GET /account\n"))
        .route("/login", post(log_in))
        .route("/login/pick", post(pick))
        .route("/health", get(async || "ok\n"))
        .layer(
            // From the outside in.
            ServiceBuilder::new()
                // Outside of every layer that prints headers.
                .layer(SetSensitiveHeadersLayer::new(secret))
                .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
                .layer(TraceLayer::new_for_http())
                .layer(PropagateRequestIdLayer::x_request_id())
                .layer(cors())
                .layer(CompressionLayer::new())
                // A request that is refused here costs no store call.
                .layer(GlobalConcurrencyLimitLayer::new(1_000))
                .layer(RequestBodyLimitLayer::new(64 * 1024))
                // What CORS allows is refused here unless it is named here too.
                .layer(CsrfLayer::new().add_trusted_origin(FRONT_END)?)
                .layer(sessions)
                // `Problem` needs a body that can be made of bytes.
                .layer(MapResponseBodyLayer::new(Body::new))
                // Inside: if a handler is aborted or panics, nothing is stored.
                .layer(TimeoutLayer::with_status_code(
                    StatusCode::REQUEST_TIMEOUT,
                    Duration::from_secs(10),
                ))
                .layer(CatchPanicLayer::new()),
        );
    Ok(app)
}

/// Preflights carry no token. They end here, outside of the sessions.
fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(HeaderValue::from_static(FRONT_END))
        // A front end on the same site sends the cookie: `fetch(url, { credentials: "include" })`.
        .allow_credentials(true)
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE])
        // Without this, no script of another origin can read its token, or in an outage when to try again.
        .expose_headers([
            HeaderName::from_static("x-session-token"),
            header::RETRY_AFTER,
        ])
}

async fn account(user: User) -> String {
    format!("Hello {}\n", user.id())
}

/// A real app checks a password.
async fn log_in(session: Session) -> Result<(), SessionError> {
    session.log_in(1)
}

/// After a refusal at the limit: the client sends the ticket and the session that its user chose to end.
async fn pick(session: Session, Json([ticket, ends]): Json<[String; 2]>) -> Result<(), Response> {
    let (Ok(ticket), Ok(ends)) = (ticket.parse(), ends.parse()) else {
        return Err(StatusCode::UNAUTHORIZED.into_response());
    };
    // For another user's ticket it is 401. A used or expired one (401) and a disabled user (403) are the layer's
    // own responses.
    let login = Login::by_ticket(ticket, Some(ends));
    session
        .log_in_with(login)
        .map_err(IntoResponse::into_response)
}
