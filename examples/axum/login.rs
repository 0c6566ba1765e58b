//! Sign in and out, for programs and for browsers without JavaScript.

use std::convert::Infallible;

use axum::{
    Form, Json,
    extract::{FromRequest, FromRequestParts, Request, State},
    http::{
        HeaderMap, StatusCode,
        header::{ACCEPT, CONTENT_TYPE},
        request::Parts,
    },
    response::{IntoResponse, Redirect, Response},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tower_user_sessions::{CommitError, Login, Rejection, Session};

use super::{cart::CART, pages, picker, problem::problem, users::Users};

pub(crate) async fn log_in(
    State(users): State<Users>,
    session: Session,
    client: Client,
    Sent(Credentials { username, password }): Sent<Credentials>,
) -> Result<Response, Rejection> {
    let Some(user) = users.check(&username, password).await else {
        let (status, title) = (StatusCode::UNAUTHORIZED, "Wrong name or password");
        return match client {
            Client::Page => pages::page(&session, status, Some(title)),
            Client::Program => Ok(problem(status, title, "wrong_credentials")),
        };
    };
    session.log_in_with(Login::new(user).carry([CART]))?;
    if client == Client::Page {
        // At once, so that a refusal becomes a page. For programs the layer's own response is enough.
        match session.commit().await {
            Ok(_) => return Ok(Redirect::to(pages::WELCOME).into_response()),
            Err(CommitError::LimitReached(reached)) => return Ok(picker::page(&reached)),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(done(client))
}

pub(crate) async fn log_out(session: Session, client: Client) -> Result<Response, Rejection> {
    session.log_out()?;
    Ok(done(client))
}

#[derive(Serialize)]
struct Done {
    success: bool,
}

/// The response after success: a page for browsers, JSON for programs.
pub(crate) fn done(client: Client) -> Response {
    match client {
        Client::Page => Redirect::to("/").into_response(),
        Client::Program => Json(Done { success: true }).into_response(),
    }
}

/// The kind of client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Client {
    /// A browser that sent a form and shows the response.
    Page,
    Program,
}

impl<S: Sync> FromRequestParts<S> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let html = text(&parts.headers, ACCEPT.as_str()).contains("text/html");
        Ok(if html && is_form(&parts.headers) {
            Self::Page
        } else {
            Self::Program
        })
    }
}

/// What a client sent as a form or as JSON.
pub(crate) struct Sent<T>(pub(crate) T);

/// Name and password. It has no `Debug`, because of the password.
#[derive(Deserialize)]
pub(crate) struct Credentials {
    username: String,
    password: String,
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Sent<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        if is_form(request.headers()) {
            let form = Form::from_request(request, state).await;
            return form
                .map(|Form(sent)| Self(sent))
                .map_err(|error| unreadable(error.status()));
        }
        let json = Json::from_request(request, state).await;
        json.map(|Json(sent)| Self(sent))
            .map_err(|error| unreadable(error.status()))
    }
}

/// Does not quote the request, because it may contain a password.
fn unreadable(status: StatusCode) -> Response {
    let title = "Send the fields of the form, as a form or as JSON";
    problem(status, title, "unreadable")
}

fn is_form(headers: &HeaderMap) -> bool {
    text(headers, CONTENT_TYPE.as_str()).starts_with("application/x-www-form-urlencoded")
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}
