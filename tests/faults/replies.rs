//! `RedisStore` behind a relay that loses or swaps replies: no answer is ever that of another request.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
};

use tokio::task::JoinSet;
use tower_user_sessions::{
    EndReason, RedisStore, SessionLayer, UserId, events,
    store::{
        Created, End, Ended, List, RedisSource, Renewal, Resolve, Resolved, Rotate, Rotated, Salt,
        Save, Saved, SessionStore, StoreErrorKind, Which,
    },
};

use crate::common::{
    http::Client,
    load::millis,
    log::Log,
    people::{self, asks, is_live, listed, set, signs_in},
    redis::Server,
    relay::Relay,
};

/// How many users send one request after the other, and how many calls are in flight when replies are spoiled.
const USERS: u32 = 60;
const IN_FLIGHT: u32 = 50;

/// What happens to replies meanwhile.
#[derive(Clone, Copy)]
enum Spoiled {
    Lost,
    /// The server forgot the scripts, and says so to all calls in flight. One of these replies is lost.
    LostError,
    Swapped,
}

/// How requests were answered.
#[derive(Debug, Default)]
struct Answers {
    own: AtomicU32,
    wrong: AtomicU32,
    failed: AtomicU32,
    enough: AtomicBool,
}

impl Answers {
    /// Waits until so many more requests are answered.
    async fn more(&self, count: u32) {
        let before = self.own.load(SeqCst);
        while self.own.load(SeqCst) < before + count {
            tokio::time::sleep(millis(1)).await;
        }
    }
}

async fn browses(mut client: Client, user: String, answers: Arc<Answers>) {
    while !answers.enough.load(SeqCst) {
        let answer = client
            .send(|session| async move { session.user_id() })
            .await;
        let count = if answer.status != 200 {
            &answers.failed
        } else if answer.value().is_some_and(|found| found.as_str() == user) {
            &answers.own
        } else {
            &answers.wrong
        };
        count.fetch_add(1, SeqCst);
    }
}

/// All requests are answered with the session of their user, one connection is replaced, and the log says why.
async fn costs_one_connection_and_no_answer(spoiled: Spoiled) {
    let log = Log::start();
    let server = Server::start();
    let relay = Relay::start(server.port).await;
    let source = RedisSource::url(&relay.url()).unwrap();
    // So many calls may be in flight sooner than with a short deadline.
    let store = RedisStore::builder(source).deadline(millis(20_000)).build();
    let layer = SessionLayer::new(store);
    let (mut people, mut load) = (Vec::new(), JoinSet::new());
    for number in 0..USERS {
        let user = format!("user-{number}");
        people.push((Client::signed_in(&layer, &user).await, user));
    }
    people::until("the spare is there", async || relay.made() == 2).await;

    relay.delay(millis(200));
    let answers = Arc::new(Answers::default());
    for (client, user) in people {
        load.spawn(browses(client, user, Arc::clone(&answers)));
    }
    answers.more(2 * USERS).await;
    while relay.carries() < IN_FLIGHT {
        tokio::time::sleep(millis(1)).await;
    }
    match spoiled {
        Spoiled::Lost => relay.lose(1),
        Spoiled::LostError => {
            relay.lose_errors(1);
            let _: () = server.ask("SCRIPT FLUSH").await;
        }
        Spoiled::Swapped => relay.swap(10),
    }
    while relay.to_lose() + relay.to_swap() > 0 {
        tokio::time::sleep(millis(1)).await;
    }
    // All pairs arrive at once.
    relay.delay(millis(0));
    answers.more(4 * USERS).await;
    answers.enough.store(true, SeqCst);
    load.join_all().await;

    assert_eq!(answers.wrong.load(SeqCst), 0, "{answers:?}");
    assert_eq!(answers.failed.load(SeqCst), 0, "{answers:?}");
    people::until("there is a spare again", async || relay.made() > 2).await;
    assert_eq!(relay.made(), 3);
    let errors = log.at(" ERROR ");
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(
        errors[0].contains("replied to another request"),
        "{errors:?}"
    );
}

