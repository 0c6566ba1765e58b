//! A small complete app: users sign in from several browsers, see their devices and sign them out.
//!
//! ```text
//! cargo run -p example-axum
//! ```
//!
//! Users are `alice`, `bob` and `carol`. The password is `demo` for all. Settings come from the
//! environment:
//!
//! | variable | means | default |
//! |---|---|---|
//! | `LISTEN` | address and port; port 0 takes a free one | `127.0.0.1:3000` |
//! | `DATABASE_URL` | sessions live in this PostgreSQL, `postgres://…`. Needs `--features postgres` | sessions live in this process |
//! | `REDIS_URL` | sessions live in this Redis; several URLs, separated by commas, are a Cluster. Needs `--features redis` | sessions live in this process |
//! | `SESSIONS_FILE` | sessions live in this file, and survive a restart. Needs `--features file` | sessions live in this process |
//! | `MAX_SESSIONS` | how many sessions a user may have, 1 to 1000 | 3 |
//! | `MAX_BROWSERS`, `MAX_PHONES`, `MAX_TOOLS` | how many of these may be computers, phones or tablets, other clients | no limit of their own |
//! | `EXCESS` | what happens at the limit: `evict` the least recently active session, or `refuse` the sign-in | `evict` |
//! | `IDLE_SECS` | how long a session lives without activity | 1 day |
//! | `ABSOLUTE_SECS` | how long a session lives at all | 30 days |
//! | `LOOK_EVERY_SECS` | how often open pages ask the store whether their session is live, 1 to 3600. In an outage they end after five times that | 60 |
//! | `COOKIE` | `insecure`: also sent over plain http. Safari and clients such as Python's need it even on localhost; Chrome, Firefox and curl do not | `secure` |
//! | `PASSWORD_KIB` | memory that a password check takes, in KiB, 8 to 1048576. Less is for tests | 19456 |
//! | `GEOIP_DB` | a MaxMind DB file with the places of addresses, such as `GeoLite2` City | no places |
//! | `RUST_LOG` | what is logged to stderr | `info` |
//!
//! Set at most one of `DATABASE_URL`, `REDIS_URL` and `SESSIONS_FILE`.

mod account;
mod cart;
#[cfg(feature = "file")]
mod file;
#[cfg(not(feature = "file"))]
#[path = "no_file.rs"]
mod file;
mod live;
mod login;
mod markup;
mod pages;
mod picker;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(not(feature = "postgres"))]
#[path = "no_postgres.rs"]
mod postgres;
mod problem;
#[cfg(feature = "redis")]
mod redis;
#[cfg(not(feature = "redis"))]
#[path = "no_redis.rs"]
mod redis;
mod settings;
mod users;

use std::{
    fmt,
    io::{self, Write},
    net::SocketAddr,
    process::ExitCode,
    time::Duration,
};

use axum::{
    Router,
    extract::{ConnectInfo, DefaultBodyLimit, FromRef, Request},
    http::StatusCode,
    middleware::{self, Next},
    response::Response,
    routing::{any, get, post},
};
use tokio::{net::TcpListener, signal, time::sleep};
use tower::ServiceBuilder;
use tower_http::{
    csrf::{CsrfLayer, ProtectionError},
    trace::TraceLayer,
};
use tower_user_sessions::{
    DeviceApi, DevicePage, EndStreams, LiveEnd, PeerAddr, Problem, SessionLayer, store::SharedStore,
};
use tracing_subscriber::{layer::SubscriberExt, util::SubscriberInitExt};

use self::{
    problem::problem,
    settings::{Sessions, Settings},
    users::Users,
};

/// The longest request body: a name and a password need no more.
const BODY_MAX: usize = 16 * 1024;

/// How long requests may go on after ctrl-c, and how long sign-ins that were given up may take then.
const LINGER: Duration = Duration::from_secs(5);

/// The state of the app.
#[derive(Clone)]
struct Shop {
    users: Users,
    most: Most,
}

/// How many sessions a user may have.
#[derive(Clone, Copy)]
struct Most(u16);

impl FromRef<Shop> for Users {
    fn from_ref(shop: &Shop) -> Self {
        shop.users.clone()
    }
}

impl FromRef<Shop> for Most {
    fn from_ref(shop: &Shop) -> Self {
        shop.most
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let (settings, sessions) = match Settings::from_env().await {
        Ok(read) => read,
        Err(error) => return give_up(2, format_args!("{error}")),
    };
    let log = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    tracing_subscriber::registry()
        .with(log)
        .with(settings.log.clone())
        .init();
    let address = settings.listen;
    match serve(settings, sessions).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => give_up(1, format_args!("cannot serve on {address}: {error}")),
    }
}

