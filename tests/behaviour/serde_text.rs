//! Ids and tickets in a path, a form or a JSON document: serde writes and reads their text.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use axum::extract::Path;
use axum::{Router, body::Body, routing::delete};
use http::{Request, StatusCode};
use tower::ServiceExt;
use tower_user_sessions::{SessionId, Ticket, UserId};

const ID: &str = "AAECAwQFBgcICQoL";

#[test]
fn ids_are_written_and_read_as_their_text() {
    let session: SessionId = ID.parse().unwrap();
    let user = UserId::new("alice").unwrap();

    let text = serde_json::to_string(&(session, &user)).unwrap();

    assert_eq!(text, format!(r#"["{ID}","alice"]"#));
    let read: (SessionId, UserId) = serde_json::from_str(&text).unwrap();
    assert_eq!(read, (session, user));
}

#[test]
fn text_that_is_no_id_is_an_error_that_says_what_is_wanted() {
    let session = serde_json::from_str::<SessionId>("\"short\"").unwrap_err();
    let user = serde_json::from_str::<UserId>("\"\"").unwrap_err();

    assert_eq!(
        session.to_string(),
        "not a session id, which has 16 characters of base64url"
    );
    assert_eq!(user.to_string(), "a user id is text of 1 to 255 bytes");
}

#[test]
fn a_ticket_that_is_made_up_is_refused_without_its_text() {
    let error = serde_json::from_str::<Ticket>("\"secret\"").unwrap_err();

    assert_eq!(
        error.to_string(),
        "not a ticket: send back the text of `Ticket::encode` as it is"
    );
}

#[tokio::test]
async fn axum_reads_the_session_id_from_the_path() {
    let end = async |Path(id): Path<SessionId>| id.to_string();
    let app = Router::<()>::new().route("/sessions/{id}", delete(end));
    let ask = async |id: &str| {
        let request = Request::delete(format!("/sessions/{id}"));
        let request = request.body(Body::empty()).unwrap();
        app.clone().oneshot(request).await.unwrap().status()
    };

    assert_eq!(ask(ID).await, StatusCode::OK);
    assert_eq!(ask("short").await, StatusCode::BAD_REQUEST);
}
