//! What a signed-in user asks for.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use tower_user_sessions::{EndReason, Session};

use super::{
    login::{self, Client},
    problem::{Failure, not_signed_in},
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

/// Shows what a new password does to sessions: all others end, whoever had stolen one is out, and this
/// browser goes on with a new token. The demo's password itself stays `demo`.
pub(crate) async fn change_password(session: Session, client: Client) -> Result<Response, Failure> {
    let Some(sessions) = session.user_sessions() else {
        return Ok(not_signed_in("not_signed_in"));
    };
    let sessions = sessions.because(EndReason::CredentialsChanged);
    sessions.end_others().await?;
    session.reauthenticated()?;
    Ok(login::done(client))
}
