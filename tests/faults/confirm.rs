//! Ends that replicas have to confirm: what is answered while they do not.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{sync::Arc, time::Duration};

use tower_user_sessions::{
    CommitError, EndReason, Limit, RedisStore, Session, SessionLayer, UserId, UserSessions,
    store::{
        Created, End, Ended, RedisSource, Resolve, Resolved, SessionStore, StoreError,
        StoreErrorKind, Token, Which,
    },
};

use crate::common::{
    http::Client,
    load::millis,
    people::{self, asks, is_live, listed, signs_in, token, until},
    redis::{Server, try_ask},
    replicas::{Group, Program},
    server_clock::ServerClock,
};

/// Replicas that confirm at once, though the machine is busy.
pub(super) const PATIENT: Duration = Duration::from_secs(10);

pub(super) fn confirming(server: &Server, replicas: u32, within: Duration) -> RedisStore {
    let source = RedisSource::url(&server.url()).unwrap();
    RedisStore::builder(source)
        .confirm(replicas, within)
        .build()
}

/// A sign-in that both have, whatever is to be confirmed later.
pub(super) async fn signed_in(group: &Group, user: &str) -> Token {
    let store = RedisStore::connect(&group.master.url()).unwrap();
    let token = signs_in(&store, user).await;
    group.settles().await;
    token
}

pub(super) async fn ends(store: &RedisStore, token: &Token) -> Result<Ended, StoreError> {
    let which = Which::One(token.session_id());
    store
        .end(&End::new(token.tag(), which, EndReason::LoggedOut))
        .await
}

async fn has_ended(store: &RedisStore, token: &Token) -> bool {
    let found = store.resolve(&Resolve::new(token.clone())).await.unwrap();
    matches!(found, Resolved::Ended(_))
}

pub(super) fn kind<T: std::fmt::Debug>(answer: Result<T, StoreError>) -> StoreErrorKind {
    answer.unwrap_err().kind()
}

// T71
#[tokio::test]
async fn one_replica_is_not_enough_where_two_have_to_confirm() {
    let group = Group::start(Program::Redis, &[100]).await;
    let token = signed_in(&group, "alice").await;
    let store = confirming(&group.master, 2, millis(300));

    let answer = ends(&store, &token).await;

    assert_eq!(kind(answer), StoreErrorKind::Unconfirmed);
    let store = confirming(&group.master, 1, PATIENT);
    ends(&store, &token).await.unwrap();
}

async fn a_stopped_replica_confirms_nothing(program: Program) {
    let group = Group::start(program, &[100]).await;
    let patient = confirming(&group.master, 1, PATIENT);
    let mut tokens = Vec::new();
    for user in 0..50 {
        tokens.push(signs_in(&patient, &format!("user-{user}")).await);
    }

    let store = confirming(&group.master, 1, millis(30));
    group.replicas[0].suspend();
    let mut unconfirmed = 0;
    for token in &tokens {
        let answer = ends(&store, token).await;
        unconfirmed += usize::from(kind(answer) == StoreErrorKind::Unconfirmed);
        assert!(has_ended(&store, token).await, "on the master it is done");
    }
    for token in &tokens {
        // Another process, whose connection has written nothing yet.
        let store = confirming(&group.master, 1, millis(30));
        let answer = ends(&store, token).await;
        unconfirmed += usize::from(answer.is_err_and(|e| e.kind() == StoreErrorKind::Unconfirmed));
    }
    let stranger = token(&store, "stranger");
    assert_eq!(
        kind(ends(&store, &stranger).await),
        StoreErrorKind::Unconfirmed,
        "an end of a session that is not there",
    );
    let all = End::new(tokens[0].tag(), Which::All, EndReason::Revoked);
    for _ in 0..2 {
        assert_eq!(
            kind(store.end(&all).await),
            StoreErrorKind::Unconfirmed,
            "an end of all sessions",
        );
    }
    assert_eq!(unconfirmed, 100);

    group.replicas[0].resume();
    let key = format!("sessions:{{{}}}", tokens[1].tag());
    for token in &tokens {
        let ended = ends(&patient, token).await.unwrap();
        assert!(matches!(ended, Ended::Ended { ids, .. } if ids.is_empty()));
    }
    assert_eq!(group.master.ask::<usize>(&format!("HLEN {key}")).await, 1);
}

