//! Calls in which the client streams: what it gets when its session ends in the middle.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response, uri::PathAndQuery};
use tokio::{net::TcpListener, sync::mpsc, time::timeout};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{
    Code, Status, Streaming,
    body::Body,
    client,
    server::{self, NamedService},
    transport::{Endpoint, Server, server::TcpIncoming},
};
use tonic_prost::ProstCodec;
use tower::{BoxError, Layer, Service, service_fn};
use tower_user_sessions::{
    BearerLayer, EndStreams, Session, SessionLayer, TokenSource, UserSessions,
};

use crate::common::http::{store, user};

type Codec = ProstCodec<String, String>;

/// `Login` signs a user in. The other methods count the bytes that the client streams: `Strict` passes an error on, and
/// `Lenient` takes it for the end.
#[derive(Clone)]
struct Uploads {
    read: mpsc::UnboundedSender<String>,
}

impl NamedService for Uploads {
    const NAME: &'static str = "up.Loads";
}

impl<B> Service<Request<B>> for Uploads
where
    B: http_body::Body<Error: Into<BoxError> + Send> + Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let read = self.read.clone();
        let method = request.uri().path().rsplit('/').next().map(str::to_owned);
        let strict = method.as_deref() == Some("Strict");
        let log_in = |request: tonic::Request<String>| {
            let session = Session::of(request.extensions());
            async move {
                session?.log_in(request.into_inner())?;
                Ok(tonic::Response::new(String::new()))
            }
        };
        let count = move |request: tonic::Request<Streaming<String>>| {
            let read = read.clone();
            async move {
                let mut messages = request.into_inner();
                let mut bytes = 0;
                loop {
                    match messages.message().await {
                        Ok(Some(message)) => {
                            bytes += message.len();
                            read.send(message).unwrap();
                        }
                        Err(status) if strict => return Err(status),
                        Ok(None) | Err(_) => break,
                    }
                }
                Ok(tonic::Response::new(bytes.to_string()))
            }
        };
        Box::pin(async move {
            let mut grpc = server::Grpc::new(Codec::default());
            Ok(if method.as_deref() == Some("Login") {
                grpc.unary(service_fn(log_in), request).await
            } else {
                grpc.client_streaming(service_fn(count), request).await
            })
        })
    }
}

// T72
#[tokio::test]
async fn a_client_that_streams_to_the_service_learns_why_its_session_ended() {
    let (store, _clock) = store();
    let (read, mut messages) = mpsc::unbounded_channel();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint::new(format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let served = Server::builder()
        .layer(SessionLayer::new(store.clone()).token_source(TokenSource::Bearer))
        .layer(EndStreams::new())
        .add_service(Uploads { read })
        .serve_with_incoming(TcpIncoming::from(listener));
    let task = tokio::spawn(served);
    let channel = BearerLayer::new().layer(endpoint.connect().await.unwrap());
    let mut grpc = client::Grpc::new(channel);
    let path = |method| PathAndQuery::from_static(method);

    for method in ["/up.Loads/Strict", "/up.Loads/Lenient"] {
        grpc.ready().await.unwrap();
        let log_in = tonic::Request::new(method.to_owned());
        let signed_in: Result<tonic::Response<String>, Status> = grpc
            .unary(log_in, path("/up.Loads/Login"), Codec::default())
            .await;
        signed_in.unwrap();
        let (sender, receiver) = mpsc::unbounded_channel();
        let upload = tonic::Request::new(UnboundedReceiverStream::new(receiver));
        sender.send("before".to_owned()).unwrap();
        let ending = async {
            assert_eq!(messages.recv().await.unwrap(), "before");
            let sessions = UserSessions::new(store.clone(), user(method));
            sessions.end_all().await.unwrap();
        };

        grpc.ready().await.unwrap();
        let call = grpc.client_streaming(upload, path(method), Codec::default());
        let both = async { tokio::join!(call, ending) };
        let (answer, ()) = timeout(Duration::from_secs(60), both).await.unwrap();

        let answer: Result<tonic::Response<String>, Status> = answer;
        let status = answer.unwrap_err();
        assert_eq!(
            (status.code(), status.message()),
            (Code::Unauthenticated, "administrator"),
            "{method}"
        );
        drop(sender);
    }
    task.abort();
}
