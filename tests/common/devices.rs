//! Requests to the device API.

use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use tower::{Layer, ServiceExt};
use tower_user_sessions::{DeviceApi, SessionId, SessionLayer};

use super::http::Client;

pub struct Got {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Got {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Sends a request line such as `POST /sessions/logout-all` as this client, with these headers.
pub async fn call(
    layer: &SessionLayer,
    client: &Client,
    line: &str,
    headers: &[(&str, &str)],
) -> Got {
    through(layer, DeviceApi::at("/sessions"), client, line, headers).await
}

pub async fn through(
    layer: &SessionLayer,
    api: DeviceApi,
    client: &Client,
    line: &str,
    headers: &[(&str, &str)],
) -> Got {
    let (method, path) = line.split_once(' ').unwrap();
    let mut request: Request<()> = client.head(path);
    *request.method_mut() = method.parse().unwrap();
    request
        .headers_mut()
        .insert("host", "app.test".parse().unwrap());
    for (name, value) in headers {
        let name: http::HeaderName = name.parse().unwrap();
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    let service = layer
        .clone()
        .reply_with(|_| panic!("the layer had to answer"))
        .layer(api);
    let (head, body) = service.oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Got {
        status: head.status,
        headers: head.headers,
        body: String::from_utf8(body.into()).unwrap(),
    }
}

pub async fn signed_in(layer: &SessionLayer, id: &str) -> (Client, SessionId) {
    let mut client = Client::new(layer);
    let id = client.log_in(id).await;
    (client, id)
}
