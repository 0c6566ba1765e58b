//! Serves the three routes of the load harness, until SIGTERM or SIGINT.
//!
//! `tower-contender memory|near|file|redis --port P [--redis URL] [--file PATH] [--workers N] [--caching unchanged]`
//!
//! `near` is there if it was built with the feature of that name.

use axum::{
    Router,
    extract::Query,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
    serve::ListenerExt,
};
use peers::{BoxError, note_peer, redis_pool, redis_store, sessions};
use serde::Deserialize;
use tokio::signal::unix::{SignalKind, signal};
use tower::{ServiceBuilder, util::MapRequestLayer};
use tower_user_sessions::{
    Caching, MemoryStore, Session, SessionError, SessionLayer,
    store::{FileStore, SharedStore},
};

const USAGE: &str = "usage: tower-contender memory|near|file|redis --port P [--redis URL] [--file PATH] [--workers N] \
     [--caching unchanged]";

#[derive(Deserialize)]
struct Login {
    user: u64,
}

async fn login(session: Session, Query(login): Query<Login>) -> Result<(), Failed> {
    Ok(session.log_in(login.user)?)
}

async fn me(session: Session) -> Response {
    match session.user_id() {
        Some(user) => user.as_str().to_owned().into_response(),
        None => StatusCode::UNAUTHORIZED.into_response(),
    }
}

async fn logout(session: Session) -> Result<(), Failed> {
    Ok(session.log_out()?)
}

struct Failed(SessionError);

impl From<SessionError> for Failed {
    fn from(error: SessionError) -> Self {
        Self(error)
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.0.to_string()).into_response()
    }
}

fn app(sessions: SessionLayer) -> Router {
    Router::new()
        .route("/login", post(login))
        .route("/me", get(me))
        .route("/logout", post(logout))
        .layer(
            ServiceBuilder::new()
                .layer(MapRequestLayer::new(note_peer))
                .layer(sessions),
        )
}

/// A near cache, and the layer that lets it answer.
#[cfg(feature = "near")]
fn near(redis: &str) -> Result<SessionLayer, BoxError> {
    use tower_user_sessions::{
        RedisStore,
        store::{Near, RedisLive, RedisSource},
    };

    let source = RedisSource::url(redis)?;
    let store = RedisStore::builder(source).live(RedisLive::all());
    let store = Near::new(store.build());
    Ok(sessions(store).near(|request| request.method == http::Method::GET))
}

#[cfg(not(feature = "near"))]
fn near(_redis: &str) -> Result<SessionLayer, BoxError> {
    Err("built without the feature `near`".into())
}

struct Settings {
    store: String,
    port: u16,
    redis: String,
    file: String,
    workers: usize,
    caching: Caching,
}

fn settings() -> Result<Settings, BoxError> {
    let mut args = std::env::args().skip(1);
    let mut settings = Settings {
        store: args.next().ok_or(USAGE)?,
        port: 0,
        redis: "redis://127.0.0.1:6379/0".to_owned(),
        file: "sessions.db".to_owned(),
        workers: 0,
        caching: Caching::default(),
    };
    while let Some(flag) = args.next() {
        let value = args.next().ok_or(USAGE)?;
        match flag.as_str() {
            "--port" => settings.port = value.parse()?,
            "--redis" => settings.redis = value,
            "--file" => settings.file = value,
            "--workers" => settings.workers = value.parse()?,
            "--caching" if value == "unchanged" => settings.caching = Caching::Unchanged,
            _ => return Err(USAGE.into()),
        }
    }
    Ok(settings)
}

fn main() -> Result<(), BoxError> {
    let Settings {
        store,
        port,
        redis,
        file,
        workers,
        caching,
    } = settings()?;
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.enable_all();
    if workers > 0 {
        runtime.worker_threads(workers);
    }
    runtime.build()?.block_on(async move {
        let store: SharedStore = match store.as_str() {
            "memory" => MemoryStore::new().into(),
            "file" => FileStore::open(&file)?.into(),
            "redis" => redis_store(redis_pool(&redis)?).into(),
            "near" => return serve(near(&redis)?, caching, port).await,
            _ => return Err(USAGE.into()),
        };
        serve(sessions(store), caching, port).await
    })
}

async fn serve(sessions: SessionLayer, caching: Caching, port: u16) -> Result<(), BoxError> {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port))
        .await?
        .tap_io(|stream| {
            let _ = stream.set_nodelay(true);
        });
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    // No graceful shutdown, because the load generator keeps its connections open.
    tokio::select! {
        served = axum::serve(listener, app(sessions.caching(caching))) => served?,
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    Ok(())
}
