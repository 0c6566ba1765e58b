//! A sign-in or an end whose reply was lost is repeated, and reports what the first call did.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::pin::pin;

use tower_user_sessions::{
    CommitError, DeviceCookie, EndReason, Limit, Login, MemoryStore, Session, SessionLayer,
    UserSessions, events::EventKind,
};

use crate::common::{
    book::Book,
    faulty::{Fault, FaultyStore, Method, until_asked},
    http::{Client, HOUR, ids, store, user},
};

fn world() -> (SessionLayer, FaultyStore, MemoryStore, Book) {
    let (store, _clock) = store();
    let (faulty, book) = (FaultyStore::new(&store), Book::default());
    let layer = SessionLayer::new(faulty.clone())
        .limit(Limit::at_most(1))
        .device_cookie(DeviceCookie::new())
        .events(book.sink());
    (layer, faulty, store, book)
}

fn kinds(book: &Book) -> Vec<(EventKind, Option<EndReason>)> {
    let news = book.news().into_iter();
    news.map(|event| (event.0, event.4)).collect()
}

// T44 T57
#[tokio::test]
async fn a_repeated_sign_in_reports_the_eviction_and_the_new_device() {
    let (layer, faulty, _store, book) = world();
    let first = Client::new(&layer).log_in("alice").await;
    kinds(&book);

    faulty.next(Method::Create, Fault::Lose);
    let mut client = Client::new(&layer);
    let answer = client.send(|session| async move {
        session.log_in("alice").unwrap();
        session.commit().await.unwrap_err();
        let done = session.commit().await.unwrap();
        let evicted: Vec<_> = done.evicted.iter().map(|info| info.id()).collect();
        (evicted, done.new_device)
    });

    assert_eq!(answer.await.value(), (vec![first], true));
    let ended = (EventKind::Ended, Some(EndReason::Evicted));
    let wanted = [
        (EventKind::Created, None),
        (EventKind::NewDevice, None),
        ended,
    ];
    assert_eq!(kinds(&book), wanted);
}

// T44
#[tokio::test]
async fn a_repeated_sign_out_raises_its_event_once() {
    let (layer, faulty, _store, book) = world();
    let mut client = Client::signed_in(&layer, "alice").await;
    kinds(&book);

    faulty.next(Method::End, Fault::Lose);
    let answer = client.send(|session| async move {
        session.log_out().unwrap();
        session.commit().await.unwrap_err();
        session.commit().await.unwrap();
    });

    assert!(answer.await.removes_cookie());
    assert_eq!(
        kinds(&book),
        [(EventKind::Ended, Some(EndReason::LoggedOut))]
    );
}

// T44
#[tokio::test]
async fn a_repeated_end_of_all_sessions_says_how_many_ended() {
    let (store, _clock) = store();
    let (faulty, book) = (FaultyStore::new(&store), Book::default());
    let layer = SessionLayer::new(store);
    for _ in 0..3 {
        Client::signed_in(&layer, "alice").await;
    }
    let sessions = UserSessions::new(faulty.clone(), user("alice")).events(book.sink());

    faulty.next(Method::End, Fault::Lose);
    sessions.end_all().await.unwrap_err();
    let ended = sessions.end_all().await.unwrap();
    let again = sessions.end_all().await.unwrap();

    assert_eq!((ended, again), (3, 0));
    assert_eq!(book.news().len(), 3);
}

// T44
#[tokio::test]
async fn a_repeated_end_of_all_own_sessions_says_how_many_ended_and_a_new_sign_in_follows_it() {
    let (layer, faulty, _store, book) = world();
    let layer = layer.limit(Limit::at_most(2));
    let mut client = Client::signed_in(&layer, "alice").await;
    Client::signed_in(&layer, "alice").await;
    kinds(&book);

    faulty.next(Method::End, Fault::Lose);
    let answer = client.send(|session| async move {
        let sessions = session.user_sessions().unwrap();
        sessions.end_all().await.unwrap_err();
        let ended = sessions.end_all().await.unwrap();
        // As after a change of the password.
        session.log_in(user("alice")).unwrap();
        ended
    });

    assert_eq!(answer.await.value(), 2);
    assert_eq!(client.user().await.as_deref(), Some("alice"));
    let ended = kinds(&book).into_iter();
    let ended = ended.filter(|(kind, _)| *kind == EventKind::Ended);
    assert_eq!(ended.count(), 2);
}

// T44
#[tokio::test]
async fn another_end_after_a_lost_reply_reports_only_its_own_sessions() {
    let (store, clock) = store();
    let faulty = FaultyStore::new(&store);
    let layer = SessionLayer::new(store);
    let first = Client::new(&layer).log_in("alice").await;
    Client::signed_in(&layer, "alice").await;
    clock.advance(HOUR);
    let sessions = UserSessions::new(faulty.clone(), user("alice"));

    faulty.next(Method::End, Fault::Lose);
    sessions.end(first).await.unwrap_err();

    assert_eq!(sessions.end_all().await.unwrap(), 1);
}