// T70
#[tokio::test]
async fn a_lost_reply_costs_one_connection_and_no_wrong_answer() {
    costs_one_connection_and_no_answer(Spoiled::Lost).await;
}

// T70
#[tokio::test]
async fn a_lost_error_reply_costs_one_connection_and_no_wrong_answer() {
    costs_one_connection_and_no_answer(Spoiled::LostError).await;
}

// T70
#[tokio::test]
async fn swapped_replies_cost_one_connection_and_no_wrong_answer() {
    costs_one_connection_and_no_answer(Spoiled::Swapped).await;
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn every_operation_finds_a_reply_that_is_not_its_own() {
    let server = Server::start();
    let relay = Relay::start(server.port).await;
    let store = RedisStore::connect(&relay.url()).unwrap();
    let (first, second) = (
        signs_in(&store, "alice").await,
        signs_in(&store, "alice").await,
    );
    // Each is answered with the reply to the call before it, or with its own.
    for lost in [0_u8, 1] {
        let spoil = async || {
            tokio::time::sleep(millis(50)).await;
            relay.lose(lost.into());
            let resolve = Resolve::new(first.clone());
            if lost == 0 {
                store.resolve(&resolve).await.unwrap();
            } else {
                let other = tokio::time::timeout(millis(20), store.resolve(&resolve)).await;
                assert!(other.is_err());
            }
        };

        spoil().await;
        assert!(is_live(&store, &second).await);

        spoil().await;
        let listed = store.list(&List::new(first.tag())).await.unwrap();
        assert!(listed.len() >= 2);

        spoil().await;
        let save = Save::new(second.tag(), second.session_id(), set("cart", "apple"));
        let saved = store.save(&save).await.unwrap();
        assert!(matches!(saved, Saved::Saved { .. }), "{saved:?}");

        spoil().await;
        let salt = Salt::from_bytes([1 + lost; 16]);
        let rotate = Rotate::new(&first, &first.successor(&salt), Renewal::Derived(salt));
        let rotated = store.rotate(&rotate).await.unwrap();
        assert!(
            matches!(rotated, Rotated::Rotated(_) | Rotated::Took(_)),
            "{rotated:?}"
        );

        spoil().await;
        let third = people::token(&store, "alice");
        let created = store.create(&asks("alice", &third)).await.unwrap();
        assert!(
            matches!(&created, Created::Created(made) if made.record.id == third.session_id()),
            "{created:?}"
        );

        spoil().await;
        let end = End::new(
            third.tag(),
            Which::One(third.session_id()),
            EndReason::Revoked,
        );
        let ended = store.end(&end).await.unwrap();
        assert!(matches!(ended, Ended::Ended { .. }), "{ended:?}");
    }
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn a_conditional_write_that_may_have_run_is_uncertain() {
    let server = Server::start();
    let relay = Relay::start(server.port).await;
    let store = RedisStore::connect(&relay.url()).unwrap();
    let token = signs_in(&store, "alice").await;
    let mut save = Save::new(token.tag(), token.session_id(), set("cart", "apple"));
    store.save(&save).await.unwrap();
    save.expect = Some(1);
    tokio::time::sleep(millis(50)).await;

    relay.lose(1);
    let resolve = Resolve::new(token.clone());
    let other = tokio::time::timeout(millis(20), store.resolve(&resolve)).await;
    assert!(other.is_err(), "its reply is lost");
    let error = store.save(&save).await.unwrap_err();

    assert_eq!(error.kind(), StoreErrorKind::Uncertain, "{error:?}");
    let Resolved::Live(found) = store.resolve(&Resolve::new(token)).await.unwrap() else {
        panic!("not live");
    };
    assert_eq!(found.record.revision, 2, "it ran once");
}

/// How the replies to a re-authentication are lost.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Lost {
    One,
    /// The connections stay open.
    All,
    /// Each connection is closed before its reply comes.
    WithTheirConnections,
}

// T47 T57
#[tokio::test(flavor = "multi_thread")]
async fn a_re_authentication_of_unknown_outcome_leaves_no_session_and_no_reuse() {
    for lost in [Lost::One, Lost::All, Lost::WithTheirConnections] {
        let server = Server::start();
        let relay = Arc::new(Relay::start(server.port).await);
        let store = RedisStore::connect(&relay.url()).unwrap();
        let (sender, mut receiver) = events::channel(100);
        let layer = SessionLayer::new(store.clone()).events(sender);
        let mut client = Client::signed_in(&layer, "alice").await;
        let mut with_the_previous_token = client.clone();
        let way = Arc::clone(&relay);

        let request = client.send(move |session| {
            match lost {
                Lost::One => way.lose(1),
                Lost::All => way.lose(u32::MAX),
                Lost::WithTheirConnections => way.delay(millis(40)),
            }
            async move { session.reauthenticated().unwrap() }
        });
        let closing = async {
            loop {
                tokio::time::sleep(millis(20)).await;
                if lost == Lost::WithTheirConnections {
                    relay.cut();
                }
            }
        };
        let answer = tokio::select! {
            answer = request => answer,
            () = closing => unreachable!(),
        };
        relay.lose(0);
        relay.delay(millis(0));
        let direct = RedisStore::connect(&server.url()).unwrap();
        let answers = async || store.resolve(&Resolve::new(people::guest())).await.is_ok();
        people::until("the link is up", answers).await;

        // One lost reply alone may be noticed in time, or not.
        let is_done = answer.status == 200;
        assert!(is_done || answer.status == 503, "{lost:?}");
        assert!(!is_done || lost == Lost::One, "{lost:?}");
        assert_eq!(store.drain(millis(5_000)).await, 0, "{lost:?}");
        let tag = store.tag(&UserId::new("alice").unwrap());
        let live = listed(&direct, tag).await.len();
        assert_eq!(live, usize::from(is_done), "{lost:?}");
        assert_eq!(with_the_previous_token.user().await, None, "{lost:?}");
        assert_eq!(client.user().await.is_some(), is_done, "{lost:?}");
        let raised = std::iter::from_fn(|| receiver.try_recv());
        let raised: Vec<_> = raised.map(|event| event.kind.as_str()).collect();
        let last = if is_done { "reauthenticated" } else { "ended" };
        assert_eq!(raised, ["created", last], "{lost:?}");
    }
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_reply_of_a_full_server_costs_no_request_that_needs_no_room() {
    let server = Server::start();
    let relay = Relay::start(server.port).await;
    let source = RedisSource::url(&relay.url()).unwrap();
    let store = RedisStore::builder(source).deadline(millis(4_000)).build();
    let alice = signs_in(&store, "alice").await;
    people::until("the spare is there", async || relay.made() == 2).await;
    let save = Save::new(alice.tag(), alice.session_id(), set("cart", "apple"));
    // The server has both scripts.
    store.save(&save).await.unwrap();
    assert_eq!(listed(&store, alice.tag()).await.len(), 1);
    let _: () = server.ask("CONFIG SET maxmemory 1").await;
    relay.delay(millis(200));
    relay.lose(1);

    let (other, list) = (store.clone(), List::new(alice.tag()));
    let lists = tokio::spawn(async move { other.list(&list).await });
    tokio::time::sleep(millis(50)).await;
    // Its error arrives as the reply to the list, whose own was lost.
    let saved = store.save(&save).await;

    assert_eq!(lists.await.unwrap().unwrap().len(), 1);
    assert_eq!(saved.unwrap_err().kind(), StoreErrorKind::Full);
    assert_eq!(relay.to_lose(), 0);
}
