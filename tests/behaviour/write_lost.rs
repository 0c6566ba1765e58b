//! The event `write_lost`: a session ended during a request, whose changes of data were lost.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use http::StatusCode;
use tower_user_sessions::{
    CommitError, Login, Session, SessionLayer, UserSessions, events::EventKind, store::Near,
};

use crate::common::{
    book::Book,
    faulty::{Fault, FaultyStore, Method, until_asked},
    http::{Client, store, user},
};

// T20 T44
#[tokio::test]
async fn a_write_lost_because_the_session_ended_is_an_event_unless_commit_reports_it() {
    for (own_commit, inserts, events) in [(false, true, 1), (true, true, 0), (false, false, 0)] {
        let (store, _clock) = store();
        let (sender, mut receiver) = tower_user_sessions::events::channel(100);
        let layer = SessionLayer::new(store.clone()).events(sender);
        let mut client = Client::new(&layer);
        client.user_agent = "Firefox";
        let id = client.log_in("alice").await;
        let ended = store.clone();

        let late = client.request(move |session| {
            let admin = UserSessions::new(ended.clone(), user("alice"));
            async move {
                if inserts {
                    session.insert("cart", "apple").unwrap();
                } else {
                    session.rotate().unwrap();
                }
                admin.end_all().await.unwrap();
                if own_commit {
                    assert!(matches!(session.commit().await, Err(CommitError::Ended)));
                }
            }
        });
        assert_eq!(late.await.status, StatusCode::OK);

        let raised = std::iter::from_fn(|| receiver.try_recv());
        let lost: Vec<_> = raised
            .filter(|event| event.kind.as_str() == "write_lost")
            .collect();
        assert_eq!(lost.len(), events);
        for event in lost {
            let agent = event.client().unwrap().user_agent().map(ToOwned::to_owned);
            assert_eq!(
                (event.session, event.user()),
                (Some(id), Some(&user("alice")))
            );
            assert_eq!(agent.as_deref(), Some("Firefox"));
        }
    }
}

// T20 T44
#[tokio::test]
async fn what_is_inserted_after_commit_reported_the_end_is_lost_with_an_event() {
    let stagings: [fn(&Session); 2] = [
        |session| session.insert("cart", "apple").unwrap(),
        |session| session.rotate().unwrap(),
    ];
    for stage in stagings {
        let ((store, _clock), book) = (store(), Book::default());
        let layer = SessionLayer::new(store.clone()).events(book.sink());
        let client = Client::signed_in(&layer, "alice").await;

        let late = client.request(move |session| {
            let admin = UserSessions::new(store.clone(), user("alice"));
            async move {
                let id = session.id();
                stage(&session);
                admin.end_all().await.unwrap();
                assert!(matches!(session.commit().await, Err(CommitError::Ended)));
                // As a middleware that does not know of it.
                session.insert("seen", &1).unwrap();
                id
            }
        });
        let late = late.await;

        assert!(late.sets_no_cookie());
        let news = book.news().into_iter();
        let lost = news.filter(|it| it.0 == EventKind::WriteLost);
        let lost: Vec<_> = lost.map(|it| it.3).collect();
        assert_eq!(lost, [late.value()]);
    }
}

// T20 T44
#[tokio::test]
async fn changes_of_a_session_that_verify_found_ended_are_an_event_unless_commit_reports_it() {
    let stage: fn(&Session) = |session| session.insert("cart", "apple").unwrap();
    let renew: fn(&Session) = |session| session.rotate().unwrap();
    let nothing: fn(&Session) = |_| {};
    for (before, after, own_commit, lost) in [
        (stage, nothing, false, 1),
        (nothing, stage, false, 1),
        (stage, renew, false, 1),
        (renew, nothing, false, 0),
        (nothing, nothing, false, 0),
        (stage, nothing, true, 0),
    ] {
        let ((memory, clock), book) = (store(), Book::default());
        let admin = UserSessions::new(memory.clone(), user("alice"));
        let near = Near::builder(memory).clock(clock).build();
        let layer = SessionLayer::new(near).near(|_request| true);
        let mut client = Client::signed_in(&layer.events(book.sink()), "alice").await;
        // From here on the near cache has it.
        client.user().await;

        let answer = client.request(move |session: Session| {
            let admin = admin.clone();
            async move {
                let id = session.id();
                before(&session);
                admin.end_all().await.unwrap();
                // As a handler that does not look at the answer.
                session.verify().await.unwrap_err();
                after(&session);
                if own_commit {
                    let error = session.commit().await.unwrap_err();
                    assert!(matches!(error, CommitError::Ended), "{error:?}");
                }
                id
            }
        });
        let answer = answer.await;

        assert_eq!(answer.status, StatusCode::OK);
        assert!(answer.sets_no_cookie());
        let news = book.news().into_iter();
        let news: Vec<_> = news.filter(|it| it.0 == EventKind::WriteLost).collect();
        let whose = news.iter().map(|it| (it.2.as_deref(), it.3));
        let wanted = vec![(Some("alice"), answer.value()); lost];
        assert_eq!(whose.collect::<Vec<_>>(), wanted);
    }
}

// T20 T33 T44
#[tokio::test]
async fn guest_data_that_comes_late_and_is_lost_with_the_new_session_is_an_event() {
    let ((memory, _clock), book) = (store(), Book::default());
    let faulty = FaultyStore::new(&memory);
    let layer = SessionLayer::new(faulty.clone()).events(book.sink());
    let mut guest = Client::new(&layer);
    guest.insert("cart", "apple").await;
    faulty.next(Method::End, Fault::Hang);
    let mut signs_in = Box::pin(guest.request(|session| async move {
        let login = Login::new("alice").carry(["cart"]);
        session.log_in_with(login).unwrap();
    }));
    until_asked(&faulty, Method::End, 1, signs_in.as_mut()).await;

    guest.insert("cart", "apple, pear").await;
    let admin = UserSessions::new(memory, user("alice"));
    assert_eq!(admin.end_all().await.unwrap(), 1);
    faulty.release();
    let answer = signs_in.await;

    // Only the guest cookie goes.
    assert!(answer.removes_cookie(), "{:?}", answer.set_cookies());
    let news = book.news().into_iter();
    let lost = news.filter(|it| it.0 == EventKind::WriteLost);
    let lost: Vec<_> = lost.map(|it| it.2).collect();
    assert_eq!(lost, [Some("alice".to_owned())]);
    assert_eq!(guest.get("cart").await, None);
}
