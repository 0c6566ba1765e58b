//! A node in a process of its own, and browsers in front of it.

use std::{net::SocketAddr, time::Duration};

use reqwest::{
    Method, StatusCode,
    header::{CONTENT_TYPE, COOKIE, HeaderMap, ORIGIN, SET_COOKIE},
};
use tower_user_sessions::{
    Limit, RedisStore, SessionLayer, TokenSource,
    store::{RedisLive, RedisSource},
};

use super::node::Node;
use crate::common::child::{self, Child, say, wait_for};

/// The test that is such a process.
const ENTRY: &str = "streams::process::a_node";

/// A node in a process of its own. It stops when this is dropped.
pub(super) struct Process {
    pub(super) node: Node,
    child: Child,
}

impl Process {
    /// Starts a node on the server at this address. It reports ends or not, and its streams ask again after this lease.
    pub(super) async fn start(url: &str, reports: bool, lease: Duration) -> Self {
        let lease = lease.as_millis();
        let orders = format!("{url} {} {lease}", u8::from(reports));
        let mut child = Child::start(ENTRY, &orders);
        let said = child.says("serves").await;
        let [axum, tonic, hyper] = numbers(&said);
        Self {
            node: Node { axum, tonic, hyper },
            child,
        }
    }

    pub(super) fn suspend(&self) {
        self.child.suspend();
    }

    pub(super) fn resume(&self) {
        self.child.resume();
    }
}

fn numbers(said: &str) -> [SocketAddr; 3] {
    let all: Vec<SocketAddr> = said
        .split_whitespace()
        .map(|address| address.parse().unwrap())
        .collect();
    all.try_into().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "the tests of streams start it"]
async fn a_node() {
    let orders = child::orders();
    let [url, reports, lease] = orders.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{orders}");
    };
    let mut store = RedisStore::builder(RedisSource::url(url).unwrap());
    if reports == "1" {
        store = store.live(RedisLive::ends());
    }
    let store = store.build();
    let layer = SessionLayer::new(store.clone())
        .token_source(TokenSource::CookieThenBearer)
        .limit(Limit::at_most(1))
        .rotation_grace(Duration::ZERO)
        .look_every(Duration::from_millis(lease.parse().unwrap()));
    let Node { axum, tonic, hyper } = Node::start(layer, store).await;
    say(&format!("serves {axum} {tonic} {hyper}"));
    wait_for("stop").await;
}

/// A browser that is signed in at a node.
#[derive(Clone)]
pub(super) struct Browser {
    http: reqwest::Client,
    node: SocketAddr,
    pub(super) token: String,
}

impl Browser {
    /// Signs in. The user may then have so many sessions.
    pub(super) async fn signed_in(node: SocketAddr, user: &str, most: u16) -> Self {
        let mut browser = Self {
            http: reqwest::Client::new(),
            node,
            token: String::new(),
        };
        let path = format!("/login/{user}/{most}");
        assert_eq!(browser.post(&path, &[]).await, StatusCode::OK);
        assert_eq!(browser.get("/me").await, (StatusCode::OK, user.to_owned()));
        browser
    }

    pub(super) async fn get(&self, path: &str) -> (StatusCode, String) {
        let request = self.http.get(format!("http://{}{path}", self.node));
        let answer = request.header(COOKIE, self.cookie()).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }

    /// Sends a form without fields, as the pages of this site do, or with other headers.
    pub(super) async fn post(&mut self, path: &str, headers: &[(&str, &str)]) -> StatusCode {
        let own = format!("http://{}", self.node);
        let mut all = HeaderMap::new();
        all.insert(ORIGIN, own.parse().unwrap());
        all.insert("sec-fetch-site", "same-origin".parse().unwrap());
        let form = "application/x-www-form-urlencoded";
        all.insert(CONTENT_TYPE, form.parse().unwrap());
        for (name, value) in headers {
            let name: reqwest::header::HeaderName = name.parse().unwrap();
            all.insert(name, value.parse().unwrap());
        }
        let request = self.http.request(Method::POST, format!("{own}{path}"));
        let request = request.header(COOKIE, self.cookie()).headers(all);
        let answer = request.send().await.unwrap();
        for line in answer.headers().get_all(SET_COOKIE) {
            if let Some(rest) = line.to_str().unwrap().strip_prefix("__Host-session=") {
                self.token = rest.split(';').next().unwrap().to_owned();
            }
        }
        answer.status()
    }

    fn cookie(&self) -> String {
        format!("__Host-session={}", self.token)
    }
}
