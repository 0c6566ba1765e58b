//! Where requests come from, for every server that speaks HTTP: the address by the trusted header,
//! the device by its client hints, the origin by the host.

use http::Version;
use serde_json::Value;
use tower_user_sessions::{ClientIp, MemoryStore, SessionLayer};

use super::http_server::{self, Server};

fn layer() -> SessionLayer {
    SessionLayer::new(MemoryStore::new()).client_ip(ClientIp::XRealIp)
}

async fn servers() -> [(Server, Version); 3] {
    [
        (http_server::axum(layer()).await, Version::HTTP_11),
        (http_server::hyper(layer()).await, Version::HTTP_11),
        (http_server::hyper(layer()).await, Version::HTTP_2),
    ]
}

/// The cookie of a signed-in browser, and the client that sends it.
async fn sign_in(server: &Server, version: Version) -> (reqwest::Client, String) {
    let client = reqwest::Client::builder();
    let client = if version == Version::HTTP_2 {
        client.http2_prior_knowledge().build().unwrap()
    } else {
        client.http1_only().build().unwrap()
    };
    let request = client.post(format!("http://{}/login", server.address));
    let request = request
        .header("x-real-ip", "198.51.100.4")
        .header(
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64; rv:1.0) Gecko/20100101 Firefox/1.0",
        )
        .header(
            "sec-ch-ua",
            r#""Chromium";v="142", "Google Chrome";v="142", "Not_A Brand";v="99""#,
        )
        .header("sec-ch-ua-mobile", "?0")
        .header("sec-ch-ua-platform", r#""Windows""#);
    let answer = request.send().await;
    let line = answer.unwrap().headers()["set-cookie"].clone();
    let pair = line.to_str().unwrap().split(';').next().unwrap();
    (client, pair.to_owned())
}

async fn list(server: &Server, client: &reqwest::Client, cookie: &str) -> Vec<Value> {
    let request = client.get(format!("http://{}/sessions", server.address));
    let answer = request.header("cookie", cookie).send().await.unwrap();
    let list: Value = answer.json().await.unwrap();
    list["sessions"].as_array().unwrap().clone()
}

// T38
#[tokio::test]
async fn a_sign_in_stores_the_address_named_by_the_trusted_proxy() {
    for (server, version) in servers().await {
        let (client, cookie) = sign_in(&server, version).await;

        let list = list(&server, &client, &cookie).await;

        assert_eq!(list[0]["ipAddress"], "198.51.100.4", "{version:?}");
    }
}

// T37
#[tokio::test]
async fn a_device_is_named_by_its_client_hints_before_its_user_agent() {
    for (server, version) in servers().await {
        let (client, cookie) = sign_in(&server, version).await;

        let list = list(&server, &client, &cookie).await;

        assert_eq!(
            list[0]["device"]["label"], "Chrome 142 on Windows",
            "{version:?}"
        );
    }
}

// T40
#[tokio::test]
async fn a_request_from_another_origin_ends_nothing_and_one_from_the_same_origin_does() {
    for (server, version) in servers().await {
        sign_in(&server, version).await;
        let (client, cookie) = sign_in(&server, version).await;
        let url = format!("http://{}/sessions/logout-all", server.address);
        let own = format!("http://{}", server.address);
        let neighbour = format!("http://127.0.0.1:{}", server.address.port() ^ 1);

        for (origin, status, left) in [
            ("http://evil.test", 403, 2),
            ("null", 403, 2),
            (&neighbour, 403, 2),
            (&own, 200, 1),
        ] {
            let request = client.post(&url).header("cookie", &cookie);
            let answer = request.header("origin", origin).send().await.unwrap();

            assert_eq!(answer.version(), version);
            assert_eq!(answer.status(), status, "{version:?} {origin}");
            let list = list(&server, &client, &cookie).await;
            assert_eq!(list.len(), left, "{version:?} {origin}");
        }
    }
}
