//! The servers of the story that speak HTTP: one app in axum, the same on bare hyper.

use std::{convert::Infallible, net::SocketAddr};

use axum::{
    Router,
    routing::{get, post},
};
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, task::JoinHandle};
use tower::{BoxError, Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_user_sessions::{
    DeviceApi, Limit, Login, Problem, Rejection, RequireUser, Session, SessionLayer, User,
};

use super::http::user;

/// A server on a free port, stopped when it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) fn running(address: SocketAddr, task: JoinHandle<()>) -> Self {
        Self { address, task }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Signs alice in, and returns the id of the new session.
fn log_in(session: &Session, keep: bool) -> String {
    let login = Login::new(user("alice"));
    let login = if keep {
        login.limit(Limit::at_most(3).refuse())
    } else {
        login
    };
    session.log_in_with(login).unwrap();
    session.id().unwrap().to_string()
}

pub(crate) async fn axum(layer: SessionLayer) -> Server {
    let app = Router::new()
        .route(
            "/login",
            post(async |session: Session| log_in(&session, false)),
        )
        .route(
            "/login/keep",
            post(async |session: Session| log_in(&session, true)),
        )
        .route(
            "/logout",
            post(async |session: Session| session.log_out().unwrap()),
        )
        .route("/me", get(async |user: User| user.id().to_string()))
        .nest_service("/sessions", DeviceApi::new())
        .layer(layer.reply(Problem));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    Server::running(address, task)
}

type Body = BoxBody<Bytes, Infallible>;

fn problem(rejection: Rejection) -> Response<Body> {
    rejection.into_problem(|bytes| Full::from(bytes).boxed())
}

async fn me<B>(request: Request<B>) -> Result<Response<Body>, Infallible> {
    let session: &Session = request.extensions().get().unwrap();
    let user = session.user_id().unwrap().to_string();
    Ok(Response::new(Full::from(user).boxed()))
}

async fn route<B: Send + 'static>(request: Request<B>) -> Result<Response<Body>, Infallible> {
    let session = request.extensions().get::<Session>().unwrap();
    let body = match (request.method(), request.uri().path()) {
        (&Method::POST, "/login") => log_in(session, false),
        (&Method::POST, "/login/keep") => log_in(session, true),
        (&Method::POST, "/logout") => {
            session.log_out().unwrap();
            String::new()
        }
        (&Method::GET, "/me") => {
            let guard = RequireUser::new().reply_with(problem);
            return guard.layer(service_fn(me)).oneshot(request).await;
        }
        _ => {
            let answer = DeviceApi::at("/sessions").oneshot(request).await?;
            return Ok(answer.map(BodyExt::boxed));
        }
    };
    Ok(Response::new(Full::from(body).boxed()))
}

pub(crate) async fn hyper(layer: SessionLayer) -> Server {
    let service = ServiceBuilder::new()
        .layer(layer.reply_with(problem))
        .service(service_fn(route));
    both_versions(service).await
}

/// Speaks HTTP/1 and HTTP/2, as the client does.
pub(crate) async fn both_versions<S, B>(service: S) -> Server
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send + 'static,
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = TowerToHyperService::new(service.clone());
            tokio::spawn(async move {
                let connection = auto::Builder::new(TokioExecutor::new());
                let io = TokioIo::new(stream);
                // The client may disconnect at any time.
                let _ = connection.serve_connection(io, service).await;
            });
        }
    });
    Server::running(address, task)
}
