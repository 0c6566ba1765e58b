//! What stays open: the page learns why its session ended, and a ticker over a WebSocket.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code},
    http::{
        HeaderMap, StatusCode, Uri,
        header::{CONTENT_TYPE, HOST, ORIGIN},
    },
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use tower_user_sessions::{EndWords, LiveEnd, LiveSession, Rejection, Session, User};

/// Where the page listens.
pub(crate) const EVENTS: &str = "/events";

/// How long a client may take to close its side of a WebSocket.
const FAREWELL: Duration = Duration::from_secs(5);

/// The event stream of an open page. `EndStreams` sends its only event, when the session ends.
pub(crate) async fn events(_user: User) -> impl IntoResponse {
    let quiet = tokio_stream::pending::<Result<Event, Infallible>>();
    Sse::new(quiet).keep_alive(KeepAlive::default())
}

/// Counts the seconds, until the session ends. A WebSocket is no body, so it waits for the end itself.
pub(crate) async fn ticker(
    session: Session,
    _user: User,
    uri: Uri,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Rejection> {
    if !is_own_page(&uri, &headers) {
        return Ok(StatusCode::FORBIDDEN.into_response());
    }
    let live = session.live()?;
    Ok(upgrade.on_upgrade(|socket| tick(socket, live)))
}

async fn tick(mut socket: WebSocket, live: LiveSession) {
    let mut seconds = 0_u64;
    let end = loop {
        tokio::select! {
            end = live.ended() => break end,
            message = socket.recv() => match message {
                Some(Ok(_)) => {}
                // The page was closed.
                Some(Err(_)) | None => return,
            },
            () = tokio::time::sleep(Duration::from_secs(1)) => {
                seconds += 1;
                if socket.send(Message::text(seconds.to_string())).await.is_err() {
                    return;
                }
            }
        }
    };
    let reason = end.close_reason(&EndWords::default()).into();
    let code = match end {
        // The session may be live: the store could not be asked for too long.
        LiveEnd::OutOfSight => close_code::AGAIN,
        _ => close_code::POLICY,
    };
    let close = CloseFrame { code, reason };
    let farewell = async {
        // The client may be gone already, or may not read.
        let _ = socket.send(Message::Close(Some(close))).await;
        // Until it closes too. A connection that ends while the client still sends loses the code and the reason.
        while let Some(Ok(_)) = socket.recv().await {}
    };
    let _ = tokio::time::timeout(FAREWELL, farewell).await;
}

/// Browsers send the cookie with a WebSocket of any site: only a page of this one may open it.
fn is_own_page(uri: &Uri, headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(origin) = text(ORIGIN) else {
        // Not a browser.
        return true;
    };
    let origin = origin.split_once("://").map(|(_, host)| host);
    // HTTP/2 has the host in the address, and no `Host`.
    let host = uri
        .authority()
        .map(|host| host.as_str())
        .or_else(|| text(HOST));
    origin.is_some() && origin == host
}

/// The script of the page: it shows why the session ended, without a reload.
pub(crate) async fn script() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/javascript")], include_str!("live.js"))
}