// T71
#[tokio::test]
async fn the_first_end_that_a_server_sees_is_unconfirmed_and_not_late() {
    let group = Group::start(Program::Redis, &[100]).await;
    let store = confirming(&group.master, 1, millis(1_500));
    let token = signs_in(&store, "alice").await;

    // The server does not know the script, and the replica does not have this.
    group.replicas[0].suspend();
    let _: String = group.master.ask("SET other 1").await;

    assert_eq!(
        kind(ends(&store, &token).await),
        StoreErrorKind::Unconfirmed
    );
    assert!(has_ended(&store, &token).await);
}

// T71
#[tokio::test]
async fn a_stopped_replica_confirms_no_end_and_no_repeated_end_on_redis() {
    a_stopped_replica_confirms_nothing(Program::Redis).await;
}

// T71
#[tokio::test]
async fn a_stopped_replica_confirms_no_end_and_no_repeated_end_on_valkey() {
    a_stopped_replica_confirms_nothing(Program::Valkey).await;
}

// T71
#[tokio::test]
async fn an_unconfirmed_sign_in_is_given_up_and_what_it_evicted_stays_ended() {
    let group = Group::start(Program::Redis, &[100]).await;
    let store = confirming(&group.master, 1, millis(100));
    let layer = SessionLayer::new(store.clone()).limit(Limit::at_most(1));
    let first = signed_in(&group, "alice").await;

    group.replicas[0].suspend();
    let mut client = Client::new(&layer);
    let answer = client
        .send(|session| async move {
            session.log_in("alice").unwrap();
            let error = session.commit().await.unwrap_err();
            matches!(error, CommitError::Store(error) if error.kind() == StoreErrorKind::Unconfirmed)
        })
        .await;

    assert_eq!(answer.status, 503);
    assert!(answer.header("retry-after").is_some());
    assert!(answer.sets_no_cookie());
    assert!(answer.value());
    assert_eq!(store.drain(Duration::from_secs(5)).await, 0);
    assert!(has_ended(&store, &first).await);
    assert_eq!(listed(&store, first.tag()).await, []);
}

// T71
#[tokio::test]
async fn a_refused_sign_in_is_answered_without_the_replicas() {
    let group = Group::start(Program::Redis, &[100]).await;
    let store = confirming(&group.master, 1, millis(100));
    signed_in(&group, "alice").await;
    let mut create = asks("alice", &token(&store, "alice"));
    create.limit = Limit::at_most(1).refuse();

    group.replicas[0].suspend();
    let refused = store.create(&create).await.unwrap();

    assert!(matches!(refused, Created::LimitReached(_)), "{refused:?}");
}

// T71
#[tokio::test]
async fn a_sign_out_is_503_until_it_is_confirmed_however_often_the_user_tries() {
    let group = Group::start(Program::Redis, &[100]).await;
    let store = confirming(&group.master, 1, millis(500));
    let layer = SessionLayer::new(store.clone());
    let token = signed_in(&group, "alice").await;
    let cookie = format!("__Host-session={}", token.encode().as_str());
    let mut client = Client::with_cookies(&layer, [cookie.as_bytes()]);
    let sign_out = |session: Session| async move { session.log_out().unwrap() };

    group.replicas[0].suspend();
    for _ in 0..3 {
        let answer = client.send(sign_out).await;
        assert_eq!(answer.status, 503);
        assert!(answer.header("retry-after").is_some());
        assert!(answer.sets_no_cookie(), "the browser can try again");
        assert!(has_ended(&store, &token).await);
    }
    group.replicas[0].resume();
    until("the replica has caught up", async || {
        ends(&store, &token).await.is_ok()
    })
    .await;
    let answer = client.send(sign_out).await;

    assert_eq!(answer.status, 200);
    assert!(answer.sets_no_cookie(), "it opens no session any more");
    assert_eq!(client.user().await, None);
}

