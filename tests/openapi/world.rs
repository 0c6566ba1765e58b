//! Requests to a real `DeviceApi`.

use std::{convert::Infallible, net::IpAddr};

use http::{Request, Response, header};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_user_sessions::{
    DeviceBody, Geo, Login, PeerAddr, Place, Session, SessionId, SessionLayer, SessionStore,
    UserId,
    store::{
        Create, Created, End, Ended, Forget, List, Look, Looked, NoteClient, Record, Resolve,
        Resolved, Rotate, Rotated, Save, Saved, StoreError, StoreErrorKind, Tag, Ticketed, Touch,
    },
};

use crate::document::Answer;

/// A signed-in client: its cookie, and its session.
pub(crate) struct Client {
    pub(crate) cookie: String,
    pub(crate) id: SessionId,
}

/// Signs `user` in, as one who comes from `address`.
pub(crate) async fn sign_in(layer: &SessionLayer, user: &str, counts: bool) -> Client {
    let user = UserId::new(user).unwrap();
    let handler = service_fn(move |request: Request<()>| {
        let session = request.extensions().get::<Session>().unwrap().clone();
        session
            .log_in_with(Login::new(user.clone()).counts(counts))
            .unwrap();
        let mut response = Response::new(String::new());
        response.extensions_mut().insert(session.id().unwrap());
        async move { Ok::<_, Infallible>(response) }
    });
    let request = Request::builder()
        .header(
            header::USER_AGENT,
            "Mozilla/5.0 (Windows NT 10.0; rv:144.0) Gecko/20100101 Firefox/144.0",
        )
        .extension(PeerAddr::from("2001:db8::1".parse::<IpAddr>().unwrap()))
        .body(())
        .unwrap();

    let response = layer.layer(handler).oneshot(request).await.unwrap();

    let cookie = response.headers()[header::SET_COOKIE].to_str().unwrap();
    Client {
        cookie: cookie.split(';').next().unwrap().to_owned(),
        id: *response.extensions().get().unwrap(),
    }
}

/// `POST /path`, by this client, with these headers.
pub(crate) async fn send<S>(
    service: S,
    line: &str,
    client: Option<&Client>,
    headers: &[(&str, &str)],
) -> Answer
where
    S: Service<Request<()>, Response = Response<DeviceBody>, Error = Infallible>,
{
    let (method, path) = line.split_once(' ').unwrap();
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "app.test");
    if let Some(client) = client {
        request = request.header(header::COOKIE, &client.cookie);
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (head, body) = service
        .oneshot(request.body(()).unwrap())
        .await
        .unwrap()
        .into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer {
        status: head.status,
        headers: head.headers,
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    }
}

/// Knows one place.
pub(crate) struct Berlin;

impl Geo for Berlin {
    fn place(&self, _address: IpAddr) -> Option<Place> {
        Some(Place::new().with_city("Berlin"))
    }
}

/// A store that does not answer.
pub(crate) struct Down;

fn down<T>() -> Result<T, StoreError> {
    Err(StoreError::new(StoreErrorKind::Unavailable))
}

impl SessionStore for Down {
    async fn resolve(&self, _: &Resolve) -> Result<Resolved, StoreError> {
        down()
    }

    async fn create(&self, _: &Create) -> Result<Created, StoreError> {
        down()
    }

    async fn ticket(&self, _: Tag, _: &Ticketed) -> Result<Option<Vec<u8>>, StoreError> {
        down()
    }

    async fn save(&self, _: &Save) -> Result<Saved, StoreError> {
        down()
    }

    async fn rotate(&self, _: &Rotate) -> Result<Rotated, StoreError> {
        down()
    }

    async fn list(&self, _: &List) -> Result<Vec<Record>, StoreError> {
        down()
    }

    async fn end(&self, _: &End) -> Result<Ended, StoreError> {
        down()
    }

    async fn forget(&self, _: &Forget) -> Result<(), StoreError> {
        down()
    }

    async fn note_client(&self, _: &NoteClient) -> Result<bool, StoreError> {
        down()
    }

    async fn look(&self, _: &Look) -> Result<Looked, StoreError> {
        down()
    }

    async fn touch(&self, _: &Touch) -> Result<(), StoreError> {
        down()
    }
}
