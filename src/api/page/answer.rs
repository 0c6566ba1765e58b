//! The device page's answers.

use http::{
    HeaderValue, Response, StatusCode,
    header::{ALLOW, LOCATION, RETRY_AFTER},
};
use maud::Markup;

use super::{policy, setup::Setup, view};
use crate::{api::body::DeviceBody, session::UserSessionsError};

pub(super) type Answer = Response<DeviceBody>;

impl Setup {
    /// The page that says what became of a request, with the way back.
    fn say(&self, status: StatusCode, what: &str) -> Answer {
        html(status, view::notice(self, what))
    }

    pub(super) fn not_signed_in(&self) -> Answer {
        if let Some(login) = &self.login {
            return see(login);
        }
        let what = &self.words.not_signed_in;
        html(StatusCode::UNAUTHORIZED, view::dead_end(self, what))
    }

    pub(super) fn not_yours(&self) -> Answer {
        self.say(StatusCode::FORBIDDEN, &self.words.not_yours)
    }

    pub(super) fn foreign_origin(&self) -> Answer {
        self.say(StatusCode::FORBIDDEN, &self.words.foreign_origin)
    }

    pub(super) fn not_found(&self) -> Answer {
        self.say(StatusCode::NOT_FOUND, &self.words.not_found)
    }

    pub(super) fn method_not_allowed(&self, allow: &'static str) -> Answer {
        let mut answer = self.say(StatusCode::METHOD_NOT_ALLOWED, &self.words.not_found);
        let allow = HeaderValue::from_static(allow);
        answer.headers_mut().insert(ALLOW, allow);
        answer
    }

    pub(super) fn misconfigured(&self) -> Answer {
        let what = &self.words.failed;
        html(
            StatusCode::INTERNAL_SERVER_ERROR,
            view::dead_end(self, what),
        )
    }

    pub(super) fn unavailable(&self) -> Answer {
        let what = &self.words.unavailable;
        let mut answer = self.say(StatusCode::SERVICE_UNAVAILABLE, what);
        let seconds = HeaderValue::from_static("1");
        answer.headers_mut().insert(RETRY_AFTER, seconds);
        answer
    }

    pub(super) fn failed(&self, error: &UserSessionsError) -> Answer {
        match error {
            UserSessionsError::CallerEnded => self.not_signed_in(),
            UserSessionsError::Store(error) => {
                tracing::warn!(
                    error = error as &dyn std::error::Error,
                    kind = ?error.kind(),
                    "device page without its store"
                );
                self.unavailable()
            }
            UserSessionsError::Unknown => self.not_yours(),
        }
    }
}

pub(super) fn html(status: StatusCode, page: Markup) -> Answer {
    answer(status, DeviceBody::new(page.into_string()))
}

fn answer(status: StatusCode, body: DeviceBody) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    policy::apply(answer.headers_mut());
    answer
}

/// Sends the browser on, by GET.
pub(super) fn see(path: &str) -> Answer {
    let mut answer = answer(StatusCode::SEE_OTHER, DeviceBody::default());
    // Paths are escaped where they are set.
    let path = HeaderValue::try_from(path).unwrap_or(HeaderValue::from_static("/"));
    answer.headers_mut().insert(LOCATION, path);
    answer
}