// T71
#[tokio::test]
async fn a_sign_in_confirms_an_end_of_all_sessions_before_it() {
    let group = Group::start(Program::Redis, &[100]).await;
    let store = confirming(&group.master, 1, millis(100));
    let token = signed_in(&group, "alice").await;

    group.replicas[0].suspend();
    let sessions = UserSessions::new(store.clone(), UserId::new("alice").unwrap());
    sessions.end_all().await.unwrap_err();
    group.replicas[0].resume();
    until("the replica has caught up", async || {
        let new = people::token(&store, "bob");
        store.create(&asks("bob", &new)).await.is_ok()
    })
    .await;

    group.master.suspend();
    let replica = &group.replicas[0];
    let _ = try_ask::<()>(&replica.url(), &["REPLICAOF", "NO", "ONE"]).await;
    let other = RedisStore::connect(&replica.url()).unwrap();
    assert!(!is_live(&other, &token).await);
}

// T21 T71
#[tokio::test]
async fn a_sign_in_after_an_end_of_all_sessions_that_was_repeated_until_it_was_confirmed_is_kept() {
    let group = Arc::new(Group::start(Program::Redis, &[100]).await);
    let store = confirming(&group.master, 1, millis(1_500));
    let layer = SessionLayer::new(store.clone());
    // From here on the server knows the scripts.
    let patient = confirming(&group.master, 1, PATIENT);
    signs_in(&patient, "alice").await;
    let bob = token(&patient, "bob");
    let all = End::new(bob.tag(), Which::All, EndReason::Administrator);
    patient.end(&all).await.unwrap();

    group.replicas[0].suspend();
    let stopped = Arc::clone(&group);
    let mut client = Client::new(&layer);
    let answer = client.send(move |session| {
        let group = Arc::clone(&stopped);
        async move {
            let alice = session.sessions_of(UserId::new("alice").unwrap());
            let first = alice.end_all().await.unwrap_err();
            group.replicas[0].resume();
            // Until the replica has caught up.
            while alice.end_all().await.is_err() {}
            session.log_in("alice").unwrap();
            first
        }
    });

    let answer = answer.await;
    let status = answer.status;
    let first = format!("{:?}", answer.value());
    assert!(first.contains("Unconfirmed"), "{first}");
    assert_eq!(status, 200);
    let alice = token(&store, "alice");
    assert_eq!(listed(&store, alice.tag()).await.len(), 1);
}

// T71
#[tokio::test]
async fn a_clock_of_the_master_that_steps_ahead_refuses_nothing_though_replicas_are_slow() {
    let clock = ServerClock::right();
    let master = Server::start_program(&clock.program(), &[]).unwrap();
    let group = Group::of(master, Program::Redis, &[100]).await;
    let source = RedisSource::url(&group.master.url()).unwrap();
    // The replica takes longer than a call may take whose reply shows the time: a sixteenth of the deadline.
    let store = RedisStore::builder(source)
        .deadline(Duration::from_secs(4))
        .confirm(1, PATIENT)
        .build();
    let alice = signs_in(&store, "alice").await;
    let bob = signs_in(&store, "bob").await;
    group.ways[0].delay(250);
    let seconds = async || group.master.ask::<(i64, i64)>("TIME").await.0;
    let before = seconds().await;

    clock.steps_ahead();

    let created = store.create(&asks("carol", &token(&store, "carol"))).await;
    assert!(matches!(created, Ok(Created::Created(_))), "{created:?}");
    for token in [&alice, &bob] {
        ends(&store, token).await.unwrap();
        assert!(has_ended(&store, token).await);
    }
    assert!(seconds().await - before >= 20, "the clock did not step");
}
