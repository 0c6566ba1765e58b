//! Servers that share a storage of session sets, and PostgreSQL: the sessions of all users end on each of them.

use std::{sync::atomic::Ordering::Relaxed, task::Poll, time::Duration};

use http::StatusCode;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tower_user_sessions::{
    EndReason, Everyone, Login, SessionId, SessionLayer, UserId, UserSessions,
    store::{
        Clock, End, EndEveryone, ManualClock, Scan, SessionStore, SetStorage, SetStore,
        SharedStore, StoreError, StoreErrorKind, Stored, Tag, Timestamp, Token, Which, Write,
        Written,
    },
};

use crate::common::{
    http::Client,
    log::Log,
    people::{asks, is_live, signs_in},
    postgres::{Server, patient},
    shelf::Shelf,
};

/// What names no session set: the moment is stored there.
const ZEROS: Tag = Tag::from_bytes([0; 12]);

// T74
#[tokio::test]
async fn a_call_that_nobody_polls_any_more_holds_up_no_other_call() {
    let store = SharedStore::from(Shelf::default().yielding().store());
    let sessions = UserSessions::new(store, UserId::new("alice").unwrap());
    let mut paused = std::pin::pin!(sessions.list());
    // It asks whether the sessions of all users ended, and is left alone before the answer.
    let polled = std::future::poll_fn(|cx| Poll::Ready(paused.as_mut().poll(cx))).await;
    assert!(polled.is_pending());

    let other = timeout(Duration::from_secs(10), sessions.list()).await;

    assert!(matches!(other, Ok(Ok(_))), "{other:?}");
}

// T74
#[tokio::test]
async fn every_server_of_one_storage_answers_401_and_so_does_one_that_starts_later() {
    let shelf = Shelf::default();
    all_servers_answer_401(|| shelf.store().into()).await;
}

// T74
#[tokio::test]
async fn every_server_of_one_postgres_answers_401_and_so_does_one_that_starts_later() {
    let server = Server::start();
    server.store().await;
    all_servers_answer_401(|| patient(server.pool()).build().into()).await;
}

/// Each store that `store` makes is that of another server.
async fn all_servers_answer_401(store: impl Fn() -> SharedStore) {
    let there = SessionLayer::new(store());
    let alice = Client::signed_in(&there, "alice").await;
    assert_eq!(alice.users_only().await, StatusCode::OK);

    Everyone::new(store()).end_all().await.unwrap();
    let began = Instant::now();

    let later = SessionLayer::new(store());
    let moved = alice.before(&later);
    assert_eq!(moved.users_only().await, StatusCode::UNAUTHORIZED);
    while alice.users_only().await == StatusCode::OK {
        assert!(began.elapsed() < Duration::from_secs(5));
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(alice.users_only().await, StatusCode::UNAUTHORIZED);

    for layer in [&there, &later] {
        let again = Client::signed_in(layer, "alice").await;
        assert_eq!(again.users_only().await, StatusCode::OK);
        a_token_of_zeros_makes_a_guest(layer).await;
    }
}

/// What is stored under that tag is no session set, and no reason for an error.
async fn a_token_of_zeros_makes_a_guest(layer: &SessionLayer) {
    let token = Token::random(ZEROS).unwrap().encode();
    let mut forger = Client::new(layer);
    forger.cookie = Some(format!("__Host-session={}", token.as_str()));

    let answer = forger
        .request(|session| async move { session.user_id() })
        .await;

    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.value(), None);
}

// T2 T59
#[tokio::test]
async fn nothing_is_written_over_the_moment_of_all_users() {
    let store = Shelf::default().store();
    let alice = signs_in(&store, "alice").await;
    let moment = store.end_everyone(EndEveryone::Now).await.unwrap();
    let token = Token::random(ZEROS).unwrap();
    let mut create = asks("alice", &token);
    create.tag = ZEROS;

    let created = store.create(&create).await;
    let ended = store
        .end(&End::new(ZEROS, Which::All, EndReason::Administrator))
        .await;
    store.end_undelivered(ZEROS, token.session_id());
    let waiting = store.drain(Duration::from_secs(5)).await;
    let page = store.scan(&Scan::new()).await.unwrap();

    let unsupported = Some(StoreErrorKind::Unsupported);
    assert_eq!(created.err().map(|error| error.kind()), unsupported);
    assert_eq!(ended.err().map(|error| error.kind()), unsupported);
    assert_eq!(waiting, 0);
    let ids: Vec<_> = page.sets.iter().flatten().map(|record| record.id).collect();
    assert_eq!(ids, [alice.session_id()]);
    assert_eq!(store.everyone(None).await.unwrap(), Some(moment));
}

// T74
#[tokio::test]
async fn ends_of_all_at_once_have_different_moments_and_what_is_known_is_not_written_again() {
    let shelf = Shelf::default().yielding();
    let stores = [shelf.store(), shelf.store(), shelf.store(), shelf.store()];
    let mut ends: JoinSet<_> = (stores.iter().cloned())
        .map(|store| async move { store.end_everyone(EndEveryone::Now).await.unwrap() })
        .collect();
    let mut moments = Vec::new();
    while let Some(moment) = ends.join_next().await {
        moments.push(moment.unwrap());
    }
    moments.sort();
    moments.dedup();
    assert_eq!(moments.len(), 4);
    let lost = shelf.counts().lost.load(Relaxed);
    assert!(lost > 0, "they were not at once");

    let latest = moments.pop();
    let before = shelf.counts().writes.load(Relaxed);
    for knows in [None, moments.pop(), latest] {
        assert_eq!(stores[0].everyone(knows).await.unwrap(), latest);
    }
    assert_eq!(shelf.counts().writes.load(Relaxed), before);
}

