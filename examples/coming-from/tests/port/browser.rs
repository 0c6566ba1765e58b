//! A browser that keeps the cookies of one app.

use std::collections::BTreeMap;

use axum::{
    Router,
    body::Body,
    http::{Request, header},
};
use http_body_util::BodyExt;
use tower::ServiceExt;

/// What a user sees of an answer.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Seen {
    pub(crate) status: u16,
    pub(crate) location: Option<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) body: String,
}

#[derive(Clone)]
pub(crate) struct Browser {
    app: Router,
    cookies: BTreeMap<String, String>,
    /// The site whose page sends the requests, if it is not the app's own.
    pub(crate) origin: Option<&'static str>,
    /// The `state` of the last way to the provider: the two apps make different ones.
    pub(crate) state: String,
}

impl Browser {
    pub(crate) fn new(app: &Router) -> Self {
        Self {
            app: app.clone(),
            cookies: BTreeMap::new(),
            origin: None,
            state: String::new(),
        }
    }

    /// Lets go of the app, and keeps the cookies.
    pub(crate) fn stop(&mut self) {
        self.app = Router::new();
    }

    /// Goes on with this app.
    pub(crate) fn visit(&mut self, app: &Router) {
        self.app = app.clone();
    }

    pub(crate) fn has_cookie(&self) -> bool {
        !self.cookies.is_empty()
    }

    /// Sends `GET /path`, or `POST /path body` as a form. `{state}` is the last state.
    pub(crate) async fn send(&mut self, line: &str) -> Seen {
        let line = line.replace("{state}", &self.state);
        let mut words = line.splitn(3, ' ');
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        let form = words.next().unwrap_or_default().to_owned();
        let cookies: Vec<String> = self
            .cookies
            .iter()
            .map(|(n, v)| format!("{n}={v}"))
            .collect();
        let mut request = Request::builder().method(method).uri(path);
        if !cookies.is_empty() {
            request = request.header(header::COOKIE, cookies.join("; "));
        }
        if let Some(origin) = self.origin {
            request = request.header(header::ORIGIN, origin);
        }
        if method == "POST" {
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        let request = request.body(Body::from(form)).unwrap();

        let (head, body) = self
            .app
            .clone()
            .oneshot(request)
            .await
            .unwrap()
            .into_parts();

        for line in head.headers.get_all(header::SET_COOKIE) {
            self.keep(line.to_str().unwrap());
        }
        let text = |name| {
            head.headers
                .get(name)
                .map(|value| value.to_str().unwrap().to_owned())
        };
        let body = body.collect().await.unwrap().to_bytes();
        Seen {
            status: head.status.as_u16(),
            location: text(header::LOCATION).map(|location| self.without_state(location)),
            content_type: text(header::CONTENT_TYPE),
            body: String::from_utf8(body.into()).unwrap(),
        }
    }

    fn keep(&mut self, line: &str) {
        let (pair, attributes) = line.split_once(';').unwrap_or((line, ""));
        let (name, value) = pair.split_once('=').unwrap();
        if attributes.contains("Max-Age=0") {
            self.cookies.remove(name);
        } else {
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
    }

    fn without_state(&mut self, location: String) -> String {
        let Some((before, state)) = location.split_once("state=") else {
            return location;
        };
        state.clone_into(&mut self.state);
        format!("{before}state={{state}}")
    }
}
