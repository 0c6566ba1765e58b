//! A small app: a counter, sign-in by password or by an OAuth provider, a message for the next page, sign-out.

use std::{error::Error, io, time::Duration};

use axum::{
    Form, Router,
    extract::{FromRequestParts, Query},
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tower_http::csrf::CsrfLayer;
use tower_user_sessions::{
    Lifetime, Login, MemoryStore, Session, SessionLayer, store::SharedStore,
};

const COUNTER: &str = "counter";
const FLASH: &str = "flash";
const OAUTH: &str = "oauth";
const HOUR: u64 = 60 * 60;

/// The app on `address`.
///
/// # Errors
///
/// If the address cannot be listened on.
pub async fn serve(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    axum::serve(listener, app()).await
}

/// All routes, with sessions in memory.
pub fn app() -> Router {
    app_on(MemoryStore::new())
}

/// All routes, with sessions in this store.
pub fn app_on(store: impl Into<SharedStore>) -> Router {
    let (idle, absolute) = (
        Duration::from_secs(HOUR),
        Duration::from_secs(30 * 24 * HOUR),
    );
    let sessions = SessionLayer::new(store).lifetime(Lifetime::new(idle, absolute));
    Router::new()
        .route("/", get(home))
        .route("/login", post(log_in))
        .route("/oauth", get(oauth))
        .route("/oauth/callback", get(oauth_callback))
        .route("/me", get(me))
        .route("/forget", post(forget))
        .route("/logout", post(log_out))
        .layer(sessions)
        // Refuses sign-ins and sign-outs that other sites send.
        .layer(CsrfLayer::new())
}

/// How often a visitor was here.
#[derive(Clone, Copy, Default, Deserialize, Serialize)]
struct Counter(usize);

/// A message that the next page displays, once.
#[derive(Deserialize, Serialize)]
struct Flash {
    text: String,
}

impl Flash {
    fn push(session: &Session, text: impl Into<String>) -> Result<(), AppError> {
        let text = text.into();
        session.insert(FLASH, &Self { text })?;
        Ok(())
    }

    fn take(session: &Session) -> Result<Option<Self>, AppError> {
        let flash = session.get(FLASH)?;
        session.remove(FLASH)?;
        Ok(flash)
    }
}

/// Kept while the visitor is at the provider.
#[derive(Deserialize, Serialize)]
struct OAuthState {
    state: String,
    back_to: String,
}

/// The signed-in user.
struct CurrentUser(String);

impl<S: Send + Sync> FromRequestParts<S> for CurrentUser {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let session = Session::from_request_parts(parts, state)
            .await
            .map_err(IntoResponse::into_response)?;
        match session.user_id() {
            Some(user) => Ok(Self(user.to_string())),
            None => Err((StatusCode::UNAUTHORIZED, "Sign in first").into_response()),
        }
    }
}

async fn home(session: Session) -> Result<String, AppError> {
    let Counter(visits) = session.get(COUNTER)?.unwrap_or_default();
    session.insert(COUNTER, &Counter(visits + 1))?;
    let user = session.user_id();
    let name = user.as_ref().map_or("guest", |user| user.as_str());
    let flash = match Flash::take(&session)? {
        Some(flash) => format!("{}\n", flash.text),
        None => String::new(),
    };
    Ok(format!("{flash}Hello {name}, visits before this: {visits}"))
}

#[derive(Deserialize)]
struct Credentials {
    name: String,
    password: String,
}

async fn log_in(
    session: Session,
    Form(credentials): Form<Credentials>,
) -> Result<Response, AppError> {
    if !is_right(&credentials) {
        Flash::push(&session, "Wrong name or password")?;
        return Ok(Redirect::to("/").into_response());
    }
    enter(&session, &credentials.name)?;
    Ok(Redirect::to("/").into_response())
}

/// Signs a user in. The data of the guest session is kept.
fn enter(session: &Session, name: &str) -> Result<(), AppError> {
    session.log_in_with(Login::new(name).carry([COUNTER]))?;
    Flash::push(session, format!("Welcome, {name}"))
}

async fn oauth(session: Session) -> Result<Redirect, AppError> {
    let state = format!("{:016x}", getrandom::u64()?);
    let url = format!("https://provider.example/authorize?state={state}");
    let back_to = "/me".to_owned();
    session.insert(OAUTH, &OAuthState { state, back_to })?;
    Ok(Redirect::to(&url))
}

#[derive(Deserialize)]
struct Callback {
    state: String,
    code: String,
}

async fn oauth_callback(
    session: Session,
    Query(callback): Query<Callback>,
) -> Result<Response, AppError> {
    let Some(begun) = session.get::<OAuthState>(OAUTH)? else {
        return Ok((StatusCode::BAD_REQUEST, "This sign-in was not begun here").into_response());
    };
    session.remove(OAUTH)?;
    if begun.state != callback.state {
        return Ok((StatusCode::BAD_REQUEST, "The state does not match").into_response());
    }
    enter(&session, &name_of(&callback.code))?;
    Ok(Redirect::to(&begun.back_to).into_response())
}

async fn me(CurrentUser(name): CurrentUser) -> String {
    format!("You are {name}")
}

/// Starts the counter again, and nothing else.
async fn forget(_user: CurrentUser, session: Session) -> Result<Redirect, AppError> {
    session.remove(COUNTER)?;
    Ok(Redirect::to("/"))
}

async fn log_out(session: Session) -> Result<Redirect, AppError> {
    session.log_out()?;
    Ok(Redirect::to("/"))
}

/// Stands for a look into the database.
fn is_right(credentials: &Credentials) -> bool {
    ["alice", "bob"].contains(&credentials.name.as_str()) && credentials.password == "demo"
}

/// Stands for the provider's answer to `code`.
fn name_of(code: &str) -> String {
    format!("{code}@provider.example")
}

/// An error that the handler cannot answer better than with 500.
struct AppError(Box<dyn Error + Send + Sync>);

impl<E: Error + Send + Sync + 'static> From<E> for AppError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for AppError {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.0.to_string()).into_response()
    }
}
