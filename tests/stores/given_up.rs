//! A sign-in that fails before its store may have made it leaves nothing to end.

use std::time::Duration;

use tower_user_sessions::{
    EndReason, RedisStore, SessionLayer, SessionStore,
    store::{
        Arrival, Authenticated, Create, Created, End, Ended, SharedStore, StoreErrorKind, Token,
        Which,
    },
};

use crate::common::{
    http::{Client, user},
    people::{asks as asks_for, guest, is_live, signs_in, token, until},
    redis::{Server, free_port},
    shelf::{Fault, Shelf},
};

async fn sign_ins_and_guests(store: impl Into<SharedStore>) {
    let layer = SessionLayer::new(store);
    for _ in 0..50 {
        let signed_in = Client::new(&layer).request(|session| async move {
            session.log_in(user("alice")).unwrap();
            session.commit().await.is_err()
        });
        assert!(signed_in.await.value());
        let began = Client::new(&layer).request(|session| async move {
            session.insert("cart", "apple").unwrap();
            session.commit().await.is_err()
        });
        assert!(began.await.value());
    }
}

// T57 T70
#[tokio::test]
async fn sign_ins_of_an_outage_are_not_queued_to_be_ended() {
    let port = free_port();
    let redis = RedisStore::connect(&format!("redis://127.0.0.1:{port}")).unwrap();
    sign_ins_and_guests(redis.clone()).await;
    assert_eq!(redis.drain(Duration::ZERO).await, 0);

    let shelf = Shelf::default();
    let sets = shelf.store();
    shelf.set_down(true);
    sign_ins_and_guests(sets.clone()).await;
    assert_eq!(sets.drain().await, 0);
}

fn asks() -> (Token, Create) {
    let token = guest();
    let create = Create::new(&token, None, Authenticated::On(Arrival::now()));
    (token, create)
}

// T57
#[tokio::test]
async fn a_sign_in_of_which_no_attempt_ran_is_not_ended_and_one_that_may_have_run_is() {
    let shelf = Shelf::default();
    let store = shelf.store();
    let (token, create) = asks();
    let end = || store.end_undelivered(token.tag(), token.session_id());
    let nothing_ran = || [Fault::NothingRan(StoreErrorKind::Unavailable); 3];

    shelf.fail(nothing_ran());
    store.create(&create).await.unwrap_err();
    end();
    shelf.set_down(true);
    assert_eq!(store.drain().await, 0);
    shelf.set_down(false);

    // Asked for again with the same token: the second one may run.
    shelf.fail(nothing_ran());
    store.create(&create).await.unwrap_err();
    shelf.fail([Fault::Vanishes; 3]);
    store.create(&create).await.unwrap_err();
    end();
    shelf.set_down(true);
    assert_eq!(store.drain().await, 1);
}

/// As above, with a server that comes back between the two.
// T57
#[tokio::test]
async fn a_sign_in_that_is_sent_after_one_that_was_not_is_ended() {
    let mut server = Server::start();
    let store = RedisStore::new(server.pool());
    let (token, create) = asks();
    server.kill();
    store.create(&create).await.unwrap_err();
    server.restart();
    until("the server answers", async || {
        store.create(&create).await.is_ok()
    })
    .await;

    store.end_undelivered(token.tag(), token.session_id());

    assert_eq!(store.drain(Duration::from_secs(5)).await, 0);
    assert!(!is_live(&store, &token).await);
}

// T57
#[tokio::test]
async fn a_sign_in_that_was_given_up_is_remembered_in_a_large_session_set_too() {
    let server = Server::start();
    let store = RedisStore::new(server.pool());
    let first = signs_in(&store, "alice").await;
    let late = token(&store, "alice");
    let key = format!("sessions:{{{}}}", first.tag());
    for from in [0, 3_000] {
        let data = (from..from + 3_000).map(|number| format!(" {number:016}.data x"));
        let fields: String = data.collect();
        let _: usize = server.ask(&format!("HSET {key}{fields}")).await;
    }

    let one = Which::One(late.session_id());
    let one = End::new(late.tag(), one, EndReason::Undelivered);
    assert_eq!(store.end(&one).await.unwrap(), Ended::Unknown);

    let created = store.create(&asks_for("alice", &late)).await.unwrap();
    assert!(matches!(created, Created::Ended), "{created:?}");
}
