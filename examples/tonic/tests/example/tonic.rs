//! Under a tonic server, over a socket: service names, peers, `Session` in a `tonic::Request`, and
//! the layer's own responses as gRPC status.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use tokio::{net::TcpListener, task::JoinHandle};
use tonic::{
    Code, Status,
    body::Body,
    server::NamedService,
    service::Routes,
    transport::{Channel, Endpoint, Server, server::TcpIncoming},
};
use tonic_reflection::{
    pb::v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    },
    server::Builder,
};
use tower::{Layer, ServiceExt, util::MapRequestLayer};
use tower_user_sessions::{
    BearerLayer, BearerService, DeviceKind, EndStreams, Limit, MemoryStore, OnOutage, PeerAddr,
    RequireFresh, RequireUser, SessionLayer, TokenSource, UserId, UserSessions,
};

use crate::{
    common::{
        faulty::{Fault, FaultyStore, Method},
        http::{ids, store},
    },
    pb::{
        self, ListDevicesRequest, LoginRequest, WhoAmIRequest, devices_client::DevicesClient,
        devices_server::DevicesServer, sign_in_client::SignInClient, sign_in_server::SignInServer,
    },
    service::{self, DevicesService, SignInService},
};

/// A server on a free port, stopped when it is dropped.
struct Running {
    channel: Channel,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves this router, and connects to it.
macro_rules! serve {
    ($router:expr) => {{
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let served = $router.serve_with_incoming(TcpIncoming::from(listener));
        let task = tokio::spawn(async move { served.await.unwrap() });
        let endpoint = Endpoint::new(format!("http://{address}")).unwrap();
        Running {
            channel: endpoint.connect().await.unwrap(),
            task,
        }
    }};
}

fn bearers(store: &MemoryStore) -> SessionLayer {
    SessionLayer::new(store.clone()).token_source(TokenSource::Bearer)
}

async fn log_in(channel: BearerService<Channel>) -> Result<(), Status> {
    let request = LoginRequest {
        user: "alice".to_owned(),
        password: "demo".to_owned(),
        keep_others: true,
    };
    SignInClient::new(channel).login(request).await.map(|_| ())
}

async fn who(channel: BearerService<Channel>) -> Result<String, Status> {
    let reply = DevicesClient::new(channel)
        .who_am_i(WhoAmIRequest {})
        .await?;
    Ok(reply.into_inner().user)
}

async fn address(channel: BearerService<Channel>) -> String {
    let mut devices = DevicesClient::new(channel);
    let list = devices.list_devices(ListDevicesRequest {}).await.unwrap();
    list.into_inner().devices[0].address.clone()
}

fn name_of<S: NamedService>(_: &S) -> &'static str {
    S::NAME
}

#[tokio::test]
async fn a_wrapped_service_keeps_its_name_and_routes_find_it() {
    let (store, _clock) = store();
    let sessions = bearers(&store);
    let sign_in = sessions.layer(SignInServer::new(SignInService));
    let devices =
        RequireFresh::within(Duration::from_secs(3_600)).layer(DevicesServer::new(DevicesService));
    let devices = EndStreams::new().layer(RequireUser::new().layer(devices));
    let devices = sessions.layer(devices);

    assert_eq!(name_of(&sign_in), "devices.v1.SignIn");
    assert_eq!(name_of(&devices), "devices.v1.Devices");
    let server = serve!(Server::builder().add_service(sign_in).add_service(devices));
    let phone = BearerLayer::new().layer(server.channel.clone());
    log_in(phone.clone()).await.unwrap();
    assert_eq!(who(phone).await.unwrap(), "alice");
}

