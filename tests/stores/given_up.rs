//! A sign-in that fails before its store may have made it leaves nothing to end.

use std::time::Duration;

use http::{Response, StatusCode};
use tower_user_sessions::{
    EndReason, RedisStore, SessionLayer, SessionStore,
    store::{Created, End, Ended, Renewal, Rotate, Salt, SharedStore, StoreErrorKind, Which},
};

use crate::{
    common::{
        http::{Client, user},
        people::{asks, is_live, signs_in, token, until},
        postgres,
        redis::{Server, free_port},
        shelf::{Fault, Shelf},
    },
    redis_check::without_shebang,
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
    assert_eq!(sets.drain(Duration::ZERO).await, 0);
}

// T57
#[tokio::test]
async fn what_postgresql_refuses_to_write_is_not_queued_to_be_ended() {
    let server = postgres::Server::start();
    let store = server.store().await;
    let sql = "CREATE FUNCTION refuses() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''no''; END'; \
               CREATE TRIGGER refuses BEFORE INSERT ON tower_user_sessions FOR EACH ROW EXECUTE FUNCTION refuses()";
    let admin = postgres::client(&server.url()).await;
    admin.batch_execute(sql).await.unwrap();

    sign_ins_and_guests(store.clone()).await;

    assert_eq!(store.drain(Duration::ZERO).await, 0);
}

// T57 T60
#[tokio::test]
async fn what_a_full_server_refuses_takes_no_room_there() {
    let server = Server::start_with(&["--maxmemory-policy", "noeviction"]);
    let store = RedisStore::connect(&server.url()).unwrap();
    let token = signs_in(&store, "bob").await;
    let _: () = server.ask("CONFIG SET maxmemory 1").await;

    sign_ins_and_guests(store.clone()).await;

    assert_eq!(store.drain(Duration::from_secs(10)).await, 0);
    assert_eq!(server.ask::<usize>("DBSIZE").await, 1);
    assert!(is_live(&store, &token).await);
}

// T57 T70
#[tokio::test]
async fn what_a_full_server_refuses_in_the_middle_of_a_script_is_ended() {
    let server = Server::start_with(&["--maxmemory-policy", "noeviction"]);
    // It runs scripts without their first line until a command needs room.
    let store = RedisStore::connect(&without_shebang(server.port).await).unwrap();
    signs_in(&store, "bob").await;
    let _: () = server.ask("CONFIG SET maxmemory 1").await;

    sign_ins_and_guests(store.clone()).await;

    assert!(store.drain(Duration::ZERO).await > 0);
}

/// A request that commits its sign-in twice and answers with an error. Returns how many sign-ins are to be ended then.
async fn left_after(commits: [[Fault; 3]; 2]) -> usize {
    let shelf = Shelf::default();
    let store = shelf.store();
    let layer = SessionLayer::new(store.clone());
    let on = shelf.clone();
    let answer = Client::new(&layer).answered(move |session| {
        let shelf = on.clone();
        async move {
            session.log_in(user("alice")).unwrap();
            for faults in commits {
                shelf.fail(faults);
                session.commit().await.unwrap_err();
            }
            let mut failed = Response::new(String::new());
            *failed.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            (failed, ())
        }
    });
    answer.await;
    shelf.set_down(true);
    store.drain(Duration::ZERO).await
}

// T57
#[tokio::test]
async fn a_sign_in_is_ended_unless_no_attempt_of_any_of_its_commits_ran() {
    let nothing_ran = [Fault::NothingRan(StoreErrorKind::Unavailable); 3];
    let may_have_run = [Fault::Vanishes; 3];

    assert_eq!(left_after([nothing_ran, nothing_ran]).await, 0);
    assert_eq!(left_after([nothing_ran, may_have_run]).await, 1);
    assert_eq!(left_after([may_have_run, nothing_ran]).await, 1);
}

// T57
#[tokio::test]
async fn a_drain_finds_out_at_once_whether_redis_answers_again() {
    let server = Server::start();
    let store = RedisStore::new(server.pool());
    let token = signs_in(&store, "alice").await;
    let _: () = server.ask("CONFIG SET min-replicas-to-write 1").await;
    store.end_undelivered(token.tag(), token.session_id());
    // After pauses of 20 ms, 40 ms and so on, one of 2.56 s has begun.
    tokio::time::sleep(Duration::from_millis(2_700)).await;
    let _: () = server.ask("CONFIG SET min-replicas-to-write 0").await;

    assert_eq!(store.drain(Duration::from_millis(1_500)).await, 0);
    assert!(!is_live(&store, &token).await);
}

// T57
#[tokio::test]
async fn a_sign_in_that_was_given_up_outside_of_a_runtime_is_ended_beside_the_next_one() {
    let server = Server::start();
    let store = RedisStore::new(server.pool());
    let token = signs_in(&store, "alice").await;
    let (outside, tag, id) = (store.clone(), token.tag(), token.session_id());
    let outside = std::thread::spawn(move || outside.end_undelivered(tag, id));
    outside.join().unwrap();
    assert!(is_live(&store, &token).await);

    signs_in(&store, "bob").await;

    until("it ended", async || !is_live(&store, &token).await).await;
}

// T57
#[tokio::test]
async fn a_rotation_of_which_an_attempt_may_have_run_is_uncertain() {
    let shelf = Shelf::default();
    let store = shelf.store();
    let (first, salt) = (signs_in(&store, "alice").await, Salt::from_bytes([1; 16]));
    let rotate = Rotate::new(&first, &first.successor(&salt), Renewal::Derived(salt));
    let nothing_ran = [Fault::NothingRan(StoreErrorKind::Unavailable); 3];

    for (faults, kind) in [
        (nothing_ran, StoreErrorKind::Unavailable),
        ([Fault::Vanishes; 3], StoreErrorKind::Uncertain),
    ] {
        shelf.fail(faults);
        assert_eq!(store.rotate(&rotate).await.unwrap_err().kind(), kind);
    }
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

    let created = store.create(&asks("alice", &late)).await.unwrap();
    assert!(matches!(created, Created::Ended), "{created:?}");
}
