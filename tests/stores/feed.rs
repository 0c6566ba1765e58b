//! What a store in Redis reports to other nodes.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use tempfile::TempDir;
use tower_user_sessions::{
    Client, EndReason, Everyone, Lifetime, MemoryStore, RedisStore,
    store::{
        Arrival, Authenticated, Changes, End, Ended, FeedNews, FileStore, LastSeen, ManualClock,
        NoteClient, RedisLive, RedisSource, Renewal, Resolve, Resolved, Rotate, Salt, Save,
        SessionStore, Timestamp, Token, Which,
    },
};

use crate::common::{
    cluster::Cluster,
    feed::Reader,
    people::{asks, is_live, set, signs_in, token, until},
    redis::Server,
};

const DAY: Duration = Duration::from_secs(86_400);

fn live(url: &str, live: RedisLive, clock: Option<&ManualClock>) -> RedisStore {
    let builder = RedisStore::builder(RedisSource::url(url).unwrap()).live(live);
    match clock {
        Some(clock) => builder.clock(clock.clone()).build(),
        None => builder.build(),
    }
}

async fn ends(store: &RedisStore, token: &Token, which: Which, reason: EndReason) -> Ended {
    let end = End::new(token.tag(), which, reason);
    store.end(&end).await.unwrap()
}

async fn rotates(store: &RedisStore, token: &Token) -> Token {
    let salt = Salt::from_bytes([7; 16]);
    let next = token.successor(&salt);
    let mut rotate = Rotate::new(token, &next, Renewal::Derived(salt));
    rotate.grace = Duration::from_secs(30);
    store.rotate(&rotate).await.unwrap();
    next
}

/// What every end on one node is on the other one.
async fn each_end_arrives(a: &RedisStore, b: &RedisStore, clock: &ManualClock) {
    let user = token(b, "alice");
    let tag = user.tag();
    let reader = Reader::trusting(a, tag).await;
    let ended = |all: &[(&Token, EndReason)]| {
        let all = all.iter().map(|(token, why)| (token.session_id(), *why));
        vec![FeedNews::Ended(all.collect())]
    };

    let first = signs_in(b, "alice").await;
    clock.advance(Duration::from_secs(1));
    assert!(is_live(b, &first).await);
    let second = signs_in(b, "alice").await;
    assert!(is_live(b, &second).await);
    let third = signs_in(b, "alice").await;
    assert!(is_live(b, &third).await);
    assert!(reader.messages().is_empty(), "a sign-in that ends nobody");
    clock.advance(Duration::from_secs(1));
    let fourth = signs_in(b, "alice").await;
    assert_eq!(
        reader.news(tag).await,
        ended(&[(&first, EndReason::Evicted)])
    );

    let by_one = Which::One(second.session_id());
    ends(b, &second, by_one, EndReason::LoggedOut).await;
    assert_eq!(
        reader.news(tag).await,
        ended(&[(&second, EndReason::LoggedOut)])
    );
    ends(b, &second, by_one, EndReason::LoggedOut).await;

    let mut replaces = asks("alice", &token(b, "alice"));
    replaces.replaces = Some(third.session_id());
    b.create(&replaces).await.unwrap();
    assert_eq!(
        reader.news(tag).await,
        ended(&[(&third, EndReason::Replaced)])
    );

    ends(
        b,
        &fourth,
        Which::Others(fourth.session_id()),
        EndReason::Revoked,
    )
    .await;
    let others = reader.news(tag).await;
    assert_eq!(
        others,
        [FeedNews::Ended(vec![(replaces.id, EndReason::Revoked)])]
    );
    ends(b, &fourth, Which::All, EndReason::Administrator).await;
    assert_eq!(
        reader.news(tag).await,
        ended(&[(&fourth, EndReason::Administrator)])
    );
    ends(b, &fourth, Which::All, EndReason::Administrator).await;

    clock.advance(Duration::from_secs(1));
    let stolen = signs_in(b, "alice").await;
    assert!(is_live(b, &stolen).await);
    let next = rotates(b, &stolen).await;
    assert!(is_live(b, &next).await);
    clock.advance(DAY / 2);
    assert!(is_live(b, &next).await);
    let reused = b.resolve(&Resolve::new(stolen.clone())).await.unwrap();
    assert!(
        matches!(&reused, Resolved::Reused(reused) if reused.ended),
        "{reused:?}"
    );
    assert_eq!(
        reader.news(tag).await,
        ended(&[(&stolen, EndReason::TokenReuse)])
    );

    // More than 16 are not named.
    let mut many = asks("alice", &token(b, "alice"));
    many.limit = tower_user_sessions::Limit::at_most(100);
    let mut kept = many.id;
    for _ in 0..18 {
        let next = token(b, "alice");
        (many.id, many.digest, kept) = (next.session_id(), next.digest(), next.session_id());
        b.create(&many).await.unwrap();
    }
    ends(b, &user, Which::Others(kept), EndReason::Revoked).await;
    let all_but = FeedNews::EndedAllBut(kept, EndReason::Revoked);
    assert_eq!(reader.news(tag).await, [all_but]);
    clock.advance(Duration::from_secs(1));
    many.authenticated = asks("alice", &user).authenticated;
    for _ in 0..17 {
        let next = token(b, "alice");
        (many.id, many.digest) = (next.session_id(), next.digest());
        b.create(&many).await.unwrap();
    }
    ends(b, &user, Which::All, EndReason::Revoked).await;
    assert_eq!(reader.news(tag).await, [FeedNews::LookAgain]);
    assert!(reader.messages().is_empty(), "{:?}", reader.messages());
}