#[tokio::test]
async fn reflection_works_beside_the_layer() {
    let (store, _clock) = store();
    let reflection = Builder::configure()
        .register_encoded_file_descriptor_set(pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .unwrap();
    let server = serve!(service::routes(bearers(&store)).add_service(reflection));
    let ask = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = ServerReflectionClient::new(server.channel.clone());

    let answers = client.server_reflection_info(tokio_stream::once(ask)).await;

    let answer = answers.unwrap().into_inner().message().await.unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.unwrap().message_response else {
        panic!("no list");
    };
    let names: Vec<&str> = list.service.iter().map(|one| one.name.as_str()).collect();
    assert!(names.contains(&"devices.v1.Devices") && names.contains(&"devices.v1.SignIn"));
}

// T38
#[tokio::test]
async fn a_sign_in_stores_the_peer_of_the_connection() {
    let (store, _clock) = store();
    let server = serve!(service::routes(bearers(&store)));
    let phone = BearerLayer::new().layer(server.channel.clone());

    log_in(phone.clone()).await.unwrap();

    assert_eq!(address(phone).await, "127.0.0.1");
}

// T37
#[tokio::test]
async fn a_sign_in_stores_the_name_of_the_grpc_client() {
    let (store, _clock) = store();
    let server = serve!(service::routes(bearers(&store)));

    log_in(BearerLayer::new().layer(server.channel.clone()))
        .await
        .unwrap();

    let sessions = UserSessions::new(store, UserId::new("alice").unwrap());
    let device = sessions.list().await.unwrap()[0].device();
    assert_eq!(device.kind(), DeviceKind::Tool);
    assert_eq!(device.browser(), Some("tonic"));
}

// T38
#[tokio::test]
async fn a_peer_set_by_the_app_wins_over_the_connection() {
    let (store, _clock) = store();
    let from = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
    let note = MapRequestLayer::new(move |mut request: Request<Body>| {
        request.extensions_mut().insert(PeerAddr::from(from));
        request
    });
    let router = Server::builder()
        .layer(note)
        .layer(bearers(&store))
        .add_service(SignInServer::new(SignInService))
        .add_service(DevicesServer::new(DevicesService));
    let server = serve!(router);
    let phone = BearerLayer::new().layer(server.channel.clone());

    log_in(phone.clone()).await.unwrap();

    assert_eq!(address(phone).await, "192.0.2.7");
}

/// The headers of a call of the first method of `Devices`, over plain HTTP.
async fn raw(layer: SessionLayer, authorization: Option<&str>) -> (HeaderMap, usize) {
    let guarded = RequireUser::new().layer(DevicesServer::new(DevicesService));
    let service = layer.layer(Routes::new(guarded).prepare());
    let mut request = Request::post("/devices.v1.Devices/WhoAmI")
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    if let Some(line) = authorization {
        request = request.header("authorization", line);
    }
    // An empty message: not compressed, length zero.
    let body = http_body_util::Full::new(bytes::Bytes::from_static(&[0; 5]));
    let request = request.body(Body::new(body)).unwrap();
    let answer = service.oneshot(request).await.unwrap();
    assert_eq!(answer.status(), 200);
    let (head, body) = answer.into_parts();
    (head.headers, body.collect().await.unwrap().to_bytes().len())
}

#[tokio::test]
async fn a_guest_is_unauthenticated_by_trailers_only() {
    let (store, _clock) = store();

    let (headers, body) = raw(bearers(&store), None).await;

    assert_eq!(
        (headers["grpc-status"].as_bytes(), body),
        (b"16".as_slice(), 0),
    );
    assert_eq!(headers["grpc-message"], "not_signed_in");
    assert_eq!(headers["content-type"], "application/grpc");
}

// T59
#[tokio::test]
async fn an_outage_is_unavailable_from_the_layer_and_from_the_guard() {
    let (store, _clock) = store();
    let server = serve!(service::routes(bearers(&store)));
    let bearer = BearerLayer::new();
    log_in(bearer.layer(server.channel.clone())).await.unwrap();
    let line = format!("Bearer {}", bearer.token().unwrap().encode());
    let faulty = FaultyStore::new(&store);
    faulty.always([Method::Resolve], Fault::Fail);

    for on_outage in [OnOutage::Refuse, OnOutage::Guest] {
        let layer = SessionLayer::new(faulty.clone())
            .token_source(TokenSource::Bearer)
            .on_outage(on_outage);

        let (headers, body) = raw(layer, Some(&line)).await;

        assert_eq!(
            (headers["grpc-status"].as_bytes(), body),
            (b"14".as_slice(), 0),
            "{on_outage:?}"
        );
    }
}

// T27
#[tokio::test]
async fn a_refused_sign_in_is_resource_exhausted_and_gives_no_token() {
    let (store, _clock) = store();
    let server = serve!(service::routes(bearers(&store).limit(Limit::at_most(3))));
    for _ in 0..3 {
        let device = BearerLayer::new().layer(server.channel.clone());
        log_in(device).await.unwrap();
    }
    let fourth = BearerLayer::new();

    let refused = log_in(fourth.layer(server.channel.clone()))
        .await
        .unwrap_err();

    assert_eq!(
        (refused.code(), refused.message()),
        (Code::ResourceExhausted, "limit_reached")
    );
    assert!(fourth.token().is_none());
    assert_eq!(ids(&store, "alice").await.len(), 3);
}

// T33
#[tokio::test]
async fn a_sign_in_that_is_not_stored_is_unavailable_and_gives_no_token() {
    let (store, _clock) = store();
    let faulty = FaultyStore::new(&store);
    faulty.always([Method::Create], Fault::Fail);
    let layer = SessionLayer::new(faulty).token_source(TokenSource::Bearer);
    let server = serve!(service::routes(layer));
    let bearer = BearerLayer::new();

    let refused = log_in(bearer.layer(server.channel.clone()))
        .await
        .unwrap_err();

    assert_eq!(refused.code(), Code::Unavailable);
    assert!(bearer.token().is_none());
}
