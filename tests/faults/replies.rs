//! `RedisStore` behind a relay that loses or swaps replies: no answer is ever that of another request.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::SeqCst},
};

use tower_user_sessions::{
    EndReason, RedisStore, SessionLayer, UserId, events,
    store::{
        Created, End, Ended, List, Renewal, Resolve, Resolved, Rotate, Rotated, Salt, Save, Saved,
        SessionStore, StoreError, StoreErrorKind, Token, Which,
    },
};

use crate::common::{
    http::Client,
    load::{answered, kinds, millis, offer},
    people::{self, asks, is_live, listed, set, signs_in},
    redis::Server,
    relay::Relay,
};

/// Sessions of users, each with different data.
async fn people(store: &RedisStore, count: usize) -> Vec<(UserId, Token)> {
    let mut people = Vec::new();
    for number in 0..count {
        let user = format!("user-{number}");
        people.push((
            UserId::new(user.as_str()).unwrap(),
            signs_in(store, &user).await,
        ));
    }
    people
}

/// Opens a session, and counts an answer that is not of its user.
async fn opens(
    store: RedisStore,
    (user, token): (UserId, Token),
    wrong: Arc<AtomicU32>,
) -> Result<(), StoreError> {
    let resolved = store.resolve(&Resolve::new(token)).await?;
    match resolved {
        Resolved::Live(found) if found.record.user_id() == Some(&user) => {}
        _ => {
            wrong.fetch_add(1, SeqCst);
        }
    }
    Ok(())
}

/// Wrong answers, all answers, new connections.
async fn under_load(spoil: impl Fn(&Relay)) -> (u32, usize, u32) {
    let server = Server::start();
    let relay = Relay::start(server.port).await;
    let store = RedisStore::connect(&relay.url()).unwrap();
    let people = people(&store, 50).await;
    tokio::time::sleep(millis(200)).await;
    let (before, wrong) = (relay.made(), Arc::new(AtomicU32::new(0)));

    relay.delay(millis(1));
    let load = offer(300, millis(2_000), |number| {
        let person = people[number as usize % people.len()].clone();
        opens(store.clone(), person, Arc::clone(&wrong))
    });
    let trouble = async {
        tokio::time::sleep(millis(1_000)).await;
        spoil(&relay);
    };
    let (all, ()) = tokio::join!(load, trouble);

    assert_eq!(relay.to_lose(), 0);
    assert!(relay.to_swap() < 10, "a pair was swapped");
    assert_eq!(answered(&all), all.len(), "{:?}", kinds(&all));
    (wrong.load(SeqCst), all.len(), relay.made() - before)
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_reply_costs_one_connection_and_no_wrong_answer() {
    let (wrong, all, made) = under_load(|relay| relay.lose(1)).await;

    assert_eq!((wrong, all), (0, 600));
    assert!(made <= 1, "one spare for the one that took over: {made}");
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn swapped_replies_cost_one_connection_and_no_wrong_answer() {
    let (wrong, all, made) = under_load(|relay| relay.swap(10)).await;

    assert_eq!((wrong, all), (0, 600));
    assert!(made <= 1, "{made}");
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
            let other = tokio::time::timeout(millis(20), store.resolve(&resolve)).await;
            assert_eq!(other.is_err(), lost == 1);
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
        let salt = Salt::from_bytes([lost; 16]);
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
