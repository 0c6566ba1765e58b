//! How little open streams and a near cache ask of a real server.

use std::{sync::Arc, time::Duration};

use deadpool_redis::redis;
use tokio::{
    task::JoinSet,
    time::{Instant, interval, sleep, timeout},
};
use tower_user_sessions::{
    EndReason, Limit, RedisStore, Session, SessionLayer, UserSessions,
    store::{
        FeedMessage, FeedNews, Near, RedisLive, RedisSource, Resolve, Resolved, SessionStore, Token,
    },
};

use crate::common::{
    feed::Reader,
    http::{Client, user},
    people::{signs_in, until},
    redis::Server,
};

fn store(server: &Server, live: RedisLive) -> RedisStore {
    let source = RedisSource::url(&server.url()).unwrap();
    RedisStore::builder(source).live(live).build()
}

/// How often the server ran each of its commands, or one of them.
async fn commands(server: &Server, one: Option<&str>) -> u64 {
    let stats: String = server.ask("INFO commandstats").await;
    let calls = stats.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        let counts = one.is_none_or(|one| one == name);
        counts.then(|| rest.split(',').next().unwrap().parse::<u64>().unwrap())
    });
    calls.sum()
}

/// How often sessions were asked for: nothing else in this test reads several fields at once.
async fn looks(server: &Server) -> u64 {
    commands(server, Some("hmget")).await
}

// T41
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_10_000_messages_costs_a_look_a_second_and_session() {
    const MESSAGES: usize = 10_000;
    let server = Server::start();
    let store = store(&server, RedisLive::ends());
    let layer = SessionLayer::new(store.clone()).limit(Limit::at_most(3));
    let mut streams = Vec::new();
    for _ in 0..3 {
        let mut client = Client::new(&layer);
        client.log_in("alice").await;
        let live = |session: Session| async move { session.live().unwrap() };
        streams.push(client.send(live).await.value());
    }
    let tag = store.tag(&user("alice"));
    let reader = Reader::trusting(&store, tag).await;
    // The looks of the openings are over.
    sleep(Duration::from_millis(1_500)).await;

    let message = FeedMessage::new(tag, FeedNews::LookAgain).encode();
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut many = redis::pipe();
    for _ in 0..MESSAGES / 100 {
        many.cmd("PUBLISH")
            .arg("sessions:live")
            .arg(&message)
            .ignore();
    }
    let (before, began) = (looks(&server).await, Instant::now());
    let mut ticks = interval(Duration::from_millis(40));
    for _ in 0..100 {
        ticks.tick().await;
        let () = many.query_async(&mut connection).await.unwrap();
    }
    until("all messages arrived", async || {
        reader.messages().len() >= MESSAGES
    })
    .await;
    let asked = looks(&server).await - before;
    let seconds = began.elapsed().as_secs() + 1;
    println!("{asked} looks in {seconds} s");
    // The three sessions of the user are mostly asked for together. On a busy machine one may come a moment after the others.
    let most = 3 * (seconds + 1);
    assert!(asked >= 3 && asked <= most, "{asked} in {seconds} s");

    let all = UserSessions::new(store, user("alice")).because(EndReason::Revoked);
    all.end_all().await.unwrap();
    for live in streams {
        let end = timeout(Duration::from_secs(3), live.ended()).await;
        assert_eq!(end.unwrap().reason(), "revoked");
    }
}

// T73
#[tokio::test(flavor = "multi_thread")]
async fn with_a_near_cache_redis_runs_at_most_2_percent_of_the_commands() {
    const USERS: usize = 100;
    const REQUESTS: usize = 20_000;
    let server = Server::start();
    let near = Near::new(store(&server, RedisLive::all()));
    let mut tokens: Vec<Token> = Vec::new();
    for number in 0..USERS {
        tokens.push(signs_in(&near, &format!("user {number}")).await);
    }
    let _reader = Reader::trusting(&near, tokens[0].tag()).await;
    let resolve = |token: &Token| {
        let mut resolve = Resolve::new(token.clone());
        resolve.near = Some(Duration::from_secs(60));
        resolve
    };
    // Without the cache a request is a script, and what it runs. The second round is that of used sessions.
    let mut before = 0;
    for _ in 0..2 {
        before = commands(&server, None).await;
        for token in &tokens {
            let plain = Resolve::new(token.clone());
            near.resolve(&plain).await.unwrap();
        }
    }
    let now = commands(&server, None).await;
    let (before, each) = (now, (now - before) / USERS as u64);
    assert_eq!(near.entries(), 0);
    let tokens = Arc::new(tokens);
    let mut clients = JoinSet::new();
    for client in 0..4 {
        let (near, tokens) = (near.clone(), Arc::clone(&tokens));
        clients.spawn(async move {
            let mut answered = 0;
            for number in 0..REQUESTS / 4 {
                let token = &tokens[(number * 7 + client) % USERS];
                let found = near.resolve(&resolve(token)).await.unwrap();
                answered += usize::from(matches!(found, Resolved::Live(found) if found.near));
            }
            answered
        });
    }
    let answered: usize = clients.join_all().await.iter().sum();
    // Activity that was not written yet counts too.
    near.flush().await;
    let ran = commands(&server, None).await - before;

    println!("{ran} commands for {REQUESTS} requests, {answered} answered here, else {each} each");
    assert!(
        ran >= USERS as u64 * each,
        "each user is asked for once: {ran}"
    );
    assert!(ran <= REQUESTS as u64 * each / 50, "{ran}");
    assert!(answered >= REQUESTS / 100 * 98, "{answered}");
}