// T72
#[tokio::test]
async fn each_end_on_one_node_arrives_on_the_other_and_nothing_else_does() {
    let server = Server::start();
    let clock = ManualClock::at(Timestamp::from_millis(1_764_000_000_000));
    let [a, b] = [(); 2].map(|()| live(&server.url(), RedisLive::ends(), Some(&clock)));

    each_end_arrives(&a, &b, &clock).await;
}

// T72
#[tokio::test]
async fn in_shards_each_end_arrives_too() {
    let server = Server::start();
    let clock = ManualClock::at(Timestamp::from_millis(1_764_000_000_000));
    let shards = RedisLive::ends().shards(64);
    let [a, b] = [(); 2].map(|()| live(&server.url(), shards, Some(&clock)));

    each_end_arrives(&a, &b, &clock).await;
}

// T72
#[tokio::test]
async fn on_a_cluster_each_end_arrives_from_its_primary_and_the_end_of_everybody_from_each() {
    let cluster = Cluster::of(3, &[]).await;
    let clock = ManualClock::at(Timestamp::from_millis(1_764_000_000_000));
    let [a, b] = [(); 2].map(|()| {
        let source = RedisSource::cluster(cluster.urls()).unwrap();
        let builder = RedisStore::builder(source).clock(clock.clone());
        builder.live(RedisLive::ends()).build()
    });

    each_end_arrives(&a, &b, &clock).await;

    let tags: Vec<_> = (0..40)
        .map(|at| token(&a, &format!("user-{at}")).tag())
        .collect();
    let reader = Reader::of(&a);
    for tag in &tags {
        reader.trusts(*tag).await;
    }
    let everyone = Everyone::new(b).end_all().await.unwrap();
    until("three messages", async || reader.messages().len() == 3).await;
    for message in reader.messages() {
        assert_eq!(message.news, FeedNews::Everyone(everyone));
    }
}

#[tokio::test]
async fn with_all_changes_new_tokens_and_data_arrive_too() {
    let server = Server::start();
    let clock = ManualClock::at(Timestamp::from_millis(1_764_000_000_000));
    let [a, b] = [(); 2].map(|()| live(&server.url(), RedisLive::all(), Some(&clock)));
    let first = signs_in(&b, "alice").await;
    let (tag, id) = (first.tag(), first.session_id());
    let reader = Reader::trusting(&a, tag).await;

    assert!(is_live(&b, &first).await);
    let save = Save::new(tag, id, set("cart", "apple"));
    b.save(&save).await.unwrap();
    assert_eq!(reader.news(tag).await, [FeedNews::Written(id)]);
    let next = rotates(&b, &first).await;
    assert_eq!(reader.news(tag).await, [FeedNews::Renewed(id)]);
    assert!(is_live(&b, &next).await);
    assert_eq!(reader.news(tag).await, [FeedNews::Renewed(id)]);
    assert!(is_live(&b, &next).await);
    ends(&b, &first, Which::One(id), EndReason::LoggedOut).await;

    let ended = FeedNews::Ended(vec![(id, EndReason::LoggedOut)]);
    assert_eq!(reader.news(tag).await, [ended]);
}

async fn a_noted_client_arrives(a: &impl SessionStore, b: &impl SessionStore) {
    let token = signs_in(b, "alice").await;
    let (tag, id) = (token.tag(), token.session_id());
    let reader = Reader::trusting(a, tag).await;
    assert!(is_live(b, &token).await);
    let Resolved::Live(found) = b.resolve(&Resolve::new(token.clone())).await.unwrap() else {
        panic!("not live");
    };
    let seen = LastSeen::new(Client::new(), found.now);

    let note = NoteClient::new(tag, found.record, seen);
    assert!(b.note_client(&note).await.unwrap());

    assert_eq!(reader.news(tag).await, [FeedNews::Written(id)]);
}

