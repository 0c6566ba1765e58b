//! Routes for signed-in users.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use tower_user_sessions::{EndReason, Rejection, Session};

use super::{
    login::{self, Client, Sent},
    pages,
    problem::{not_signed_in, problem},
    users::Users,
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

/// The password of now. It has no `Debug`.
#[derive(Deserialize)]
pub(crate) struct Present {
    password: String,
}

/// Shows what a password change does to sessions: all others end, and this browser gets a new token. A
/// copied token opens nothing any more, but a stream opened with it goes on: see the guide's "Change a
/// password". The thief does not know the present password, so it is asked for (ASVS 6.2.3). The demo's
/// password itself does not change.
pub(crate) async fn change_password(
    State(users): State<Users>,
    session: Session,
    client: Client,
    Sent(Present { password }): Sent<Present>,
) -> Result<Response, Rejection> {
    let Some(sessions) = session.user_sessions() else {
        return Ok(not_signed_in("not_signed_in"));
    };
    let user = sessions.user_id().as_str();
    if users.check(user, password).await.is_none() {
        let (status, title) = (StatusCode::FORBIDDEN, "Wrong password");
        return match client {
            Client::Page => pages::page(&session, status, Some(title)),
            Client::Program => Ok(problem(status, title, "wrong_password")),
        };
    }
    let sessions = sessions.because(EndReason::CredentialsChanged);
    sessions.end_others().await?;
    session.reauthenticated()?;
    Ok(login::done(client))
}
