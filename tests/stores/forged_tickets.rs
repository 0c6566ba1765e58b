//! Made-up tickets cost Redis one lookup each, and leave nothing, also if the connection is cut.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::pin::pin;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::StatusCode;
use tower_user_sessions::{
    Limit, Login, SessionLayer, Ticket,
    store::{Tag, Token},
};

use crate::common::{
    book::Book,
    faulty::poll_once,
    http::{Client, user},
    redis::Server,
};

/// How many tickets are made up.
const FORGED: u64 = 10_000;

fn made_up() -> Ticket {
    let token = Token::random(Tag::of(&user("alice"))).unwrap();
    let name = URL_SAFE_NO_PAD.encode("alice");
    format!("{}.{name}", token.encode()).parse().unwrap()
}

async fn sends(layer: SessionLayer) -> StatusCode {
    let login = Login::by_ticket(made_up(), None);
    let answer = Client::new(&layer).request(move |session| {
        let login = login.clone();
        async move { session.log_in_with(login).unwrap() }
    });
    answer.await.status
}

/// How often this command was called since the last reset.
async fn calls(server: &Server, name: &str) -> u64 {
    let stats: String = server.ask("INFO commandstats").await;
    let head = format!("cmdstat_{name}:calls=");
    let line = stats.lines().find_map(|line| line.strip_prefix(&head));
    line.map_or(0, |line| line.split(',').next().unwrap().parse().unwrap())
}

/// How many commands one sign-in of alice takes on the server, those in its script too. Beside one of two the store may read
/// whether the sessions of all users ended, as every two seconds.
async fn cost_of_a_sign_in(server: &Server, layer: &SessionLayer) -> u64 {
    let first = cost_with_what_is_beside_it(server, layer).await;
    first.min(cost_with_what_is_beside_it(server, layer).await)
}

async fn cost_with_what_is_beside_it(server: &Server, layer: &SessionLayer) -> u64 {
    let _: () = server.ask("CONFIG RESETSTAT").await;
    Client::signed_in(layer, "alice").await;
    let mut all = 0;
    for name in ["hget", "hset", "hmget", "hdel", "hkeys", "pexpire", "time"] {
        all += calls(server, name).await;
    }
    all
}

// T68
#[tokio::test]
async fn ten_thousand_made_up_tickets_are_one_hget_each_and_leave_no_field_and_no_event() {
    let (server, book) = (Server::start(), Book::default());
    let layer = SessionLayer::new(server.patient())
        .limit(Limit::at_most(3))
        .events(book.sink());
    for _ in 0..4 {
        Client::signed_in(&layer, "alice").await;
    }
    let key = format!("sessions:{{{}}}", Tag::of(&user("alice")));
    let before = cost_of_a_sign_in(&server, &layer).await;
    let fields: u64 = server.ask(&format!("HLEN {key}")).await;
    book.news();
    sends(layer.clone()).await;
    let _: () = server.ask("CONFIG RESETSTAT").await;

    // Half of them wait for their answer, and the connection of the other half is cut.
    for _ in 0..FORGED / 2 {
        assert_eq!(sends(layer.clone()).await, StatusCode::UNAUTHORIZED);
        let mut cut = pin!(sends(layer.clone()));
        assert!(poll_once(cut.as_mut()).await.is_none());
    }

    // What was cut may still be on its way: a connection answers in order.
    sends(layer.clone()).await;
    // The store reads every two seconds whether the sessions of all users ended, which is an HGET too.
    let hgets = calls(&server, "hget").await;
    assert!(hgets > FORGED / 2 && hgets <= FORGED + 10, "{hgets}");
    for name in ["hkeys", "hmget", "hset", "hdel", "pexpire"] {
        assert_eq!(calls(&server, name).await, 0, "{name}");
    }
    assert_eq!(book.news(), []);
    let keys: Vec<String> = server.ask("KEYS *").await;
    assert_eq!(keys, std::slice::from_ref(&key));
    let left: u64 = server.ask(&format!("HLEN {key}")).await;
    assert_eq!(left, fields);
    assert_eq!(cost_of_a_sign_in(&server, &layer).await, before);
}
