//! A WebSocket of the example says by the code of its close what the client can do next.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_stream::StreamExt;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{
        Message,
        client::IntoClientRequest,
        http::header::COOKIE,
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

use crate::common::{
    app::{App, TRIES},
    browser,
    redis::Server,
};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn sign_in(app: &App) -> String {
    let client = browser::patient(Duration::from_secs(60));
    let answer = browser::log_in(&client, app.url("/login"), "Desktop/1.0").await;
    assert_eq!(answer.status, 200);
    answer.token()
}

/// The status of a request with this token, where the store may be slow.
async fn me(app: &App, token: &str) -> u16 {
    let client = browser::patient(Duration::from_secs(60));
    browser::get(&client, app.url("/me"), Some(token))
        .await
        .status
}

/// Opens the ticker, and returns when it has counted a second.
async fn opens(app: &App, token: &str) -> Socket {
    let address = format!("ws://127.0.0.1:{}/ticker", app.port());
    let mut request = address.into_client_request().unwrap();
    let cookie = format!("__Host-session={token}").parse().unwrap();
    request.headers_mut().insert(COOKIE, cookie);
    let (mut socket, _) = connect_async(request).await.unwrap();
    assert_eq!(next(&mut socket).await, Message::text("1"));
    socket
}

async fn next(socket: &mut Socket) -> Message {
    let frame = timeout(Duration::from_secs(60), socket.next()).await;
    frame.unwrap().unwrap().unwrap()
}

/// How the app closes it.
async fn closed(mut socket: Socket) -> CloseFrame {
    loop {
        match next(&mut socket).await {
            Message::Text(_) => {}
            Message::Close(Some(close)) => return close,
            other => panic!("{other:?}"),
        }
    }
}

// T41 T42
#[tokio::test]
async fn a_websocket_is_closed_as_a_matter_of_policy_when_its_session_ended() {
    let app = App::start(&[]);
    let token = sign_in(&app).await;
    let socket = opens(&app, &token).await;
    let client = browser::patient(Duration::from_secs(60));

    let out = browser::post(&client, app.url("/logout"), Some(&token)).await;

    assert_eq!(out.status, 200);
    let close = closed(socket).await;
    assert_eq!(close.code, CloseCode::Policy);
    assert_eq!(close.reason, "You signed out.");
}

/// Otherwise the connection is reset, and browsers that are sending report 1006 without a reason.
// T41 T42
#[tokio::test]
async fn a_websocket_reads_what_its_client_still_sends_until_the_client_closes_it_too() {
    let app = App::start(&[]);
    let token = sign_in(&app).await;
    let mut socket = opens(&app, &token).await;
    let client = browser::patient(Duration::from_secs(60));
    browser::post(&client, app.url("/logout"), Some(&token)).await;
    // Below the client library, which answers a close by itself.
    let MaybeTlsStream::Plain(stream) = socket.get_mut() else {
        panic!("no TLS");
    };
    let mut said = Vec::new();
    while !said.ends_with(b"You signed out.") {
        let read = timeout(Duration::from_secs(60), stream.read_buf(&mut said)).await;
        assert!(read.unwrap().unwrap() > 0, "{said:?}");
    }

    // A masked frame with the text "x".
    let frame = [0x81, 0x81, 0, 0, 0, 0, b'x'];
    for _ in 0..200 {
        stream.write_all(&frame).await.unwrap();
        tokio::task::yield_now().await;
    }
    // A masked close without a code.
    stream.write_all(&[0x88, 0x80, 0, 0, 0, 0]).await.unwrap();

    let rest = timeout(Duration::from_secs(60), stream.read_to_end(&mut said)).await;
    assert_eq!(rest.unwrap().unwrap(), 0);
}

// T41 T42
#[tokio::test]
async fn a_long_name_of_another_device_does_not_break_the_close_of_a_websocket() {
    let app = App::start(&[("MAX_SESSIONS", "1")]);
    let socket = opens(&app, &sign_in(&app).await).await;
    let name = "x".to_owned() + &"\u{1f511}".repeat(39);
    let brand = HeaderValue::from_bytes(format!("\"{name}\";v=\"1\"").as_bytes()).unwrap();
    let headers = HeaderMap::from_iter([(HeaderName::from_static("sec-ch-ua"), brand)]);
    let client = reqwest::Client::builder()
        .no_proxy()
        .default_headers(headers);

    let sign_in = client.build().unwrap().post(app.url("/login"));
    let sign_in = sign_in.form(&[("username", "alice"), ("password", "demo")]);
    let other = sign_in.send().await.unwrap();

    assert_eq!(other.status(), 200);
    let close = closed(socket).await;
    assert_eq!(close.code, CloseCode::Policy);
    let start = "You were signed out because you signed in on x\u{1f511}";
    assert!(close.reason.starts_with(start), "{}", close.reason);
    assert!(close.reason.ends_with('…'), "{}", close.reason);
}

// T41
#[tokio::test]
async fn a_websocket_whose_store_cannot_be_asked_is_closed_with_try_again_and_can_open_again() {
    let redis = Server::start();
    let url = redis.url();
    let app = App::start(&[("REDIS_URL", &url), ("LOOK_EVERY_SECS", "1")]);
    let token = sign_in(&app).await;
    let socket = opens(&app, &token).await;

    redis.suspend();
    let close = closed(socket).await;
    redis.resume();

    assert_eq!(
        (close.code, u16::from(close.code)),
        (CloseCode::Again, 1013)
    );
    for _ in 0..TRIES {
        if me(&app, &token).await == 200 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    opens(&app, &token).await;
}