#[tokio::test]
async fn the_client_that_a_session_is_used_from_arrives_from_stores_of_each_kind() {
    let server = Server::start();
    let [a, b] = [(); 2].map(|()| live(&server.url(), RedisLive::all(), None));
    a_noted_client_arrives(&a, &b).await;

    let memory = MemoryStore::new();
    a_noted_client_arrives(&memory, &memory).await;

    let directory = TempDir::new().unwrap();
    let file = FileStore::open(directory.path().join("sessions.db")).unwrap();
    a_noted_client_arrives(&file, &file).await;
}

#[tokio::test]
async fn a_shorter_lifetime_arrives_without_the_near_cache_too() {
    let server = Server::start();
    let [a, b] = [(); 2].map(|()| live(&server.url(), RedisLive::ends(), None));
    let first = signs_in(&b, "alice").await;
    let (tag, id) = (first.tag(), first.session_id());
    let reader = Reader::trusting(&a, tag).await;

    b.save(&Save::new(tag, id, set("cart", "apple")))
        .await
        .unwrap();
    let mut shorter = Save::new(tag, id, Changes::default());
    shorter.shorten = Some(Lifetime::new(DAY / 24, DAY / 24));
    b.save(&shorter).await.unwrap();

    assert_eq!(reader.news(tag).await, [FeedNews::Written(id)]);
}

// T72
#[tokio::test]
async fn the_first_message_of_a_node_to_itself_begins_an_epoch() {
    let server = Server::start();
    let store = live(&server.url(), RedisLive::ends(), None);

    let reader = Reader::trusting(&store, token(&store, "alice").tag()).await;

    // Between SUBSCRIBE and that message, calls may have gone to the previous master.
    assert!(reader.epochs() >= 2, "{}", reader.epochs());
}

/// A previous token is reused, and the reader of the store hears of the end.
async fn reuse_arrives(store: &impl SessionStore, clock: &ManualClock) {
    let previous = signs_in(store, "alice").await;
    let (tag, id) = (previous.tag(), previous.session_id());
    let salt = Salt::from_bytes([7; 16]);
    let next = previous.successor(&salt);
    let rotate = Rotate::new(&previous, &next, Renewal::Derived(salt));
    store.rotate(&rotate).await.unwrap();
    store.resolve(&Resolve::new(next)).await.unwrap();
    clock.advance(DAY / 24);
    let reader = Reader::of(store);

    store.resolve(&Resolve::new(previous)).await.unwrap();

    let ended = FeedNews::Ended(vec![(id, EndReason::TokenReuse)]);
    assert_eq!(reader.news(tag).await, [ended]);
}

// T47 T72
#[tokio::test]
async fn the_reuse_of_a_token_in_memory_and_in_a_file_is_reported_with_the_end_of_its_session() {
    let clock = ManualClock::at(Timestamp::from_millis(1_764_000_000_000));
    let memory = MemoryStore::builder().clock(clock.clone()).build();
    reuse_arrives(&memory, &clock).await;

    let directory = TempDir::new().unwrap();
    let file = FileStore::builder().clock(clock.clone());
    let file = file.open(directory.path().join("sessions.db")).unwrap();
    reuse_arrives(&file, &clock).await;
}

/// Two requests re-authenticate with one token, and the browser keeps the token of the first one.
async fn the_kept_token_of_two_arrives(a: &impl SessionStore, b: &impl SessionStore) {
    let sent = signs_in(b, "alice").await;
    let (tag, id) = (sent.tag(), sent.session_id());
    let mut made = Vec::new();
    for _ in 0..2 {
        let next = sent.renewed().unwrap();
        let proven = Renewal::Proven {
            authenticated: Authenticated::On(Arrival::now()),
            lifetime: Lifetime::new(DAY, DAY),
        };
        b.rotate(&Rotate::new(&sent, &next, proven)).await.unwrap();
        made.push(next);
    }
    let reader = Reader::trusting(a, tag).await;

    assert!(is_live(b, &made[0]).await);
    // The answer to the other one is kept nowhere any more.
    assert_eq!(reader.news(tag).await, [FeedNews::Renewed(id)]);
    assert!(is_live(b, &made[0]).await);
    let end = End::new(tag, Which::One(id), EndReason::LoggedOut);
    b.end(&end).await.unwrap();

    let ended = FeedNews::Ended(vec![(id, EndReason::LoggedOut)]);
    assert_eq!(reader.news(tag).await, [ended]);
}

#[tokio::test]
async fn the_token_that_a_browser_keeps_of_two_arrives_from_stores_of_each_kind() {
    let server = Server::start();
    let [a, b] = [(); 2].map(|()| live(&server.url(), RedisLive::all(), None));
    the_kept_token_of_two_arrives(&a, &b).await;

    let memory = MemoryStore::new();
    the_kept_token_of_two_arrives(&memory, &memory).await;

    let directory = TempDir::new().unwrap();
    let file = FileStore::open(directory.path().join("sessions.db")).unwrap();
    the_kept_token_of_two_arrives(&file, &file).await;
}