// T57
#[tokio::test]
async fn a_sign_in_whose_first_commit_may_still_run_is_given_up_if_its_second_is_refused() {
    let (layer, faulty, store, _book) = world();
    Client::signed_in(&layer, "alice").await;
    faulty.nth(Method::Create, 1, Fault::Hang);

    let asked = faulty.clone();
    let answer = Client::new(&layer.limit(Limit::at_most(1).refuse())).request(move |session| {
        let asked = asked.clone();
        async move {
            session.log_in(user("alice")).unwrap();
            {
                let mut commit = pin!(session.commit());
                until_asked(&asked, Method::Create, 2, commit.as_mut()).await;
            }
            let id = session.id().unwrap();
            let refused = session.commit().await.unwrap_err();
            assert!(
                matches!(refused, CommitError::LimitReached(_)),
                "{refused:?}"
            );
            id
        }
    });

    let id = answer.await.value();
    assert_eq!(faulty.given_up(), [id]);
    assert_eq!(ids(&store, "alice").await.len(), 1);
}

#[tokio::test]
async fn an_update_after_a_sign_in_whose_reply_was_lost_runs_on_the_newest_value() {
    let (layer, faulty, _store, _book) = world();
    let mut client = Client::signed_in(&layer, "alice").await;
    let inserts = |n: u32| move |session: Session| async move { session.insert("n", &n).unwrap() };
    client.request(inserts(1)).await;
    let parallel = client.clone();

    let answer = client.send(move |session: Session| {
        let (parallel, faulty) = (parallel.clone(), faulty.clone());
        async move {
            parallel.request(inserts(2)).await;
            session.log_in("alice").unwrap();
            faulty.next(Method::Create, Fault::Lose);
            session.commit().await.unwrap_err();
            session
                .update("n", |n: Option<u32>| n.unwrap_or_default() + 10)
                .unwrap();
            session.commit().await.unwrap();
        }
    });
    answer.await.value();

    let n = client.send(|session: Session| async move { session.get::<u32>("n").unwrap() });
    assert_eq!(n.await.value(), Some(12));
}

// T33
#[tokio::test]
async fn what_a_parallel_request_kept_for_a_guest_is_carried_over_whichever_call_fails() {
    for beside in [false, true] {
        for (method, nth, fault) in [
            (Method::End, 1, Fault::Lose),
            (Method::End, 2, Fault::Lose),
            (Method::End, 1, Fault::Fail),
            (Method::End, 2, Fault::Fail),
            (Method::Save, 1, Fault::Lose),
            (Method::Save, 2, Fault::Lose),
            (Method::Save, 1, Fault::Fail),
            (Method::Save, 2, Fault::Fail),
        ] {
            let (layer, faulty, _store, _book) = world();
            let mut client = Client::new(&layer);
            client.insert("cart", "apple").await;
            let mut guest = client.clone();
            if beside {
                client.guest = None;
                client.log_in("alice").await;
                client.guest.clone_from(&guest.guest);
            }
            let calls = faulty.calls(Method::Create) + 1;
            faulty.next(Method::Create, Fault::Hang);
            let mut signs_in = Box::pin(client.request(|session| async move {
                let login = Login::new("alice").carry(["cart"]);
                session.log_in_with(login).unwrap();
            }));
            until_asked(&faulty, Method::Create, calls, signs_in.as_mut()).await;

            guest.insert("cart", "apple, pear").await;
            faulty.nth(method, nth, fault);
            faulty.release();
            let answer = signs_in.await;
            client.keep(&answer);

            let which = format!("beside: {beside}, {method:?} {nth} {fault:?}");
            let cart = client.get("cart").await;
            assert_eq!(cart.as_deref(), Some("apple, pear"), "{which}");
            assert_eq!(client.guest, None, "{which}");
            assert_eq!(guest.get("cart").await, None, "{which}");
        }
    }
}

// T33
#[tokio::test]
async fn a_guest_session_ends_although_parallel_requests_never_stop_writing_to_it() {
    let (layer, faulty, _store, _book) = world();
    let mut client = Client::new(&layer);
    client.insert("cart", "apple").await;
    let mut guest = client.clone();
    faulty.always([Method::End], Fault::Hang);
    let mut signs_in = Box::pin(client.request(|session| async move {
        let login = Login::new("alice").carry(["cart"]);
        session.log_in_with(login).unwrap();
    }));

    for call in 1..=17 {
        until_asked(&faulty, Method::End, call, signs_in.as_mut()).await;
        let cart = if call < 17 { "apple, pear" } else { "lost" };
        guest.insert("cart", cart).await;
        faulty.release();
    }
    let answer = signs_in.await;
    client.keep(&answer);

    assert_eq!(faulty.calls(Method::End), 17);
    assert_eq!(guest.get("cart").await, None);
    assert_eq!(client.get("cart").await.as_deref(), Some("apple, pear"));
}

#[tokio::test]
async fn an_update_before_a_sign_in_is_kept_although_the_session_before_ended_in_between() {
    let (layer, faulty, store, _book) = world();
    let mut client = Client::new(&layer);
    let id = client.log_in("alice").await;
    let calls = faulty.calls(Method::Create) + 1;
    faulty.next(Method::Create, Fault::Hang);
    let mut signs_in = Box::pin(client.request(|session: Session| async move {
        let count = |n: Option<u32>| n.unwrap_or_default() + 1;
        session.update("n", count).unwrap();
        session.insert("m", &1_u32).unwrap();
        session.log_in("alice").unwrap();
    }));
    until_asked(&faulty, Method::Create, calls, signs_in.as_mut()).await;

    let admin = UserSessions::new(store, user("alice"));
    admin.end(id).await.unwrap();
    faulty.release();
    let answer = signs_in.await;
    client.keep(&answer);

    for key in ["n", "m"] {
        let kept = client.send(move |session| async move { session.get::<u32>(key).unwrap() });
        assert_eq!(kept.await.value(), Some(1), "{key}");
    }
}
