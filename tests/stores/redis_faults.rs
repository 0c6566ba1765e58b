//! `RedisStore` when the server stalls, dies, refuses, moves or loses a reply.

use std::{error::Error, pin::pin, task::Poll, time::Duration};

use tower_user_sessions::{
    EndReason, Limit, RedisStore,
    store::{
        Created, End, Ended, Resolve, Resolved, Save, Saved, SeenDevice, SessionStore, StoreError,
        StoreErrorKind, Which,
    },
};

use crate::common::{
    people::{asks, guest, ids, is_live, listed, set, signs_in, token, until},
    proxy::Proxy,
    redis::{Server, free_port, pool},
};

/// A store with a short deadline.
fn impatient(url: &str) -> RedisStore {
    RedisStore::builder(pool(url))
        .deadline(Duration::from_millis(300))
        .build()
}

/// A server, the proxy before it, and a store whose calls go through that.
async fn behind_a_proxy() -> (Server, Proxy, RedisStore) {
    let server = Server::start();
    let proxy = Proxy::start(server.port).await;
    let store = RedisStore::new(pool(&proxy.url()));
    (server, proxy, store)
}

// T57
#[tokio::test]
async fn sign_ins_that_timed_out_leave_no_session_and_evict_none() {
    let server = Server::start();
    let store = impatient(&server.url());
    let mut before = Vec::new();
    for _ in 0..3 {
        before.push(signs_in(&store, "alice").await);
    }
    let tag = before[0].tag();

    server.suspend();
    let mut late = Vec::new();
    for _ in 0..3 {
        let token = token(&store, "alice");
        let error = store.create(&asks("alice", &token)).await.unwrap_err();
        assert!(unanswered(&error), "{error:?}");
        late.push(token);
    }
    let resolve = Resolve::new(before[0].clone());
    let error = store.resolve(&resolve).await.unwrap_err();
    assert!(unanswered(&error), "{error:?}");
    server.resume();

    until("the store works again", async || {
        store.resolve(&resolve).await.is_ok()
    })
    .await;
    for token in &before {
        assert!(is_live(&store, token).await, "a session was evicted");
    }
    for token in &late {
        assert!(!is_live(&store, token).await, "a session was left behind");
    }
    let kept: Vec<_> = before.iter().collect();
    assert_eq!(listed(&store, tag).await, ids(&kept));
}

fn unanswered(error: &StoreError) -> bool {
    matches!(
        error.kind(),
        StoreErrorKind::Timeout | StoreErrorKind::Unavailable
    )
}

// T57
#[tokio::test]
async fn a_sign_in_whose_reply_was_lost_is_one_session() {
    let (_server, proxy, store) = behind_a_proxy().await;
    let first = signs_in(&store, "alice").await;
    let second = token(&store, "alice");
    let mut create = asks("alice", &second);
    create.replaces = Some(first.session_id());
    create.changes = set("cart", "apple");

    proxy.lose_answers(1);
    let created = store.create(&create).await.unwrap();

    assert_eq!(proxy.lost(), 1);
    let Created::Created(made) = created else {
        panic!("{created:?}");
    };
    assert_eq!(
        (made.record.id, made.data.get("cart").unwrap()),
        (second.session_id(), "apple".into())
    );
    assert_eq!(listed(&store, first.tag()).await, ids(&[&second]));
}

// T44 T57
#[tokio::test]
async fn a_sign_in_or_an_end_whose_reply_was_lost_reports_what_it_ended() {
    let (_server, proxy, store) = behind_a_proxy().await;
    let first = signs_in(&store, "alice").await;
    let second = token(&store, "alice");
    let mut create = asks("alice", &second);
    create.limit = Limit::at_most(1);
    create.device = Some(SeenDevice {
        digest: [1; 12],
        kept: Duration::from_secs(60),
    });

    proxy.lose_answers(1);
    let created = store.create(&create).await.unwrap();
    let Created::Created(made) = created else {
        panic!("{created:?}");
    };
    let evicted: Vec<_> = made.evicted.iter().map(|record| record.id).collect();
    assert_eq!(evicted, [first.session_id()]);
    assert!(made.new_device);

    for (which, wanted) in [(Which::One(second.session_id()), 1), (Which::All, 3)] {
        if which == Which::All {
            for _ in 0..3 {
                signs_in(&store, "alice").await;
            }
        }
        proxy.lose_answers(1);
        let end = End::new(first.tag(), which, EndReason::Administrator);
        let ended = store.end(&end).await.unwrap();
        assert!(
            matches!(&ended, Ended::Ended { ids, .. } if ids.len() == wanted),
            "{ended:?}"
        );
    }
    assert_eq!(proxy.lost(), 3);
}

