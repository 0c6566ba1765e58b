//! Requests to the example from inside the test, many at once. There is no cookie jar: the test
//! keeps the tokens.

use std::time::Duration;

use reqwest::{Client, Method, header};
use serde_json::Value;

/// A client that waits no longer than this for a response.
pub fn patient(most: Duration) -> Client {
    Client::builder().no_proxy().timeout(most).build().unwrap()
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub retry_after: Option<String>,
    /// The `Set-Cookie` line.
    pub cookie: Option<String>,
    pub body: String,
}

impl Answer {
    /// The token in the `Set-Cookie` line.
    pub fn token(&self) -> String {
        let cookie = self.cookie.as_deref().unwrap();
        let value = cookie.strip_prefix("__Host-session=").unwrap();
        let (token, _) = value.split_once(';').unwrap();
        token.to_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

pub async fn get(client: &Client, url: String, token: Option<&str>) -> Answer {
    send(client.request(Method::GET, url), token).await
}

pub async fn post(client: &Client, url: String, token: Option<&str>) -> Answer {
    send(client.request(Method::POST, url), token).await
}

pub async fn log_in(client: &Client, url: String, agent: &str) -> Answer {
    let request = client
        .request(Method::POST, url)
        .header(header::USER_AGENT, agent)
        .form(&[("username", "alice"), ("password", "demo")]);
    send(request, None).await
}

async fn send(mut request: reqwest::RequestBuilder, token: Option<&str>) -> Answer {
    if let Some(token) = token {
        request = request.header(header::COOKIE, format!("__Host-session={token}"));
    }
    let response = request.send().await.unwrap();
    let header = |name| {
        let value = response.headers().get(name)?;
        Some(value.to_str().unwrap().to_owned())
    };
    Answer {
        status: response.status().as_u16(),
        retry_after: header(header::RETRY_AFTER),
        cookie: header(header::SET_COOKIE),
        body: response.text().await.unwrap(),
    }
}
