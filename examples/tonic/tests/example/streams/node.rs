//! A node that serves streams under axum, tonic and bare hyper, and on which sessions begin and end.

use std::{convert::Infallible, net::SocketAddr, pin::Pin, time::Duration};

use axum::{
    Router,
    extract::{
        Path, State,
        ws::{CloseFrame, Message, WebSocketUpgrade, close_code},
    },
    response::{Response as AxumResponse, Sse, sse::Event},
    routing::{any, get, post},
};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, StreamBody, combinators::BoxBody};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::net::TcpListener;
use tokio_stream::{Stream, StreamExt, wrappers::IntervalStream};
use tonic::{
    Status,
    server::{Grpc, NamedService, StreamingService},
    transport::server::TcpIncoming,
};
use tonic_prost::ProstCodec;
use tower::{Service, ServiceBuilder, service_fn};
use tower_user_sessions::{
    DevicePage, EndStreams, Limit, Login, RedisStore, Session, SessionLayer, UntilEnded, User,
    UserId, UserSessions,
};

use crate::{
    pb::{WhoAmIReply, WhoAmIRequest},
    service,
};

pub(super) struct Node {
    pub(super) axum: SocketAddr,
    pub(super) tonic: SocketAddr,
    pub(super) hyper: SocketAddr,
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Something every 50 ms.
fn ticks() -> impl Stream<Item = Bytes> + Send + 'static {
    let every = tokio::time::interval(Duration::from_millis(50));
    IntervalStream::new(every).map(|_| Bytes::from_static(b"tick"))
}

async fn socket(session: Session, upgrade: WebSocketUpgrade) -> AxumResponse {
    let live = session.live().unwrap();
    upgrade.on_upgrade(async move |mut socket| {
        let end = loop {
            tokio::select! {
                end = live.ended() => break end,
                message = socket.recv() => if message.is_none() { return },
            }
        };
        let (code, reason) = (close_code::POLICY, end.reason().into());
        let close = Message::Close(Some(CloseFrame { code, reason }));
        socket.send(close).await.unwrap();
    })
}

async fn log_in(session: Session, Path((user, most)): Path<(String, u16)>) {
    let login = Login::new(user).limit(Limit::at_most(most));
    session.log_in_with(login).unwrap();
}

async fn me(user: User) -> String {
    user.id().to_string()
}

async fn rotate(session: Session) {
    session.rotate().unwrap();
}

/// What an administrator does.
async fn end_user(State(store): State<RedisStore>, Path(user): Path<String>) {
    let all = UserSessions::new(store, UserId::new(user).unwrap());
    all.end_all().await.unwrap();
}

type Body = BoxBody<Bytes, Infallible>;

async fn file<B>(_: Request<B>) -> Result<Response<Body>, Infallible> {
    let frames = ticks().map(|bytes| Ok(hyper::body::Frame::data(bytes)));
    Ok(Response::new(BodyExt::boxed(StreamBody::new(frames))))
}

impl Node {
    pub(super) async fn start(sessions: SessionLayer, store: RedisStore) -> Self {
        let (axum, axum_at) = listener().await;
        let events = async || Sse::new(tokio_stream::pending::<Result<Event, Infallible>>());
        let app = Router::new()
            .route("/events", any(events))
            .route("/socket", any(socket))
            .route("/login/{user}/{most}", post(log_in))
            .route("/me", get(me))
            .route("/rotate", post(rotate))
            .route("/end/{user}", post(end_user))
            .nest_service("/devices", DevicePage::at("/devices").login("/"))
            .with_state(store)
            .layer(EndStreams::new())
            .layer(sessions.clone());
        tokio::spawn(async move { axum::serve(axum, app).await.unwrap() });

        let (tonic, tonic_at) = listener().await;
        let router = service::routes(sessions.clone()).add_service(Talk);
        tokio::spawn(router.serve_with_incoming(TcpIncoming::from(tonic)));

        let (hyper, hyper_at) = listener().await;
        tokio::spawn(async move {
            loop {
                let (stream, _) = hyper.accept().await.unwrap();
                let service = ServiceBuilder::new()
                    .layer(
                        sessions
                            .clone()
                            .reply_with(|_| Response::new(UntilEnded::default())),
                    )
                    .layer(EndStreams::new().reply_with(|_| Response::new(UntilEnded::default())))
                    .service(service_fn(file));
                tokio::spawn(async move {
                    let connection = auto::Builder::new(TokioExecutor::new());
                    let io = TokioIo::new(stream);
                    let service = TowerToHyperService::new(service);
                    let _ = connection.serve_connection(io, service).await;
                });
            }
        });
        Self {
            axum: axum_at,
            tonic: tonic_at,
            hyper: hyper_at,
        }
    }
}

/// A bidirectional call: it answers each message.
#[derive(Clone)]
struct Talk;

impl NamedService for Talk {
    const NAME: &'static str = "test.Talk";
}

type Replies = Pin<Box<dyn Stream<Item = Result<WhoAmIReply, Status>> + Send>>;

impl StreamingService<WhoAmIRequest> for Talk {
    type Response = WhoAmIReply;
    type ResponseStream = Replies;
    type Future = std::future::Ready<Result<tonic::Response<Replies>, Status>>;

    fn call(&mut self, request: tonic::Request<tonic::Streaming<WhoAmIRequest>>) -> Self::Future {
        let said = request.into_inner();
        let replies = said.map(|heard| {
            heard.map(|_| WhoAmIReply {
                user: "heard".to_owned(),
            })
        });
        std::future::ready(Ok(tonic::Response::new(Box::pin(replies))))
    }
}

impl<B> Service<Request<B>> for Talk
where
    B: hyper::body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
{
    type Response = Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let talk = self.clone();
        Box::pin(async move {
            let mut grpc = Grpc::new(ProstCodec::default());
            Ok(grpc.streaming(talk, request).await)
        })
    }
}
