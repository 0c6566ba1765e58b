//! `RedisStore` and a server that answers, but not with what was asked for: it refuses a sign-in that it accepted, is
//! busy now and then, or answers late.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use deadpool_redis::redis::IntoConnectionInfo;
use tokio::{task::JoinSet, time::Instant};
use tower_user_sessions::{
    EndReason, RedisStore,
    store::{
        End, RedisSource, Renewal, Resolve, Rotate, Salt, Save, SessionStore, StoreError,
        StoreErrorKind, Which,
    },
};

use crate::common::{
    fake::Fake,
    load::millis,
    people::{asks, guest, set, token, until},
    redis::{Server, patient},
    relay::Relay,
};

async fn resolves(store: &RedisStore) -> Result<(), StoreError> {
    store.resolve(&Resolve::new(guest())).await.map(drop)
}

/// A server whose password may change. Then it refuses who signed in with the previous one.
async fn with_password(password: &Arc<Mutex<&'static str>>) -> Fake {
    let (now, signed_in) = (Arc::clone(password), Mutex::new(HashMap::new()));
    let port = Arc::new(OnceLock::new());
    let own = Arc::clone(&port);
    let fake = Fake::start(move |asked| {
        let (now, mut signed_in) = (*now.lock().unwrap(), signed_in.lock().unwrap());
        let answer = match asked.name() {
            b"AUTH" => {
                let password = asked.words.last().unwrap().clone();
                let right = password == now.as_bytes();
                signed_in.insert(asked.connection, password);
                if right {
                    &b"+OK\r\n"[..]
                } else {
                    b"-WRONGPASS no\r\n"
                }
                .to_vec()
            }
            _ if signed_in.get(&asked.connection).map(Vec::as_slice) != Some(now.as_bytes()) => {
                b"-NOAUTH Authentication required.\r\n".to_vec()
            }
            b"CLUSTER" => {
                let port = own.get().unwrap();
                let nodes = format!("1 127.0.0.1:{port}@1 myself,master - 0 0 1 connected 0-16383");
                format!("${}\r\n{nodes}\r\n", nodes.len()).into_bytes()
            }
            _ => asked.usual(),
        };
        (Duration::ZERO, answer)
    })
    .await;
    port.set(fake.port).unwrap();
    fake
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn where_the_password_has_changed_the_new_one_is_used_and_no_call_fails() {
    let password = Arc::new(Mutex::new("first"));
    let fake = with_password(&password).await;
    let (port, known) = (fake.port, Arc::clone(&password));
    let store = RedisStore::connect_with(move || {
        let url = format!("redis://:{}@127.0.0.1:{port}", known.lock().unwrap());
        async move { url.into_connection_info() }
    });
    resolves(&store).await.unwrap();
    until("the second connection is there", async || fake.open() == 2).await;

    *password.lock().unwrap() = "second";

    for _ in 0..5 {
        resolves(&store).await.unwrap();
    }
    assert!(fake.connects() <= 4, "{} connects", fake.connects());
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_refuses_the_password_of_before_is_tried_every_5_s() {
    let password = Arc::new(Mutex::new("first"));
    let fake = with_password(&password).await;
    let url = format!("redis://:first@127.0.0.1:{}", fake.port);
    let store = RedisStore::connect(&url).unwrap();
    resolves(&store).await.unwrap();
    until("the second connection is there", async || fake.open() == 2).await;

    *password.lock().unwrap() = "second";
    let began = Instant::now();
    while began.elapsed() < millis(3_000) {
        let error = resolves(&store).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Denied);
        tokio::time::sleep(millis(10)).await;
    }
    assert_eq!(fake.connects(), 3);
    *password.lock().unwrap() = "first";

    until("it is accepted again", async || {
        resolves(&store).await.is_ok()
    })
    .await;
    assert!(began.elapsed() < millis(8_000), "{:?}", began.elapsed());
}

/// How often two of them may try again by now, on a slow machine.
fn again(began: Instant) -> u32 {
    2 * u32::try_from(began.elapsed().as_millis() / 5_000).unwrap()
}

/// The first connection was made with the password of before, and goes on.
async fn attempts_beside_a_connection_that_goes_on() -> u32 {
    let fake = Fake::start(|asked| match asked.name() {
        b"AUTH" if asked.connection > 1 => (Duration::ZERO, b"-WRONGPASS no\r\n".to_vec()),
        _ => (Duration::ZERO, asked.usual()),
    })
    .await;
    let source = RedisSource::url(&format!("redis://:first@127.0.0.1:{}", fake.port)).unwrap();
    let store = RedisStore::builder(source).confirm(1, millis(100)).build();
    let began = Instant::now();
    resolves(&store).await.unwrap();
    let gone = guest();
    let end = End::new(
        gone.tag(),
        Which::One(gone.session_id()),
        EndReason::Revoked,
    );
    while began.elapsed() < millis(3_000) {
        let error = store.end(&end).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Denied);
        tokio::time::sleep(millis(50)).await;
    }
    (fake.connects() - 1).saturating_sub(again(began))
}

