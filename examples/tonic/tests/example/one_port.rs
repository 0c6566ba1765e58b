//! Pages of axum and services of tonic on one port, with one store: what the guide's page on gRPC says.

use axum::{
    Router,
    routing::{get, post},
};
use http::{StatusCode, header};
use tonic::{
    Code, Status,
    service::Routes,
    transport::{Channel, Endpoint},
};
use tower::Layer;
use tower_user_sessions::{
    BearerLayer, EndStreams, MemoryStore, RequireUser, Session, SessionLayer, TokenSource,
};

use crate::{
    common::http::{ids, store},
    pb::{
        ListDevicesRequest, LoginRequest, WhoAmIRequest, devices_client::DevicesClient,
        devices_server::DevicesServer, sign_in_client::SignInClient, sign_in_server::SignInServer,
    },
    service::{DevicesService, SignInService},
    story::http_server::{Server, both_versions},
};

fn app(store: MemoryStore) -> Router {
    let sessions = SessionLayer::new(store);
    let pages = Router::new()
        .route(
            "/",
            get(async |session: Session| match session.user_id() {
                Some(user) => user.to_string(),
                None => "a guest".to_owned(),
            }),
        )
        .route(
            "/login",
            post(async |session: Session| session.log_in("alice")),
        )
        .layer(EndStreams::new())
        .layer(sessions.clone());
    let services = Routes::new(SignInServer::new(SignInService))
        .add_service(RequireUser::new().layer(DevicesServer::new(DevicesService)))
        .prepare()
        .into_axum_router()
        .layer(EndStreams::new())
        .layer(sessions.token_source(TokenSource::Bearer));
    // tonic's own answers unknown paths with 200.
    pages
        .merge(services)
        .fallback(async || StatusCode::NOT_FOUND)
}

async fn channel(server: &Server) -> Channel {
    let endpoint = Endpoint::new(format!("http://{}", server.address)).unwrap();
    endpoint.connect().await.unwrap()
}

#[tokio::test]
async fn pages_with_a_cookie_and_services_with_a_bearer_token_share_a_port_and_the_list() {
    let (store, _clock) = store();
    let server = both_versions(app(store.clone())).await;
    let url = |path: &str| format!("http://{}{path}", server.address);
    let one = reqwest::Client::builder().http1_only().build().unwrap();
    let two = reqwest::Client::builder().http2_prior_knowledge();
    let two = two.build().unwrap();

    let answer = one.post(url("/login")).send().await.unwrap();
    let cookie = answer.headers()[header::SET_COOKIE].to_str().unwrap();
    let cookie = cookie.split(';').next().unwrap();
    let phone = BearerLayer::new();
    let channel = phone.layer(channel(&server).await);
    let credentials = LoginRequest {
        user: "alice".to_owned(),
        password: "demo".to_owned(),
        keep_others: false,
    };
    let answer = SignInClient::new(channel.clone()).login(credentials).await;

    assert!(!answer.unwrap().metadata().contains_key("set-cookie"));
    assert!(phone.token().is_some());
    let mut devices = DevicesClient::new(channel);
    let list = devices.list_devices(ListDevicesRequest {}).await.unwrap();
    assert_eq!(list.into_inner().devices.len(), 2);
    assert_eq!(ids(&store, "alice").await.len(), 2);
    for browser in [&one, &two] {
        let page = browser.get(url("/")).header(header::COOKIE, cookie);
        assert_eq!(page.send().await.unwrap().text().await.unwrap(), "alice");
        let unknown = browser.get(url("/nowhere")).send().await.unwrap();
        assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn a_guest_gets_a_grpc_status_beside_pages_too() {
    let (store, _clock) = store();
    let server = both_versions(app(store)).await;
    let channel = channel(&server).await;

    let guest: Result<_, Status> = DevicesClient::new(channel).who_am_i(WhoAmIRequest {}).await;

    let status = guest.unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::Unauthenticated, "not_signed_in")
    );
}
