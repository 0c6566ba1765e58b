//! Sessions on a bare hyper server, over HTTP/1 and HTTP/2, without a framework.
//!
//! ```console
//! $ cargo run -p example-hyper
//! $ curl -c jar -b jar -X POST 'http://localhost:3000/login?alice'
//! $ curl -c jar -b jar http://localhost:3000/
//! $ curl -c jar -b jar --http2-prior-knowledge http://localhost:3000/sessions
//! ```

use std::{
    convert::Infallible,
    env,
    error::Error,
    io::{self, Write},
    pin::pin,
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, signal, time};
use tower::{ServiceBuilder, ServiceExt, service_fn};
use tower_http::csrf::CsrfLayer;
use tower_user_sessions::{
    DeviceApi, Limit, MemoryStore, PeerAddr, Rejection, Session, SessionError, SessionLayer, UserId,
};

/// A `BoxBody` has no `Default` and no `From<Bytes>`, so a function makes the layer's own responses.
type Body = BoxBody<Bytes, Infallible>;

/// How long requests may go on after ctrl-c.
const LINGER: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> io::Result<()> {
    tracing_subscriber::fmt::init();
    let address = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".to_owned());
    let listener = TcpListener::bind(address).await?;
    let port = listener.local_addr()?.port();
    writeln!(io::stdout(), "listening on http://localhost:{port}")?;
    let sessions = SessionLayer::new(MemoryStore::new())
        .limit(Limit::at_most(3))
        .reply_with(problem);
    let mut connections = auto::Builder::new(TokioExecutor::new());
    // With it hyper leaves a client that takes 30 s for the head of a request, once it has sent a byte.
    connections.http1().timer(TokioTimer::new());
    let open = GracefulShutdown::new();
    let mut stop = pin!(signal::ctrl_c());
    loop {
        let accepted = tokio::select! {
            // First, for it listens to the signal from when it is asked first.
            biased;
            stopped = &mut stop => {
                stopped?;
                break;
            }
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            // There are too many open files, or the client is gone. That is no reason to stop.
            Err(error) => {
                tracing::warn!(error = &error as &dyn Error, "no connection accepted");
                time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let service = ServiceBuilder::new()
            .map_request(move |mut request: Request<hyper::body::Incoming>| {
                request.extensions_mut().insert(PeerAddr::from(peer));
                request
            })
            // Refuses sign-ins and sign-outs that other sites send.
            .layer(CsrfLayer::new().with_rejection_response(|_| answer(StatusCode::FORBIDDEN)))
            .layer(sessions.clone())
            .service(service_fn(route));
        let service = TowerToHyperService::new(service);
        let connection = connections.serve_connection(TokioIo::new(stream), service);
        let served = open.watch(connection.into_owned());
        tokio::spawn(async move {
            if let Err(error) = served.await {
                tracing::debug!(error = &*error as &dyn Error, "connection broke");
            }
        });
    }
    // Clients that come now are refused at once.
    drop(listener);
    let _requests_that_take_longer_are_cut_off = time::timeout(LINGER, open.shutdown()).await;
    Ok(())
}

async fn route<B>(request: Request<B>) -> Result<Response<Body>, Infallible> {
    let Ok(session) = Session::of(request.extensions()) else {
        return Ok(answer(StatusCode::INTERNAL_SERVER_ERROR));
    };
    let done = match (request.method(), request.uri().path()) {
        (&Method::POST, "/login") => log_in(&session, request.uri().query()),
        (&Method::POST, "/logout") => session.log_out().map(|()| StatusCode::NO_CONTENT),
        (&Method::GET, "/") => return Ok(greet(&session)),
        // The user has read why the session ended.
        (&Method::POST, "/forget") => session.forget().map(|()| StatusCode::NO_CONTENT),
        _ => {
            let devices = DeviceApi::at("/sessions").oneshot(request).await?;
            return Ok(devices.map(BodyExt::boxed));
        }
    };
    // Each error has a status of its own: in an outage it is 503.
    Ok(done.map_or_else(|error| problem(error.into()), answer))
}

/// A real app reads a form and checks a password.
fn log_in(session: &Session, user: Option<&str>) -> Result<StatusCode, SessionError> {
    let Some(user) = user.and_then(|user| UserId::new(user).ok()) else {
        return Ok(StatusCode::BAD_REQUEST);
    };
    session.log_in(user)?;
    Ok(StatusCode::NO_CONTENT)
}

fn greet(session: &Session) -> Response<Body> {
    let greeting = match (session.user_id(), session.ended()) {
        (Some(user), _) => format!("Hello {user}\n"),
        (None, Some(notice)) => format!("Signed out: {}\n", notice.reason.as_str()),
        (None, None) => "Hello guest\n".to_owned(),
    };
    Response::new(Full::from(greeting).boxed())
}

fn answer(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Full::default().boxed());
    *response.status_mut() = status;
    response
}

fn problem(rejection: Rejection) -> Response<Body> {
    rejection.into_problem(|bytes| Full::from(bytes).boxed())
}
