//! The sessions of all users end at one moment.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use http::StatusCode;
use tower_user_sessions::{
    CommitError, EndReason, EndWords, Everyone, Limit, Login, MemoryStore, Session, SessionInfo,
    SessionLayer, UserSessions,
    events::{Event, EventKind, Initiator},
    store::{ManualClock, StoreErrorKind},
};

use crate::common::{
    faulty::FaultyStore,
    http::{Client, HOUR, ids, store, user},
};

fn world() -> (SessionLayer, Everyone, MemoryStore, ManualClock) {
    let (store, clock) = store();
    let layer = SessionLayer::new(store.clone());
    (layer, Everyone::new(store.clone()), store, clock)
}

async fn reason(client: &mut Client) -> Option<EndReason> {
    let reason = client.send(|session| async move { session.ended().map(|it| it.reason) });
    reason.await.value()
}

// T74
#[tokio::test]
async fn the_sessions_of_all_users_and_guests_end_on_the_next_request_and_say_why() {
    let (layer, everyone, store, _clock) = world();
    let admin = layer.clone().realm("admin");
    let mut clients = [
        Client::signed_in(&layer, "alice").await,
        Client::signed_in(&layer, "alice").await,
        Client::signed_in(&layer, "bob").await,
        Client::signed_in(&admin, "carol").await,
    ];
    let mut guest = Client::new(&layer);
    guest.insert("cart", "apple").await;

    let moment = everyone.end_all().await.unwrap();

    for client in &mut clients {
        assert_eq!(client.user().await, None);
        assert_eq!(reason(client).await, Some(EndReason::Everyone));
    }
    assert_eq!(guest.get("cart").await, None);
    assert!(ids(&store, "alice").await.is_empty());
    let notice = clients[0].send(|session| async move { session.ended() });
    let notice = notice.await.value().unwrap();
    assert_eq!((notice.ended_at, notice.by), (moment, None));
    assert_eq!(
        EndWords::default().message(&notice),
        "All users were signed out. Please sign in again."
    );
    assert_eq!(everyone.ended_before().await.unwrap(), Some(moment));
}

// T74
#[tokio::test]
async fn who_signs_in_afterwards_stays_and_the_others_keep_the_reason() {
    let (layer, everyone, store, clock) = world();
    let mut phone = Client::signed_in(&layer, "alice").await;
    everyone.end_all().await.unwrap();

    // In the same millisecond, and with the clock five seconds back.
    for _ in 0..2 {
        let mut laptop = Client::signed_in(&layer, "alice").await;
        assert_eq!(laptop.user().await.as_deref(), Some("alice"));
        assert_eq!(reason(&mut phone).await, Some(EndReason::Everyone));
        clock.set(clock.now().minus(Duration::from_secs(5)));
    }

    assert_eq!(ids(&store, "alice").await.len(), 2);
    // The next end of all is later than those, whatever the clock says.
    everyone.end_all().await.unwrap();
    assert!(ids(&store, "alice").await.is_empty());
}

// T74
#[tokio::test]
async fn a_sign_in_that_came_before_the_end_of_all_is_rejected() {
    let (layer, everyone, store, clock) = world();
    let client = Client::new(&layer);

    let answer = client.request(move |session: Session| {
        let (everyone, clock) = (everyone.clone(), clock.clone());
        async move {
            session.log_in(user("alice")).unwrap();
            clock.advance(HOUR);
            everyone.end_all().await.unwrap();
        }
    });
    let answer = answer.await;

    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(answer.sets_no_cookie());
    assert!(ids(&store, "alice").await.is_empty());
}

// T74
#[tokio::test]
async fn a_sign_in_whose_first_step_was_before_the_end_of_all_is_rejected() {
    let (layer, everyone, store, clock) = world();
    let password = clock.now();
    clock.advance(HOUR);
    everyone.end_all().await.unwrap();
    clock.advance(HOUR);

    let answer = Client::new(&layer).request(move |session| async move {
        let login = Login::new("alice").since(password);
        session.log_in_with(login).unwrap();
    });

    assert_eq!(answer.await.status, StatusCode::UNAUTHORIZED);
    assert!(ids(&store, "alice").await.is_empty());
}

