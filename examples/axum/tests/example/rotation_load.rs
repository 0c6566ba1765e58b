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
use tokio::{net::TcpListener, sync::Barrier, task::JoinSet};
use tower_user_sessions::{EndReason, Limit, RedisStore, Session, SessionLayer, UserId};

use crate::common::redis::Server;

const CONNECTIONS: usize = 32;
/// How many tokens the browser gets before the test ends. One grace lies between two of them.
const TOKENS: usize = 16;
const GRACE: Duration = Duration::from_secs(1);
/// All connections send some requests at once, one after the other, then rest. So the previous token and
/// the new one are in flight together, and few requests come between two rotations.
const BURST: usize = 5;
const PAUSE: Duration = Duration::from_millis(200);
/// More than the tokens take.
const BURSTS: usize = 400;

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

    fn tokens(&self) -> usize {
        self.0.lock().unwrap().1.len()
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
    let (answers, given) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let together = Arc::new(Barrier::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (url, jar) = (format!("{url}/me"), jar.clone());
        let (answers, given) = (Arc::clone(&answers), Arc::clone(&given));
        let (client, together) = (reqwest::Client::new(), Arc::clone(&together));
        connections.spawn(async move {
            let mut statuses = HashSet::new();
            for _ in 0..BURSTS {
                // All see the same number, because nobody sends in between.
                together.wait().await;
                let enough = jar.tokens() >= TOKENS;
                together.wait().await;
                if enough {
                    break;
                }
                for _ in 0..BURST {
                    let response = ask(&client, &url, &jar.cookie()).await;
                    statuses.insert(response.status().as_u16());
                    answers.fetch_add(1, Ordering::Relaxed);
                    let sets = response.headers().contains_key(SET_COOKIE);
                    // Each tenth response with a cookie is lost.
                    if !sets || given.fetch_add(1, Ordering::Relaxed) % 10 != 0 {
                        jar.keep(&response);
                    }
                }
                tokio::time::sleep(PAUSE).await;
            }
            statuses
        });
    }

    let statuses = connections.join_all().await;

    assert_eq!(statuses, vec![HashSet::from([200]); CONNECTIONS]);
    let (present, tokens) = jar.0.lock().unwrap().clone();
    assert!(tokens.len() >= TOKENS, "only {} tokens", tokens.len());
    assert!(answers.load(Ordering::Relaxed) > 1_000);
    // Requests with a previous token got the same new one: many for each rotation.
    let given = given.load(Ordering::Relaxed);
    assert!(given > 5 * TOKENS, "only {given} responses set a cookie");
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