// T57: a call may still run after its reply was lost.
#[tokio::test]
async fn a_sign_in_that_was_sent_twice_and_refused_is_not_made_later() {
    let (_server, proxy, store) = behind_a_proxy().await;
    let first = signs_in(&store, "alice").await;
    let mut create = asks("alice", &token(&store, "alice"));
    create.limit = Limit::at_most(1).refuse();

    proxy.lose_answers(1);
    let refused = store.create(&create).await.unwrap();

    assert!(matches!(refused, Created::LimitReached(_)), "{refused:?}");
    assert_eq!(proxy.lost(), 1);
    create.limit = Limit::at_most(2);
    let late = store.create(&create).await.unwrap();
    assert!(matches!(late, Created::Ended), "{late:?}");
    assert_eq!(listed(&store, first.tag()).await, ids(&[&first]));
}

// T57
#[tokio::test]
async fn a_sign_in_that_is_given_up_leaves_one_session_or_none() {
    let (_server, proxy, store) = behind_a_proxy().await;
    let first = signs_in(&store, "alice").await;
    let second = token(&store, "alice");

    proxy.lose_answers(1_000);
    let error = store.create(&asks("alice", &second)).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error:?}");
    proxy.lose_answers(0);
    until("the store works again", async || {
        store.resolve(&Resolve::new(guest())).await.is_ok()
    })
    .await;

    assert_eq!(listed(&store, first.tag()).await, ids(&[&first, &second]));
    store.end_undelivered(second.tag(), second.session_id());
    until("it ends as undelivered", async || {
        listed(&store, first.tag()).await == ids(&[&first])
    })
    .await;
}