// T74
#[tokio::test]
async fn a_ticket_from_before_the_end_of_all_is_rejected() {
    let (store, clock) = store();
    let layer = SessionLayer::new(store.clone()).limit(Limit::at_most(1).refuse());
    let mut first = Client::signed_in(&layer, "alice").await;
    first.user().await;
    let refused = Client::new(&layer).request(|session| async move {
        session.log_in(user("alice")).unwrap();
        match session.commit().await {
            Err(CommitError::LimitReached(reached)) => reached.ticket.unwrap(),
            other => panic!("{other:?}"),
        }
    });
    let ticket = refused.await.value();
    clock.advance(Duration::from_secs(1));
    Everyone::new(store.clone()).end_all().await.unwrap();

    let answer = Client::new(&layer).request(move |session| {
        let ticket = ticket.clone();
        async move {
            session.log_in_with(Login::by_ticket(ticket, None)).unwrap();
        }
    });

    assert_eq!(answer.await.status, StatusCode::UNAUTHORIZED);
    assert!(ids(&store, "alice").await.is_empty());
}

// T74
#[tokio::test]
async fn a_session_that_ended_with_all_can_end_no_other_one() {
    let (layer, everyone, store, _clock) = world();
    let client = Client::signed_in(&layer, "alice").await;

    let answer = client.request(move |session: Session| {
        let (everyone, layer) = (everyone.clone(), layer.clone());
        async move {
            let sessions = session.user_sessions().unwrap();
            everyone.end_all().await.unwrap();
            Client::signed_in(&layer, "alice").await;
            sessions
                .end_others()
                .await
                .map_err(|error| error.to_string())
        }
    });

    assert!(answer.await.value().is_err());
    assert_eq!(ids(&store, "alice").await.len(), 1);
}

// T74
#[tokio::test]
async fn after_a_backup_only_what_began_since_stays() {
    let (layer, everyone, _store, clock) = world();
    let mut old = Client::signed_in(&layer, "alice").await;
    clock.advance(HOUR);
    let restored = clock.now();
    clock.advance(HOUR);
    let mut new = Client::signed_in(&layer, "alice").await;
    clock.advance(HOUR);

    let moment = everyone.end_before(restored).await.unwrap();
    let earlier = everyone.end_before(restored.minus(HOUR)).await.unwrap();

    assert_eq!((moment, earlier), (restored, restored));
    assert_eq!(old.user().await, None);
    assert_eq!(new.user().await.as_deref(), Some("alice"));
    let future = everyone.end_before(clock.now().plus(HOUR)).await.unwrap();
    assert!(future <= clock.now().plus(Duration::from_millis(1)));
    assert_eq!(new.user().await, None);
    let mut again = Client::signed_in(&layer, "alice").await;
    assert_eq!(again.user().await.as_deref(), Some("alice"));
}

#[tokio::test]
async fn an_end_of_all_raises_one_event_and_no_other() {
    let (store, _clock) = store();
    let events: Arc<Mutex<Vec<Event>>> = Arc::default();
    let sink = Arc::clone(&events);
    let layer = SessionLayer::new(store.clone());
    Client::signed_in(&layer, "alice").await;
    let everyone =
        Everyone::new(store.clone()).events(move |event| sink.lock().unwrap().push(event));

    let moment = everyone.end_all().await.unwrap();

    let events = events.lock().unwrap();
    let [event] = &events[..] else {
        panic!("{events:?}");
    };
    assert_eq!(
        (event.kind, event.at, event.initiator, event.why()),
        (
            EventKind::EveryoneEnded,
            moment,
            Initiator::Admin,
            Some("everyone")
        )
    );
    assert!(event.user().is_none() && event.session.is_none());
}

