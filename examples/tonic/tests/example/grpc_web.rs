//! gRPC-Web, as browsers speak it: over HTTP/1.1, and the status of a stream in its body.

use std::time::Duration;

use prost::Message;
use reqwest::{Client, RequestBuilder, Response};
use tokio::{net::TcpListener, task::JoinHandle, time::timeout};
use tonic::transport::{Server, server::TcpIncoming};
use tonic_web::GrpcWebLayer;
use tower::Layer;
use tower_user_sessions::{
    EndStreams, MemoryStore, RequireUser, SessionLayer, TokenSource, UserSessions,
};

use crate::{
    common::http::{store, user},
    pb::{
        LoginRequest, WatchDevicesRequest, WhoAmIRequest, devices_server::DevicesServer,
        sign_in_server::SignInServer,
    },
    service::{DevicesService, SignInService},
};

/// The server of a page, stopped when it is dropped.
struct Site {
    url: String,
    client: Client,
    task: JoinHandle<()>,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Site {
    async fn start(store: MemoryStore) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/devices.v1.", listener.local_addr().unwrap());
        let served = Server::builder()
            .accept_http1(true)
            .layer(GrpcWebLayer::new())
            .layer(SessionLayer::new(store).token_source(TokenSource::Bearer))
            .layer(EndStreams::new())
            .add_service(SignInServer::new(SignInService))
            .add_service(RequireUser::new().layer(DevicesServer::new(DevicesService)))
            .serve_with_incoming(TcpIncoming::from(listener));
        Self {
            url,
            client: Client::builder().http1_only().build().unwrap(),
            task: tokio::spawn(async move { served.await.unwrap() }),
        }
    }

    /// A call whose message is not compressed.
    fn call(&self, method: &str, message: &impl Message) -> RequestBuilder {
        let message = message.encode_to_vec();
        let mut body = vec![0, 0, 0, 0, u8::try_from(message.len()).unwrap()];
        body.extend(message);
        self.client
            .post(format!("{}{method}", self.url))
            .header("content-type", "application/grpc-web+proto")
            .header("x-grpc-web", "1")
            .body(body)
    }
}

fn header<'a>(answer: &'a Response, name: &str) -> &'a str {
    answer.headers()[name].to_str().unwrap()
}

#[tokio::test]
async fn a_page_gets_the_status_of_a_rejection_in_the_headers() {
    let (store, _clock) = store();
    let site = Site::start(store).await;

    for (kind, answered) in [
        ("application/grpc-web", "application/grpc-web+proto"),
        (
            "application/grpc-web-text",
            "application/grpc-web-text+proto",
        ),
    ] {
        let call = site.call("Devices/WhoAmI", &WhoAmIRequest {});
        let mut request = call.header("accept", kind).build().unwrap();
        request
            .headers_mut()
            .insert("content-type", kind.parse().unwrap());
        let answer = site.client.execute(request).await.unwrap();

        assert_eq!(
            (answer.status(), header(&answer, "content-type")),
            (http::StatusCode::OK, answered)
        );
        assert_eq!(header(&answer, "grpc-status"), "16");
        assert_eq!(header(&answer, "grpc-message"), "not_signed_in");
    }
}

// T72
#[tokio::test]
async fn the_stream_of_a_page_ends_with_the_reason_in_its_last_frame() {
    let (store, _clock) = store();
    let site = Site::start(store.clone()).await;
    let log_in = LoginRequest {
        user: "alice".to_owned(),
        password: "demo".to_owned(),
        keep_others: false,
    };
    let signed_in = site.call("SignIn/Login", &log_in).send().await.unwrap();
    let token = header(&signed_in, "x-session-token");
    let watch = site.call("Devices/WatchDevices", &WatchDevicesRequest {});
    let mut stream = watch.bearer_auth(token).send().await.unwrap();
    let first = stream.chunk().await.unwrap().unwrap();
    assert_eq!(first[0], 0, "a message");

    let sessions = UserSessions::new(store, user("alice"));
    sessions.end_all().await.unwrap();

    let rest = async {
        let mut rest = Vec::new();
        while let Some(chunk) = stream.chunk().await.unwrap() {
            rest.extend(chunk);
        }
        rest
    };
    let rest = timeout(Duration::from_secs(60), rest).await.unwrap();
    let trailers = b"grpc-status:16\r\ngrpc-message:administrator\r\n";
    assert!(
        rest.ends_with(trailers),
        "{:?}",
        String::from_utf8_lossy(&rest)
    );
    // The frame of the trailers: the highest bit, and the length.
    let frame = &rest[rest.len() - trailers.len() - 5..][..5];
    assert_eq!(
        frame,
        [0x80, 0, 0, 0, u8::try_from(trailers.len()).unwrap()]
    );
}
