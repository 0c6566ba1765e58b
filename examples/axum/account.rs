//! Routes for signed-in users.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use tower_user_sessions::{EndReason, Rejection, Session};

use super::{
    login::{self, Client},
    problem::not_signed_in,
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Me {
    user: String,
    session: String,
    created_at: String,
}

pub(crate) async fn me(session: Session) -> Response {
    let (Some(user), Some(id), Some(created)) =
        (session.user_id(), session.id(), session.created_at())
    else {
        let ended = session.ended();
        return not_signed_in(ended.map_or("not_signed_in", |notice| notice.reason.as_str()));
    };
    Json(Me {
        user: user.to_string(),
        session: id.to_string(),
        created_at: created.to_string(),
    })
    .into_response()
}

/// Shows what a password change does to sessions: all others end, and this browser gets a new token. A
/// thief of a session is signed out. The demo's password itself does not change.
pub(crate) async fn change_password(
    session: Session,
    client: Client,
) -> Result<Response, Rejection> {
    let Some(sessions) = session.user_sessions() else {
        return Ok(not_signed_in("not_signed_in"));
    };
    let sessions = sessions.because(EndReason::CredentialsChanged);
    sessions.end_others().await?;
    session.reauthenticated()?;
    Ok(login::done(client))
}
