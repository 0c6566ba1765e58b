//! Visits to a `DevicePage` through a `SessionLayer` in this process, as a browser without JavaScript.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use http_body_util::BodyExt;
use tower::{Layer, ServiceExt};
use tower_user_sessions::{DevicePage, SessionLayer};

use super::http::Client;

/// What the browser received.
#[derive(Debug)]
pub struct View {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

/// A form on a page.
#[derive(Debug)]
pub struct Form {
    /// `POST /devices/end`
    pub line: String,
    /// `id=…`
    pub fields: String,
    /// The label of its button.
    pub name: String,
}

/// Sends this request line (`GET /devices`) as this client.
pub async fn visit(
    layer: &SessionLayer,
    page: &DevicePage,
    client: &Client,
    line: &str,
    headers: &[(&str, &str)],
    fields: &str,
) -> View {
    let (method, path) = line.split_once(' ').unwrap();
    let mut request = client.head(path).map(|()| fields.to_owned());
    *request.method_mut() = method.parse().unwrap();
    let own = [("host", "app.test")];
    for (name, value) in own.iter().chain(headers) {
        let name: HeaderName = name.parse().unwrap();
        request
            .headers_mut()
            .insert(name, HeaderValue::from_str(value).unwrap());
    }
    let service = layer
        .clone()
        .reply_with(|_| panic!("the layer had to answer"))
        .layer(page.clone());
    let (head, body) = service.oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    View {
        status: head.status,
        headers: head.headers,
        body: String::from_utf8(body.into()).unwrap(),
    }
}

impl View {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Where the browser goes next, by a redirect or by itself from a page.
    pub fn location(&self) -> Option<&str> {
        let redirect = self.header(header::LOCATION.as_str());
        redirect.or_else(|| self.header("refresh")?.strip_prefix("0;url="))
    }

    /// The forms that change something, as a browser without JavaScript would send them.
    pub fn forms(&self) -> Vec<Form> {
        let forms = self.body.split("<form ").skip(1);
        forms
            .map(|form| form.split("</form>").next().unwrap())
            .filter(|form| !form.starts_with(r#"method="dialog""#))
            .map(|form| Form {
                line: format!(
                    "{} {}",
                    attribute(form, "method").to_uppercase(),
                    attribute(form, "action")
                ),
                fields: if form.contains(r#"name="id""#) {
                    format!("id={}", attribute(form, "value"))
                } else {
                    String::new()
                },
                name: if form.contains("aria-label") {
                    attribute(form, "aria-label").to_owned()
                } else {
                    text(form.split("<button").nth(1).unwrap())
                },
            })
            .collect()
    }

    /// The rows of the list, as text.
    pub fn rows(&self) -> Vec<String> {
        let rows = self.body.split("<li ").skip(1);
        rows.map(|row| {
            let row = row.split("</li>").next().unwrap();
            text(&row[row.find('<').unwrap()..])
        })
        .collect()
    }

    /// Every tag with the names of its attributes, in order. Hostile text must not change these.
    pub fn skeleton(&self) -> Vec<String> {
        let tags = self.body.split('<').skip(1);
        tags.map(|tag| {
            let tag = tag.split('>').next().unwrap();
            let outside: String = tag.split('"').step_by(2).collect();
            outside
        })
        .collect()
    }
}

fn attribute<'a>(html: &'a str, name: &str) -> &'a str {
    let start = format!(r#"{name}=""#);
    let (_, rest) = html.split_once(&start).unwrap();
    rest.split('"').next().unwrap()
}

/// The text between the tags, unescaped, with one space between its pieces.
pub fn text(html: &str) -> String {
    let pieces: Vec<String> = html
        .split('<')
        .filter_map(|piece| piece.split_once('>'))
        .map(|(_, text)| unescape(text).trim().to_owned())
        .filter(|text| !text.is_empty())
        .collect();
    pieces.join(" ")
}

pub fn unescape(html: &str) -> String {
    html.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&amp;", "&")
}