/// All connections are closed, and the password is another one.
async fn attempts_to_read_the_map_of_a_cluster() -> u32 {
    let password = Arc::new(Mutex::new("first"));
    let fake = with_password(&password).await;
    let url = format!("redis://:first@127.0.0.1:{}", fake.port);
    let store = RedisStore::connect_cluster([url]).unwrap();
    resolves(&store).await.unwrap();
    tokio::time::sleep(millis(200)).await;
    let before = fake.connects();
    *password.lock().unwrap() = "second";
    let began = Instant::now();
    while began.elapsed() < millis(3_000) {
        resolves(&store).await.unwrap_err();
        tokio::time::sleep(millis(10)).await;
    }
    (fake.connects() - before).saturating_sub(again(began))
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_password_is_not_tried_more_often_for_spares_confirmations_and_maps() {
    let (beside, maps) = tokio::join!(
        attempts_beside_a_connection_that_goes_on(),
        attempts_to_read_the_map_of_a_cluster()
    );

    assert!(beside <= 2, "{beside}: a spare, and one that is confirmed");
    assert!(maps <= 4, "{maps}");
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn calls_that_are_about_to_be_sent_again_leave_their_places_to_others() {
    let busy = Arc::<AtomicBool>::default();
    let is_busy = Arc::clone(&busy);
    let fake = Fake::start(move |asked| match asked.name() {
        b"EVALSHA" | b"EVAL" if is_busy.load(SeqCst) => (Duration::ZERO, b"-BUSY no\r\n".to_vec()),
        _ => (Duration::ZERO, asked.usual()),
    })
    .await;
    let relay = Relay::start(fake.port).await;
    // Where other programs use the processor, 0.47 s may be too short.
    let mut without = Vec::new();
    while without.len() < 5 && !without.contains(&0) {
        relay.delay(Duration::ZERO);
        busy.store(false, SeqCst);
        // Some wait 0.47 s for a place, and those who have one get their error after 0.5 s.
        let store = RedisStore::builder(RedisSource::url(&relay.url()).unwrap());
        let store = store.deadline(millis(1_900)).build();
        let calls = async |count: usize| {
            let call = |_| {
                let store = store.clone();
                async move { resolves(&store).await.map_err(|error| error.kind()) }
            };
            let calls: JoinSet<_> = (0..count).map(call).collect();
            calls.join_all().await
        };
        resolves(&store).await.unwrap();
        // From here on few places come, because replies take their time.
        relay.delay(millis(300));
        assert_eq!(calls(9).await, [Ok(()); 9]);

        relay.delay(millis(40));
        resolves(&store).await.unwrap();
        busy.store(true, SeqCst);
        let answers = calls(30).await;

        let are = |kind| {
            answers
                .iter()
                .filter(|answer| **answer == Err(kind))
                .count()
        };
        without.push(are(StoreErrorKind::Busy));
        assert_eq!(
            are(StoreErrorKind::Busy) + are(StoreErrorKind::Unavailable),
            30,
            "{answers:?}"
        );
    }

    assert_eq!(
        without.last(),
        Some(&0),
        "so many calls found no place: {without:?}"
    );
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_busy_now_and_then_is_not_left() {
    let busy = Arc::new(AtomicBool::new(false));
    let once = Arc::clone(&busy);
    let fake = Fake::start(move |asked| {
        let is_call = asked.name() == b"EVALSHA";
        let answer = if is_call && once.swap(false, SeqCst) {
            b"-BUSY Redis is busy running a script.\r\n".to_vec()
        } else {
            asked.usual()
        };
        (Duration::ZERO, answer)
    })
    .await;
    let store = RedisStore::new(fake.source());
    resolves(&store).await.unwrap();
    until("the second connection is there", async || fake.open() == 2).await;

    let mut times = 0;
    while times < 3 {
        busy.store(true, SeqCst);
        // Dropped before it is answered otherwise. On a busy machine it may not have been sent yet, or have been sent again.
        let call = tokio::time::timeout(millis(5), resolves(&store)).await;
        if call.is_err() && !busy.swap(false, SeqCst) {
            times += 1;
            tokio::time::sleep(millis(700)).await;
        }
    }

    resolves(&store).await.unwrap();
    assert_eq!(fake.connects(), 2, "the link was never down");
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_the_server_calls_late_is_sent_again_within_the_same_deadline() {
    let scripts = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&scripts);
    let fake = Fake::start(move |asked| match asked.name() {
        b"EVALSHA" if count.fetch_add(1, SeqCst) == 0 => (millis(700), asked.outcome(5, 1)),
        b"EVALSHA" => (millis(60_000), Vec::new()),
        _ => (Duration::ZERO, asked.usual()),
    })
    .await;
    let store = RedisStore::new(fake.source());

    let began = Instant::now();
    let created = store.create(&asks("alice", &token(&store, "alice"))).await;

    assert_eq!(created.unwrap_err().kind(), StoreErrorKind::Timeout);
    assert!(scripts.load(SeqCst) >= 2, "sent again");
    assert!(began.elapsed() < millis(1_300), "{:?}", began.elapsed());
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn a_panic_of_the_function_that_says_where_to_connect_is_an_error_of_one_attempt() {
    let server = Server::start();
    let (url, asked) = (server.url(), Arc::new(AtomicU32::new(0)));
    let count = Arc::clone(&asked);
    let source = RedisSource::with(move || {
        let (url, number) = (url.clone(), count.fetch_add(1, SeqCst));
        assert!(number != 0, "as planned, before the future");
        async move {
            assert!(number != 1, "as planned, in the future");
            url.into_connection_info()
        }
    });
    let store = patient(source).build();

    until("it is answered", async || match resolves(&store).await {
        Ok(()) => true,
        Err(error) => {
            assert_eq!(error.kind(), StoreErrorKind::Unavailable);
            false
        }
    })
    .await;

    assert!(
        asked.load(SeqCst) <= 4,
        "the two that panicked, and two that work"
    );
}

/// The server runs it, its reply is lost with the connections, and then the password is another one.
// T57 T70
#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_that_may_have_run_before_the_password_changed_is_uncertain() {
    let has_run = Arc::new(AtomicBool::new(false));
    let runs = Arc::clone(&has_run);
    let fake = Fake::start(move |asked| match asked.name() {
        b"EVALSHA" => {
            runs.store(true, SeqCst);
            (millis(60_000), Vec::new())
        }
        b"AUTH" if runs.load(SeqCst) => (Duration::ZERO, b"-WRONGPASS no\r\n".to_vec()),
        _ => (Duration::ZERO, asked.usual()),
    })
    .await;
    let url = format!("redis://:first@127.0.0.1:{}", fake.port);
    let store = RedisStore::connect(&url).unwrap();
    let (first, salt) = (token(&store, "alice"), Salt::from_bytes([1; 16]));
    let rotate = Rotate::new(&first, &first.successor(&salt), Renewal::Derived(salt));

    let (answer, ()) = tokio::join!(store.rotate(&rotate), async {
        until("it has run", async || has_run.load(SeqCst)).await;
        fake.cut();
    });

    assert_eq!(answer.unwrap_err().kind(), StoreErrorKind::Uncertain);
}

/// As Envoy and twemproxy answer, in words of their own, once the connection to the server broke.
// T57 T70
#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_a_proxy_leaves_open_whether_it_ran() {
    for error in ["-upstream failure\r\n", "-ERR Connection timed out\r\n"] {
        let fake = Fake::start(move |asked| match asked.name() {
            b"EVALSHA" => (Duration::ZERO, error.as_bytes().to_vec()),
            _ => (Duration::ZERO, asked.usual()),
        })
        .await;
        let store = RedisStore::new(fake.source());
        let (first, salt) = (token(&store, "alice"), Salt::from_bytes([1; 16]));
        let rotate = Rotate::new(&first, &first.successor(&salt), Renewal::Derived(salt));
        let mut save = Save::new(first.tag(), first.session_id(), set("cart", "apple"));
        let unconditional = store.save(&save).await.unwrap_err();
        save.expect = Some(1);

        let conditional = store.save(&save).await.unwrap_err();
        let rotated = store.rotate(&rotate).await.unwrap_err();

        assert_eq!(unconditional.kind(), StoreErrorKind::Unavailable, "{error}");
        assert_eq!(conditional.kind(), StoreErrorKind::Uncertain, "{error}");
        assert_eq!(rotated.kind(), StoreErrorKind::Uncertain, "{error}");
    }
}
