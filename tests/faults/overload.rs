//! `RedisStore` on a server that is asked for more than it can handle.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use tokio::task::JoinHandle;
use tower_user_sessions::{
    EndReason, Everyone, RedisStore, SessionId,
    store::{
        End, RedisLive, RedisSource, Resolve, SessionStore, StoreError, StoreErrorKind, Tag, Token,
        Which,
    },
};

use crate::common::{
    feed::Reader,
    load::{Told, answered, kinds, millis, offer},
    overload::Cell,
    people::{self, asks, guest, is_live, listed, signs_in, until},
    redis::Server,
    relay::Relay,
    site::Site,
};

/// Resolves, and every eighth call a sign-in; one that fails is given up, as the layer does.
async fn visit(store: RedisStore, number: u32, token: Token) -> Result<(), StoreError> {
    if !number.is_multiple_of(8) {
        return store.resolve(&Resolve::new(token)).await.map(drop);
    }
    let user = format!("user-{}", number % 400);
    let token = people::token(&store, &user);
    let made = store.create(&asks(&user, &token)).await.map(drop);
    if made.is_err() {
        store.end_undelivered(token.tag(), token.session_id());
    }
    made
}

async fn signs_out(store: &RedisStore, token: &Token) -> Result<(), StoreError> {
    let which = Which::One(token.session_id());
    let end = End::new(token.tag(), which, EndReason::LoggedOut);
    store.end(&end).await.map(drop)
}

/// So many visits a second with these tokens, for so long.
fn visits(
    store: &RedisStore,
    tokens: Vec<Token>,
    rate: u32,
    time: Duration,
) -> JoinHandle<Vec<Told>> {
    let store = store.clone();
    tokio::spawn(async move {
        offer(rate, time, |number| {
            let token = &tokens[number as usize % tokens.len()];
            visit(store.clone(), number | 1, token.clone())
        })
        .await
    })
}

fn some_are_busy(all: &[Told]) -> bool {
    let kinds = kinds(all);
    kinds.iter().any(|(kind, _)| *kind == StoreErrorKind::Busy)
}

// T57 T70
#[tokio::test(flavor = "multi_thread")]
async fn a_little_more_than_it_can_handle_is_answered_as_far_as_it_can() {
    Cell::node(500, 1.1).holds().await;
}

// T57 T70
#[tokio::test(flavor = "multi_thread")]
async fn four_times_what_it_can_handle_is_answered_as_far_as_it_can() {
    Cell::node(500, 4.0).holds().await;
}

// T57 T70
#[tokio::test(flavor = "multi_thread")]
async fn what_two_processes_offer_at_once_is_answered_as_far_as_it_can() {
    let cell = Cell {
        processes: 2,
        ..Cell::node(500, 2.0)
    };
    cell.holds().await;
}

// T57 T70
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_becomes_slow_after_a_busy_time_is_answered_as_far_as_it_can() {
    let cell = Cell {
        grown: true,
        one_queue: true,
        ..Cell::node(200, 4.0)
    };
    cell.holds().await;
}

