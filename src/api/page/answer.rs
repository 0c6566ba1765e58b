//! The responses of the device page.

use http::{
    HeaderValue, Response, StatusCode,
    header::{ALLOW, LOCATION, REFRESH, RETRY_AFTER},
};
use maud::Markup;

use super::{
    policy,
    setup::{Fresh, Setup},
    view,
};
use crate::{
    api::body::DeviceBody,
    layer::{Rejection, RejectionKind, mistake, redirect::Page},
    model::{EndNotice, EndReason},
    session::UserSessionsError,
};

pub(super) type Answer = Response<DeviceBody>;

impl Setup {
    /// A page that says what became of a request, with the way back to the list.
    fn say(&self, status: StatusCode, what: &str) -> Answer {
        self.html(status, view::notice(self, what))
    }

    /// A page that says one thing to a client that has no list.
    fn dead_end(&self, status: StatusCode, what: &str, detail: Option<&str>) -> Answer {
        self.html(status, view::dead_end(self, what, detail))
    }

    /// With why the session of the browser ended, unless its user did that.
    pub(super) fn not_signed_in(&self, ended: Option<&EndNotice>) -> Answer {
        if let Some(login) = &self.login {
            return self.see_page(login);
        }
        let by_user = |notice: &&EndNotice| {
            matches!(notice.reason, EndReason::LoggedOut | EndReason::Replaced)
        };
        let why = ended
            .filter(|notice| !by_user(notice))
            .map(|notice| self.words.ended.message(notice));
        let what = &self.words.not_signed_in;
        self.dead_end(StatusCode::UNAUTHORIZED, what, why.as_deref())
    }

    /// The user has to prove again who they are.
    pub(super) fn stale_sign_in(&self, fresh: &Fresh) -> Answer {
        match &fresh.prove {
            Some(prove) => self.see_page(prove),
            None => self.say(StatusCode::UNAUTHORIZED, &self.words.stale),
        }
    }

    pub(super) fn not_yours(&self) -> Answer {
        self.say(StatusCode::FORBIDDEN, &self.words.not_yours)
    }

    pub(super) fn foreign_origin(&self) -> Answer {
        mistake::foreign_origin("DevicePage");
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

    fn unavailable(&self) -> Answer {
        let what = &self.words.unavailable;
        let mut answer = self.say(StatusCode::SERVICE_UNAVAILABLE, what);
        let seconds = HeaderValue::from_static("1");
        answer.headers_mut().insert(RETRY_AFTER, seconds);
        answer
    }

    pub(super) fn failed(&self, error: UserSessionsError) -> Answer {
        self.rejected(&error.into())
    }

    pub(super) fn rejected(&self, rejection: &Rejection) -> Answer {
        match rejection.kind() {
            RejectionKind::NotSignedIn => self.not_signed_in(rejection.ended()),
            RejectionKind::NotYours => self.not_yours(),
            RejectionKind::Unavailable => self.unavailable(),
            _ => self.dead_end(rejection.status(), &self.words.failed, rejection.detail()),
        }
    }

    pub(super) fn html(&self, status: StatusCode, page: Markup) -> Answer {
        self.answer(status, DeviceBody::new(page.into_string()))
    }

    fn answer(&self, status: StatusCode, body: DeviceBody) -> Answer {
        let mut answer = Response::new(body);
        *answer.status_mut() = status;
        policy::apply(answer.headers_mut(), self.header.is_some());
        answer
    }

    /// Sends the browser to another page of this service, by GET.
    pub(super) fn see(&self, path: &str) -> Answer {
        // The prefix is escaped where it is set.
        let path = HeaderValue::try_from(path).unwrap_or(HeaderValue::from_static("/"));
        self.see_at(path)
    }

    /// Sends the browser from a form to a page outside of this one by a page of its own.
    ///
    /// `form-action` covers the redirects after a form, too. If the other page redirects to an identity provider, as it may,
    /// the browser would stay where it is, and display nothing.
    pub(super) fn after_form(&self, answer: Answer) -> Answer {
        let Some(page) = answer.extensions().get::<Page>() else {
            return answer;
        };
        let location = page.location();
        let path = location.to_str().unwrap_or("/");
        let refresh = HeaderValue::try_from(format!("0;url={path}"));
        let mut answer = self.html(StatusCode::OK, view::leave(self, path));
        if let Ok(refresh) = refresh {
            answer.headers_mut().insert(REFRESH, refresh);
        }
        answer
    }

    fn see_page(&self, page: &Page) -> Answer {
        let mut answer = self.see_at(page.location());
        answer.extensions_mut().insert(page.clone());
        answer
    }

    fn see_at(&self, location: HeaderValue) -> Answer {
        let mut answer = self.answer(StatusCode::SEE_OTHER, DeviceBody::default());
        answer.headers_mut().insert(LOCATION, location);
        answer
    }
}