#[tokio::test]
async fn every_user_who_stays_is_on_a_page_and_none_is_on_one_twice() {
    let (layer, everyone, store, _clock) = world();
    let mut stay = BTreeMap::new();
    for number in 0..600 {
        let name = format!("user {number}");
        for _ in 0..1 + number % 2 {
            Client::signed_in(&layer, &name).await;
        }
        stay.insert(name, 1 + number % 2);
    }
    Client::new(&layer).insert("cart", "apple").await;

    let (mut found, mut cursor, mut pages) = (BTreeMap::new(), None, 0);
    loop {
        let page = everyone.page(cursor.as_deref()).await.unwrap();
        let mut here = BTreeSet::new();
        for on_page in page.users {
            assert!(here.insert(on_page.user.to_string()), "twice on one page");
            found.insert(on_page.user.to_string(), on_page.sessions.len());
        }
        pages += 1;
        // Others come and go meanwhile.
        let other = format!("other {pages}");
        Client::signed_in(&layer, &other).await;
        let before = format!("other {}", pages / 2);
        let sessions = UserSessions::new(store.clone(), user(&before));
        sessions.end_all().await.unwrap();
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }

    found.retain(|name, _| name.starts_with("user "));
    assert_eq!(found, stay);
    assert!(pages > 6, "{pages}");
    assert!(everyone.count().await.unwrap() >= 601);
}

#[tokio::test]
async fn a_wrong_cursor_and_a_store_without_it_are_unsupported() {
    let (_layer, everyone, store, _clock) = world();

    for cursor in ["", "x", "64.AAAAAAAAAAAAAAAA", "0.AAAA", "s1.2"] {
        let error = everyone.page(Some(cursor)).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unsupported, "{cursor}");
    }
    let other = Everyone::new(FaultyStore::new(&store));
    let kinds = [
        other.end_all().await.unwrap_err().kind(),
        other.ended_before().await.unwrap_err().kind(),
        other.page(None).await.unwrap_err().kind(),
        other.count().await.unwrap_err().kind(),
    ];
    assert_eq!(kinds, [StoreErrorKind::Unsupported; 4]);
}

// T20 T74
#[tokio::test]
async fn a_request_whose_session_ends_with_all_changes_nothing_more() {
    let stagings: [fn(&Session); 2] = [
        |session| session.insert("cart", "apple").unwrap(),
        |session| session.rotate().unwrap(),
    ];
    for stage in stagings {
        let (layer, everyone, _store, _clock) = world();
        let client = Client::signed_in(&layer, "alice").await;

        let answer = client.request(move |session: Session| {
            let everyone = everyone.clone();
            async move {
                everyone.end_all().await.unwrap();
                let others = session.user_sessions().unwrap().end_others().await;
                stage(&session);
                (others.is_err(), session.commit().await.map(drop))
            }
        });
        let answer = answer.await;

        assert!(answer.sets_no_cookie());
        let done = answer.value();
        assert!(matches!(done, (true, Err(CommitError::Ended))), "{done:?}");
    }
}

#[tokio::test]
async fn a_page_has_the_last_active_session_of_a_user_first_and_none_that_ended_with_all() {
    let (layer, everyone, _store, clock) = world();
    let first = Client::new(&layer).log_in("alice").await;
    clock.advance(HOUR);
    let second = Client::new(&layer).log_in("alice").await;

    let page = everyone.page(None).await.unwrap();
    everyone.end_all().await.unwrap();
    let after = everyone.page(None).await.unwrap();

    let [alice] = &page.users[..] else {
        panic!("{page:?}");
    };
    let ids: Vec<_> = alice.sessions.iter().map(SessionInfo::id).collect();
    assert_eq!(ids, [second, first]);
    assert!(after.users.is_empty(), "{after:?}");
}