// T57 T70
#[tokio::test(flavor = "multi_thread")]
async fn failed_sign_ins_leave_no_session_where_new_connections_queue_behind_old_replies() {
    let cell = Cell {
        one_queue: true,
        silent: true,
        ..Cell::node(200, 2.0)
    };
    cell.holds().await;
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn signing_out_works_while_all_places_are_taken() {
    let server = Server::start();
    let relay = Relay::start(server.port).await;
    let store = RedisStore::connect(&relay.url()).unwrap();
    let token = signs_in(&store, "alice").await;
    relay.carry(200);
    let load = visits(&store, vec![token.clone()], 800, millis(3_000));
    tokio::time::sleep(millis(1_500)).await;

    for _ in 0..5 {
        signs_out(&store, &guest()).await.unwrap();
    }
    assert!(some_are_busy(&load.await.unwrap()));
}

/// What four times as much as the site can handle does not keep from ending: the sessions of all users.
pub(super) async fn all_sessions_end_at_the_first_call(is_cluster: bool) {
    let site = Site::start(is_cluster, &[]).await;
    let store = site.way().store();
    let mut tokens = Vec::new();
    for user in 0..30 {
        tokens.push(signs_in(&store, &format!("user-{user}")).await);
    }
    site.carry(300);
    let load = visits(&store, tokens, 1_200, millis(4_000));
    tokio::time::sleep(millis(1_000)).await;

    for _ in 0..3 {
        Everyone::new(store.clone()).end_all().await.unwrap();
    }
    assert!(some_are_busy(&load.await.unwrap()));
}

// T70 T74
#[tokio::test(flavor = "multi_thread")]
async fn the_sessions_of_all_users_end_at_the_first_call_while_all_places_are_taken() {
    all_sessions_end_at_the_first_call(false).await;
}

// T70 T74
#[tokio::test(flavor = "multi_thread")]
async fn the_sessions_of_all_users_end_at_the_first_call_while_sign_outs_wait_for_their_places() {
    let server = Server::start();
    let relay = Relay::start(server.port).await;
    let store = RedisStore::builder(RedisSource::url(&relay.url()).unwrap())
        .deadline(millis(2_000))
        .build();
    signs_in(&store, "alice").await;
    // Sixteen have places, so each has its own for a quarter of a second.
    relay.carry(60);
    let load = {
        let store = store.clone();
        let ends = move |_| {
            let store = store.clone();
            async move { signs_out(&store, &guest()).await }
        };
        tokio::spawn(offer(200, millis(4_000), ends))
    };
    tokio::time::sleep(millis(1_000)).await;

    for _ in 0..2 {
        Everyone::new(store.clone()).end_all().await.unwrap();
    }
    assert!(some_are_busy(&load.await.unwrap()));
}

// T70 T72 T73
#[tokio::test(flavor = "multi_thread")]
async fn the_feed_stays_trusted_while_all_places_are_taken() {
    let server = Server::start();
    let relay = Relay::start(server.port).await;
    let store = RedisStore::builder(RedisSource::url(&relay.url()).unwrap())
        .live(RedisLive::all())
        .build();
    let token = signs_in(&store, "alice").await;
    let reader = Reader::trusting(&store, token.tag()).await;
    let epoch = reader.epoch(token.tag());
    relay.carry(200);
    let load = visits(&store, vec![token.clone()], 800, millis(6_000));

    while !load.is_finished() {
        assert!(reader.is_trusted(token.tag()));
        tokio::time::sleep(millis(20)).await;
    }
    assert_eq!(reader.epoch(token.tag()), epoch);
    assert!(some_are_busy(&load.await.unwrap()));
}

// T57 T70
#[tokio::test(flavor = "multi_thread")]
async fn sign_ins_that_are_given_up_end_once_the_server_answers_again() {
    let server = Server::start();
    let relay = Relay::start(server.port).await;
    let store = RedisStore::builder(RedisSource::url(&relay.url()).unwrap())
        .deadline(millis(400))
        .build();
    let mut kept: Vec<(Tag, Vec<SessionId>)> = Vec::new();
    for user in 0..20 {
        let token = signs_in(&store, &format!("user-{user}")).await;
        kept.push((token.tag(), vec![token.session_id()]));
    }

    // They run in time, and the replies come too late.
    relay.delay(millis(600));
    let late = offer(40, millis(500), |number| {
        let store = store.clone();
        async move {
            let user = format!("user-{number}");
            let token = people::token(&store, &user);
            let made = store.create(&asks(&user, &token)).await.map(drop);
            store.end_undelivered(token.tag(), token.session_id());
            made
        }
    })
    .await;
    assert_eq!(answered(&late), 0);
    relay.delay(Duration::ZERO);

    assert_eq!(store.drain(millis(10_000)).await, 0);
    for (tag, ids) in &kept {
        assert_eq!(&listed(&store, *tag).await, ids);
    }
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_server_costs_a_bounded_number_of_calls() {
    let server = Server::start();
    let relay = Relay::start(server.port).await;
    let store = RedisStore::connect(&relay.url()).unwrap();
    let token = signs_in(&store, "alice").await;
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    let before = tasks();

    relay.become_a_black_hole();
    for _ in 0..3 {
        offer(2_000, millis(1_500), |_| {
            visit(store.clone(), 1, token.clone())
        })
        .await;
        // Those that were given up, and the relay's own.
        let left = tasks() - before;
        assert!(left < 200, "{left} tasks");
    }
    drop(store);
    until("all have gone", async || tasks() <= before + 30).await;
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn a_busy_store_recovers_by_itself() {
    let server = Server::start();
    let relay = Relay::start(server.port).await;
    let store = RedisStore::connect(&relay.url()).unwrap();
    let token = signs_in(&store, "alice").await;

    relay.carry(50);
    let all = offer(400, millis(2_000), |_| async { Ok(()) }).await;
    assert_eq!(answered(&all), all.len());
    let _ = offer(400, millis(2_000), |number| {
        visit(store.clone(), number, token.clone())
    })
    .await;
    relay.carry(0);

    tokio::time::sleep(millis(500)).await;
    for _ in 0..20 {
        assert!(is_live(&store, &token).await);
        store.resolve(&Resolve::new(guest())).await.unwrap();
    }
}