async fn serve(settings: Settings, sessions: Sessions) -> io::Result<()> {
    let listener = TcpListener::bind(settings.listen).await?;
    let users = Users::demo(settings.password_kib)?;
    let app = app(settings, sessions.store, users);
    // Requests do not wait for it: the app starts while Redis is down, too.
    tokio::spawn(sessions.check);
    announce(listener.local_addr()?)?;
    let server = axum::serve(
        listener,
        app.into_make_service_with_connect_info::<SocketAddr>(),
    )
    .with_graceful_shutdown(stop());
    tokio::select! {
        served = server => served?,
        // A second ctrl-c does not wait for requests that are still running. Open pages never end by themselves.
        () = async { stop().await; tokio::select! { () = stop() => {}, () = sleep(LINGER) => {} } } => {}
    }
    let left = sessions.drain.await;
    if left > 0 {
        tracing::warn!(
            left,
            "sign-ins that answered 503 were not ended; they expire unused"
        );
    }
    Ok(())
}

fn app(settings: Settings, store: SharedStore, users: Users) -> Router {
    let most = Most(settings.limit.sessions());
    let sessions = SessionLayer::new(store)
        .limit(settings.limit)
        .class_of(settings::class_of)
        .lifetime(settings.lifetime)
        .look_every(settings.look_every)
        .cookie(settings.cookie)
        // The browser opens it again by itself.
        .counts_as_activity(|parts| parts.uri.path() != live::EVENTS)
        .resolve_if(|parts| !pages::is_static(parts.uri.path()))
        .reply(Problem);
    let devices = DeviceApi::new().geo(settings.geo.clone());
    let page = DevicePage::at("/devices").login("/").geo(settings.geo);
    Router::new()
        .route("/", get(pages::index))
        .route("/app.css", get(pages::style))
        .route("/live.js", get(live::script))
        .route(live::EVENTS, get(live::events))
        .route("/ticker", any(live::ticker))
        .route("/login", post(login::log_in))
        .route("/login/pick", post(picker::pick))
        .route(pages::WELCOME, get(pages::welcome))
        .route("/logout", post(login::log_out))
        .route("/message/close", post(pages::close_message))
        .route("/me", get(account::me))
        .route("/password", post(account::change_password))
        .route("/cart", get(cart::show))
        .route("/cart/{item}", post(cart::add))
        .nest_service("/devices", page)
        .nest_service("/sessions", devices)
        .with_state(Shop { users, most })
        // By itself: it changes the type of bodies, and `Router::layer` makes them axum's again.
        .layer(EndStreams::new().last_event(move |end| why(end, most)))
        // From the outside in.
        .layer(
            ServiceBuilder::new()
                .layer(TraceLayer::new_for_http())
                .layer(middleware::from_fn(note_peer))
                // Refuses sign-ins and sign-outs that other sites send (login CSRF).
                .layer(CsrfLayer::new().with_rejection_response(foreign_origin))
                .layer(sessions)
                .layer(DefaultBodyLimit::max(BODY_MAX)),
        )
}

/// What an open page shows when its session has ended.
fn why(end: &LiveEnd, most: Most) -> String {
    end.message(&pages::end_words(most))
}

/// Passes the address of the connection to the session layer, which is inside: lists show it.
async fn note_peer(peer: ConnectInfo<SocketAddr>, mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(PeerAddr::from(peer.0));
    next.run(request).await
}

fn foreign_origin(_: ProtectionError) -> Response {
    let title = "Request from another origin";
    problem(StatusCode::FORBIDDEN, title, "foreign_origin")
}

fn announce(address: SocketAddr) -> io::Result<()> {
    let (ip, port) = (address.ip(), address.port());
    tracing::info!(%address, "listening");
    if !ip.is_loopback() {
        tracing::warn!(
            "browsers keep the cookie over https, and some on localhost: see COOKIE=insecure"
        );
    }
    if ip.is_loopback() || ip.is_unspecified() {
        writeln!(io::stdout(), "listening on http://localhost:{port}")?;
    } else {
        writeln!(io::stdout(), "listening on http://{address}")?;
    }
    io::stdout().flush()
}

/// Waits for ctrl-c, or for the signal that service managers send.
async fn stop() {
    #[cfg(unix)]
    let terminated = async {
        match signal::unix::signal(signal::unix::SignalKind::terminate()) {
            Ok(mut terminate) => terminate.recv().await,
            Err(_) => std::future::pending().await,
        };
    };
    #[cfg(not(unix))]
    let terminated = std::future::pending::<()>();
    tokio::select! {
        _ = signal::ctrl_c() => {}
        () = terminated => {}
    }
}

/// Prints one line, even if the log is off.
fn give_up(code: u8, why: fmt::Arguments<'_>) -> ExitCode {
    // If stderr is closed, the exit code must be enough.
    let _ = writeln!(io::stderr(), "error: {why}");
    ExitCode::from(code)
}
