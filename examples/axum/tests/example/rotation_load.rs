//! Rotation under load: many connections share the cookie of a browser, responses get lost, and no
//! client is signed out.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, extract::State, http::StatusCode, routing::get};
use reqwest::header::{COOKIE, SET_COOKIE};
use tokio::{net::TcpListener, task::JoinSet};
use tower_user_sessions::{
    EndReason, Limit, RedisStore, Session, SessionLayer, UserId, store::Arrival,
};

use crate::common::redis::Server;

const CONNECTIONS: usize = 32;
const LASTS: Duration = Duration::from_secs(30);
const GRACE: Duration = Duration::from_secs(1);

/// Every tenth request rotates.
async fn me(State(requests): State<Arc<AtomicUsize>>, session: Session) -> StatusCode {
    if session.user_id().is_none() {
        return StatusCode::UNAUTHORIZED;
    }
    if requests.fetch_add(1, Ordering::Relaxed) % 10 == 9 {
        session.rotate().unwrap();
    }
    StatusCode::OK
}

async fn log_in(session: Session) {
    session.log_in(UserId::new("alice").unwrap()).unwrap();
}

async fn why(session: Session) -> String {
    let reason = session.ended().map(|notice| notice.reason);
    reason.map_or("nothing", EndReason::as_str).to_owned()
}

/// The app on a free port.
async fn serve(redis: &Server) -> String {
    let layer = SessionLayer::new(RedisStore::new(redis.pool()))
        .limit(Limit::at_most(1))
        .rotation_grace(GRACE);
    let app = Router::new()
        .route("/me", get(me))
        .route("/login", get(log_in))
        .route("/why", get(why))
        .with_state(Arc::default())
        .layer(layer);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    url
}

/// The jar of a browser: the cookie, and all its earlier values.
#[derive(Clone, Default)]
struct Jar(Arc<Mutex<(String, Vec<String>)>>);

impl Jar {
    fn cookie(&self) -> String {
        self.0.lock().unwrap().0.clone()
    }

    fn keep(&self, response: &reqwest::Response) {
        let Some(line) = response.headers().get(SET_COOKIE) else {
            return;
        };
        let pair = line.to_str().unwrap().split(';').next().unwrap();
        let mut jar = self.0.lock().unwrap();
        if jar.0 != pair {
            jar.0 = pair.to_owned();
            jar.1.push(pair.to_owned());
        }
    }
}

/// Sends a request with this cookie.
async fn ask(client: &reqwest::Client, url: &str, cookie: &str) -> reqwest::Response {
    let request = client.get(url).header(COOKIE, cookie);
    request.send().await.unwrap()
}

// T46 T47 T48
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rotation_under_load_signs_no_client_out_and_old_tokens_are_reuse_in_the_end() {
    let redis = Server::start();
    let url = serve(&redis).await;
    let (client, jar) = (reqwest::Client::new(), Jar::default());
    jar.keep(&client.get(format!("{url}/login")).send().await.unwrap());
    let (answers, lost) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let began = Arrival::now();
    let mut connections = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (url, jar) = (format!("{url}/me"), jar.clone());
        let (answers, lost) = (Arc::clone(&answers), Arc::clone(&lost));
        let client = reqwest::Client::new();
        connections.spawn(async move {
            let mut statuses = HashSet::new();
            while began.age() < LASTS {
                let response = ask(&client, &url, &jar.cookie()).await;
                statuses.insert(response.status().as_u16());
                answers.fetch_add(1, Ordering::Relaxed);
                if response.headers().contains_key(SET_COOKIE)
                    && lost.fetch_add(1, Ordering::Relaxed) % 10 == 0
                {
                    // The response is lost.
                    continue;
                }
                jar.keep(&response);
            }
            statuses
        });
    }

    let statuses = connections.join_all().await;

    assert_eq!(statuses, vec![HashSet::from([200]); CONNECTIONS]);
    let (present, tokens) = jar.0.lock().unwrap().clone();
    assert!(tokens.len() > 10, "only {} tokens", tokens.len());
    assert!(answers.load(Ordering::Relaxed) > 1_000);
    assert!(lost.load(Ordering::Relaxed) > 10);
    ask(&client, &format!("{url}/me"), &present).await;

    // After its grace, which the clock of the server decides.
    let previous = &tokens[tokens.len() - 2];
    for _ in 0..200 {
        let answer = ask(&client, &format!("{url}/me"), previous).await;
        if answer.status() == 401 {
            let why = ask(&client, &format!("{url}/why"), &present).await;
            assert_eq!(why.text().await.unwrap(), "token_reuse");
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the previous token was never reuse");
}