// T57
#[tokio::test]
async fn a_sign_in_dropped_while_it_is_sent_ends_as_undelivered() {
    let server = Server::start();
    let store = RedisStore::new(server.pool());
    let first = signs_in(&store, "alice").await;
    let second = token(&store, "alice");
    let create = asks("alice", &second);

    {
        let mut sent = pin!(store.create(&create));
        std::future::poll_fn(|cx| {
            assert!(sent.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
    }
    store.end_undelivered(second.tag(), second.session_id());

    until("it ends, or never runs", async || {
        // A repeated create shows whether the first one was ended. If the first had not run yet,
        // this one would make the session.
        matches!(store.create(&create).await.unwrap(), Created::Ended)
    })
    .await;
    assert_eq!(listed(&store, first.tag()).await, ids(&[&first]));
}

// T57
#[tokio::test]
async fn a_write_whose_reply_was_lost_happens_once() {
    let (_server, proxy, store) = behind_a_proxy().await;
    let token = signs_in(&store, "alice").await;
    let mut save = Save::new(token.tag(), token.session_id(), set("cart", "apple"));

    proxy.lose_answers(1);
    let saved = store.save(&save).await.unwrap();
    assert_eq!((saved, proxy.lost()), (Saved::Saved { revision: 1 }, 1));

    save.expect = Some(1);
    proxy.lose_answers(1);
    let error = store.save(&save).await.unwrap_err();
    assert_eq!((error.kind(), proxy.lost()), (StoreErrorKind::Uncertain, 2));
    let resolve = Resolve::new(token);
    let Resolved::Live(found) = store.resolve(&resolve).await.unwrap() else {
        panic!("not live");
    };
    assert_eq!(found.record.revision, 2);
}

// T24
#[tokio::test]
async fn an_end_whose_reply_was_lost_is_known() {
    let (_server, proxy, store) = behind_a_proxy().await;
    let token = signs_in(&store, "alice").await;

    proxy.lose_answers(1);
    let which = Which::One(token.session_id());
    let end = End::new(token.tag(), which, EndReason::LoggedOut);
    let ended = store.end(&end).await.unwrap();

    assert_eq!(proxy.lost(), 1);
    assert!(matches!(ended, Ended::Ended { .. }), "{ended:?}");
    assert!(!is_live(&store, &token).await);
}

// T3 T59
#[tokio::test]
async fn a_refused_password_is_named_as_the_cause_but_not_printed() {
    let server = Server::start_with(&["--requirepass", "open-sesame"]);
    for login in [":hunter2-wrong@", "nobody:hunter2-wrong@", ""] {
        let url = format!("redis://{login}127.0.0.1:{}", server.port);
        let store = RedisStore::new(pool(&url));

        let error = store.resolve(&Resolve::new(guest())).await.unwrap_err();

        assert_eq!(error.kind(), StoreErrorKind::Denied, "{login}: {error:?}");
        let printed = format!("{}{store:?}", chain(&error));
        assert!(!printed.contains("hunter2"), "{printed}");
        assert!(error.source().is_some(), "the cause is kept");
    }
}

/// The text of an error and all its causes.
fn chain(error: &StoreError) -> String {
    let mut printed = format!("{error} {error:?}");
    let mut cause = error.source();
    while let Some(error) = cause {
        printed += &format!(" {error} {error:?}");
        cause = error.source();
    }
    printed
}

// T59
#[tokio::test]
async fn an_unreachable_server_is_unavailable() {
    let store = RedisStore::new(pool(&format!("redis://127.0.0.1:{}", free_port())));

    let error = store.resolve(&Resolve::new(guest())).await.unwrap_err();

    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error:?}");
    assert!(chain(&error).contains("refused"), "the cause is named");
}

// T59
#[tokio::test]
async fn the_store_reconnects_to_a_server_that_comes_back_empty() {
    let mut server = Server::start();
    let store = RedisStore::new(server.pool());
    let before = signs_in(&store, "alice").await;
    let resolve = Resolve::new(before);

    server.kill();
    let error = store.resolve(&resolve).await.unwrap_err();
    assert!(unanswered(&error), "{error:?}");
    let create = asks("bob", &token(&store, "bob"));
    let error = store.create(&create).await.unwrap_err();
    assert!(unanswered(&error), "{error:?}");
    server.restart();
    until("it is found again", async || {
        store.resolve(&resolve).await.is_ok()
    })
    .await;

    let found = store.resolve(&resolve).await.unwrap();
    assert!(matches!(found, Resolved::Unknown), "{found:?}");
    let after = signs_in(&store, "alice").await;
    assert!(is_live(&store, &after).await);
}

// T59
#[tokio::test]
async fn a_connection_closed_by_the_server_is_replaced_without_an_error() {
    let server = Server::start();
    let store = RedisStore::new(server.pool());
    let token = signs_in(&store, "alice").await;

    for _ in 0..3 {
        let _: i64 = server.ask("CLIENT KILL TYPE normal SKIPME yes").await;
        assert!(is_live(&store, &token).await);
    }
}

// T59
#[tokio::test]
async fn the_store_moves_from_a_demoted_server_to_the_new_primary() {
    let (previous, next) = (Server::start(), Server::start());
    let proxy = Proxy::start(previous.port).await;
    let store = RedisStore::new(pool(&proxy.url()));
    let token = signs_in(&store, "alice").await;
    let _: () = next
        .ask(&format!("REPLICAOF 127.0.0.1 {}", previous.port))
        .await;
    until("it is a copy", async || {
        next.ask::<usize>("DBSIZE").await == 1
    })
    .await;

    let _: () = next.ask("REPLICAOF NO ONE").await;
    let _: () = previous
        .ask(&format!("REPLICAOF 127.0.0.1 {}", next.port))
        .await;
    proxy.lead_to(next.port);

    // The connection to the previous primary works, but that server refuses writes.
    assert!(is_live(&store, &token).await);
    signs_in(&store, "alice").await;
    assert_eq!(listed(&store, token.tag()).await.len(), 2);
}
