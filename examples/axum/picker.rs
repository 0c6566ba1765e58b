//! At the limit, with `EXCESS=refuse`: the user picks a device to sign out.

use axum::{
    Form,
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use tower_user_sessions::{
    CommitError, LimitReached, Login, Rejection, Session, SessionErrorKind, SessionInfo, Ticket,
};

use super::{
    cart::CART,
    markup::{Escaped, push},
    pages,
};

/// The form of the picker. It has no `Debug`, because the ticket can sign in.
#[derive(Deserialize)]
pub(crate) struct Pick {
    ticket: String,
    session: String,
}

/// Asks which device to sign out, after the limit refused a sign-in.
pub(crate) fn page(reached: &LimitReached) -> Response {
    let mut main = "<p role=\"alert\">You are signed in on as many devices as you may be. \
                    Which one do you want to sign out?</p>\n"
        .to_owned();
    if let Some(ticket) = &reached.ticket {
        for info in &reached.sessions {
            choice(&mut main, ticket, info);
        }
    }
    main.push_str("<p><a href=\"/\">None of them</a></p>\n");
    pages::whole(StatusCode::CONFLICT, &main)
}

fn choice(main: &mut String, ticket: &Ticket, info: &SessionInfo) {
    let (device, last) = (info.device().label(), info.last_activity());
    push(
        main,
        format_args!(
            "<form method=\"post\" action=\"/login/pick\">\n\
             <input type=\"hidden\" name=\"ticket\" value=\"{}\">\n\
             <input type=\"hidden\" name=\"session\" value=\"{}\">\n\
             <p><strong>{}</strong>, last active <time datetime=\"{last}\">{last}</time></p>\n\
             <button>Sign out {}</button>\n</form>\n",
            Escaped(&ticket.encode()),
            info.id(),
            Escaped(&device),
            Escaped(&device),
        ),
    );
}

/// Signs out the picked device and signs in here.
pub(crate) async fn pick(session: Session, Form(pick): Form<Pick>) -> Result<Response, Rejection> {
    let (Ok(ticket), Ok(id)) = (pick.ticket.parse(), pick.session.parse()) else {
        return too_late(&session);
    };
    let login = Login::by_ticket(ticket, Some(id)).carry([CART]);
    match session.log_in_with(login) {
        Err(error) if error.kind() == SessionErrorKind::Ticket => return too_late(&session),
        staged => staged?,
    }
    match session.commit().await {
        Ok(_) => Ok(Redirect::to(pages::WELCOME).into_response()),
        Err(CommitError::LimitReached(reached)) => Ok(page(&reached)),
        Err(CommitError::Disabled) => {
            let message = "You cannot sign in at the moment.";
            pages::page(&session, StatusCode::FORBIDDEN, Some(message))
        }
        Err(CommitError::NoTicket | CommitError::Rejected | CommitError::TooOld) => {
            too_late(&session)
        }
        Err(error) => Err(error.into()),
    }
}

fn too_late(session: &Session) -> Result<Response, Rejection> {
    let message = "That took too long. Please sign in again.";
    pages::page(session, StatusCode::UNAUTHORIZED, Some(message))
}