// T74
#[tokio::test]
async fn the_moment_is_kept_for_ever_and_one_that_this_version_cannot_read_is_an_error() {
    let clock = ManualClock::at(Timestamp::from_millis(1_764_000_000_000));
    let shelf = Shelf::on(&clock);
    let store = shelf.store();
    let moment = store.end_everyone(EndEveryone::Now).await.unwrap();
    clock.advance(Duration::from_secs(100 * 365 * 24 * 60 * 60));
    shelf.purge();
    assert_eq!(store.everyone(None).await.unwrap(), Some(moment));

    let stored = shelf.head(ZEROS).unwrap().to_vec();
    let with_first = |first: u8| [&[first], &stored[1..]].concat();
    for (head, kind) in [
        (with_first(2), StoreErrorKind::TooNew),
        (with_first(0), StoreErrorKind::Corrupt),
        (stored[..8].to_vec(), StoreErrorKind::Corrupt),
        ([&stored[..], &[0]].concat(), StoreErrorKind::Corrupt),
    ] {
        shelf.put_head(ZEROS, head);
        assert_eq!(store.everyone(None).await.unwrap_err().kind(), kind);
    }
}

#[tokio::test]
async fn a_part_of_all_sessions_has_one_set_at_least_and_leaves_out_those_that_cannot_be_read() {
    let log = Log::start();
    let shelf = Shelf::default();
    let store = shelf.store();
    store.end_everyone(EndEveryone::Now).await.unwrap();
    let (alice, bob) = (
        signs_in(&store, "alice").await,
        signs_in(&store, "bob").await,
    );
    let mut scan = Scan::new();
    scan.most = 0;
    let mut found = Vec::new();
    loop {
        let page = store.scan(&scan).await.unwrap();
        found.extend(page.sets.into_iter().flatten().map(|record| record.id));
        scan.cursor = page.next;
        if scan.cursor.is_none() {
            break;
        }
    }
    found.sort();
    let mut both = vec![alice.session_id(), bob.session_id()];
    both.sort();
    assert_eq!(found, both);
    assert_eq!(log.at("WARN"), Vec::<String>::new());

    let carol = signs_in(&store, "carol").await;
    for of in [&alice, &carol] {
        let mut newer = shelf.head(of.tag()).unwrap().to_vec();
        newer[0] = 200;
        shelf.put_head(of.tag(), newer);
    }

    let page = store.scan(&Scan::new()).await.unwrap();
    let ids: Vec<_> = page.sets.iter().flatten().map(|record| record.id).collect();
    assert_eq!(ids, [bob.session_id()]);
    let lines = log.at("WARN");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("sets=2"), "{lines:?}");
}

// T74
#[tokio::test]
async fn a_server_that_knew_nothing_rejects_a_sign_in_from_before_and_reads_the_moment_when_asked()
{
    let shelf = Shelf::default();
    let store = SharedStore::from(shelf.store());
    let there = SessionLayer::new(store.clone());
    let everyone = Everyone::new(store);
    assert_eq!(everyone.ended_before().await.unwrap(), None);
    let password = Clock::system().now();
    sleep(Duration::from_millis(2)).await;

    let moment = Everyone::new(shelf.store()).end_all().await.unwrap();

    assert_eq!(everyone.ended_before().await.unwrap(), Some(moment));
    for layer in [there, SessionLayer::new(shelf.store())] {
        let answer = Client::new(&layer).request(move |session| async move {
            let login = Login::new("alice").since(password);
            session.log_in_with(login).unwrap();
        });
        assert_eq!(answer.await.status, StatusCode::UNAUTHORIZED);
    }
}

/// Where it is stored cannot be read.
#[derive(Clone)]
struct NoMoment(Shelf);

impl SetStorage for NoMoment {
    async fn read(&self, tag: Tag, part: Option<SessionId>) -> Result<Stored, StoreError> {
        if tag == ZEROS {
            return Err(StoreError::new(StoreErrorKind::Unavailable));
        }
        self.0.read(tag, part).await
    }

    async fn write(&self, tag: Tag, write: &Write) -> Result<Written, StoreError> {
        self.0.write(tag, write).await
    }
}

// T19 T74
#[tokio::test]
async fn an_administrator_ends_sessions_though_the_moment_of_all_users_cannot_be_read() {
    let shelf = Shelf::default();
    let alice = signs_in(&shelf.store(), "alice").await;
    let store = SetStore::new(NoMoment(shelf.clone()));
    let sessions = UserSessions::new(store, UserId::new("alice").unwrap());

    let listed = sessions.list().await;
    sessions.end_all().await.unwrap();

    assert!(listed.is_err(), "it may have sessions of before");
    assert!(!is_live(&shelf.store(), &alice).await);
}
