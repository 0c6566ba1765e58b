//! A ticket keeps what the refused sign-in asked for. A made-up ticket costs a lookup, and leaves nothing.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{pin::pin, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::StatusCode;
use tower_user_sessions::{
    ClientClass, CommitError, Lifetime, Limit, Login, MemoryStore, Proof, SessionInfo,
    SessionLayer, Ticket, UserSessions,
    events::{EventKind, Refusal},
    store::{Tag, Token},
};

use crate::common::{
    book,
    faulty::{Fault, FaultyStore, Method, poll_once, until_asked},
    http::{Answer, Client, HOUR, ids, store, user},
    log::Log,
};

const PHONE: ClientClass = ClientClass::new(2);

/// The sign-in that the app asks for. The layer has its defaults.
fn asked_for() -> Login {
    let proof = Proof::new().with_methods(["pwd", "otp"]).with_level("aal2");
    Login::new(user("alice"))
        .limit(Limit::at_most(2).of_class(PHONE, 2).refuse())
        .class(PHONE)
        .lifetime(Lifetime::AAL3)
        .persistent(false)
        .proof(proof)
}

/// Signs in like this. At the limit it returns the ticket, and the least recently active session.
async fn signs_in(client: &mut Client, login: Login) -> Option<(Ticket, SessionInfo)> {
    let answer = client.send(move |session| {
        let login = login.clone();
        async move {
            session.log_in_with(login).unwrap();
            match session.commit().await {
                Ok(_) => None,
                Err(CommitError::LimitReached(reached)) => Some((
                    reached.ticket.unwrap(),
                    reached.sessions.last().unwrap().clone(),
                )),
                other => panic!("{other:?}"),
            }
        }
    });
    answer.await.value()
}

/// A ticket in alice's name that no sign-in left.
fn made_up() -> Ticket {
    let token = Token::random(Tag::of(&user("alice"))).unwrap();
    let name = URL_SAFE_NO_PAD.encode("alice");
    format!("{}.{name}", token.encode()).parse().unwrap()
}

async fn sends(layer: &SessionLayer, ticket: Ticket) -> Answer<()> {
    let login = Login::by_ticket(ticket, None);
    let answer = Client::new(layer).request(move |session| {
        let login = login.clone();
        async move { session.log_in_with(login).unwrap() }
    });
    answer.await
}

async fn live(store: &MemoryStore) -> Vec<SessionInfo> {
    let sessions = UserSessions::new(store.clone(), user("alice"));
    sessions.list().await.unwrap()
}

// T69
#[tokio::test]
async fn after_twenty_rounds_through_the_ticket_the_limit_lifetime_class_and_proof_still_hold() {
    let (store, clock) = store();
    let layer = SessionLayer::new(store.clone());
    for _ in 0..2 {
        assert!(
            signs_in(&mut Client::new(&layer), asked_for())
                .await
                .is_none()
        );
    }

    for _ in 0..20 {
        clock.advance(Duration::from_secs(1));
        let mut client = Client::new(&layer);
        let (ticket, oldest) = signs_in(&mut client, asked_for()).await.unwrap();
        let login = Login::by_ticket(ticket, Some(oldest.id()));
        assert!(signs_in(&mut client, login).await.is_none());

        let sessions = live(&store).await;
        assert_eq!(sessions.len(), 2);
        for session in sessions {
            let idle = session.idle_expires_at().since(session.last_activity());
            let absolute = session.expires_at().since(session.created_at());
            assert_eq!(idle, Lifetime::AAL3.idle());
            assert_eq!(absolute, Lifetime::AAL3.absolute());
            assert_eq!(session.class(), PHONE);
            let proof = session.proof().unwrap();
            assert_eq!(proof.level(), Some("aal2"));
            assert_eq!(proof.methods().collect::<Vec<_>>(), ["pwd", "otp"]);
        }
    }
}

// T69
#[tokio::test]
async fn a_session_by_ticket_is_shortened_to_the_shorter_of_both_lifetimes() {
    let brief = Lifetime::new(HOUR, HOUR);
    for (to, lives) in [(Lifetime::AAL2, Lifetime::AAL3), (brief, brief)] {
        let (store, _clock) = store();
        let layer = SessionLayer::new(store);
        for _ in 0..2 {
            signs_in(&mut Client::new(&layer), asked_for()).await;
        }
        let mut client = Client::new(&layer);
        let (ticket, oldest) = signs_in(&mut client, asked_for()).await.unwrap();

        let login = Login::by_ticket(ticket, Some(oldest.id()));
        let answer = client.send(move |session| {
            let login = login.clone();
            async move {
                session.log_in_with(login).unwrap();
                session.shorten(to).unwrap();
            }
        });
        answer.await;

        let times = client.request(|session| async move {
            let absolute = session
                .expires_at()
                .unwrap()
                .since(session.created_at().unwrap());
            let seen = session.last_activity().unwrap();
            (absolute, session.idle_expires_at().unwrap().since(seen))
        });
        let shorter = lives.idle().min(Lifetime::AAL3.idle());
        assert_eq!(times.await.value(), (lives.absolute(), shorter));
    }
}

#[tokio::test]
async fn a_moment_beside_a_ticket_is_ignored() {
    let (store, clock) = store();
    let layer = SessionLayer::new(store.clone());
    let before = clock.now();
    clock.advance(HOUR);
    let alice = UserSessions::new(store.clone(), user("alice"));
    alice.end_all().await.unwrap();
    clock.advance(HOUR);
    for _ in 0..2 {
        signs_in(&mut Client::new(&layer), asked_for()).await;
    }
    let mut client = Client::new(&layer);
    let (ticket, oldest) = signs_in(&mut client, asked_for()).await.unwrap();

    let login = Login::by_ticket(ticket, Some(oldest.id())).since(before);
    assert!(signs_in(&mut client, login).await.is_none());

    assert_eq!(client.user().await.as_deref(), Some("alice"));
}

// T69
#[tokio::test]
async fn a_sign_in_by_ticket_keeps_that_the_cookie_ends_with_the_browser_and_that_it_does_not_count()
 {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store.clone());
    let uncounted = || asked_for().counts(false);
    for _ in 0..16 {
        assert!(
            signs_in(&mut Client::new(&layer), uncounted())
                .await
                .is_none()
        );
    }
    let mut client = Client::new(&layer);
    let (ticket, oldest) = signs_in(&mut client, uncounted()).await.unwrap();

    let login = Login::by_ticket(ticket, Some(oldest.id()));
    let answer = client.send(move |session| {
        let login = login.clone();
        async move { session.log_in_with(login).unwrap() }
    });
    let answer = answer.await;

    assert_eq!(answer.status, StatusCode::OK);
    assert!(!answer.set_cookies()[0].contains("Max-Age"), "{answer:?}");
    let sessions = live(&store).await;
    assert_eq!(sessions.len(), 16);
    assert!(sessions.iter().all(|session| !session.counts()));
}

// T69
#[tokio::test]
async fn a_ticket_has_the_settings_of_the_layer_that_refused_the_sign_in() {
    let (store, _clock) = store();
    let strict = SessionLayer::new(store.clone())
        .limit(Limit::at_most(1).refuse())
        .lifetime(Lifetime::AAL3);
    Client::signed_in(&strict, "alice").await;
    let login = || Login::new(user("alice"));
    let (ticket, oldest) = signs_in(&mut Client::new(&strict), login()).await.unwrap();

    let other = SessionLayer::new(store.clone());
    let redeems = Login::by_ticket(ticket.clone(), None);
    let refused = signs_in(&mut Client::new(&other), redeems).await;
    let redeems = Login::by_ticket(ticket, Some(oldest.id()));
    let done = signs_in(&mut Client::new(&other), redeems).await;

    assert!(refused.is_some(), "the other layer has room for it");
    assert!(done.is_none());
    let sessions = live(&store).await;
    let idle = sessions[0]
        .idle_expires_at()
        .since(sessions[0].last_activity());
    assert_eq!((sessions.len(), idle), (1, Lifetime::AAL3.idle()));
}

#[tokio::test]
async fn a_sign_in_by_ticket_whose_reply_was_lost_is_the_same_when_it_is_committed_again() {
    let (store, _clock) = store();
    let faulty = FaultyStore::new(&store);
    let layer = SessionLayer::new(faulty.clone());
    for _ in 0..2 {
        signs_in(&mut Client::new(&layer), asked_for()).await;
    }
    let mut client = Client::new(&layer);
    let (ticket, oldest) = signs_in(&mut client, asked_for()).await.unwrap();
    faulty.next(Method::Create, Fault::Lose);

    let login = Login::by_ticket(ticket, Some(oldest.id()));
    let answer = client.send(move |session| {
        let login = login.clone();
        async move {
            session.log_in_with(login).unwrap();
            let lost = session.commit().await;
            (
                lost.unwrap_err().store_kind().is_some(),
                session.commit().await.is_ok(),
            )
        }
    });
    let outcome = answer.await.value();

    assert_eq!(outcome, (true, true));
    assert_eq!(client.user().await.as_deref(), Some("alice"));
    assert_eq!(faulty.calls(Method::Ticket), 1);
}

// T68
#[tokio::test]
async fn a_made_up_ticket_is_401_and_leaves_no_event_and_no_line_above_debug() {
    let log = Log::start();
    let (layer, book, store, _clock) = book::world(Limit::at_most(2));
    Client::signed_in(&layer, "alice").await;
    book.news();
    let (before, sets) = (ids(&store, "alice").await, store.sets());

    for _ in 0..100 {
        let answer = sends(&layer, made_up()).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    }

    assert_eq!(book.news(), []);
    for level in ["INFO", "WARN", "ERROR"] {
        assert_eq!(log.at(level), [""; 0]);
    }
    assert!(log.text().contains("no such ticket"), "{}", log.text());
    assert_eq!(ids(&store, "alice").await, before);
    assert_eq!(store.sets(), sets);
}

// T68
#[tokio::test]
async fn a_made_up_ticket_asks_the_store_once_and_never_for_a_session() {
    let (store, _clock) = store();
    let faulty = FaultyStore::new(&store);
    let layer = SessionLayer::new(faulty.clone())
        .limit_of_async(|_user| async { panic!("the app is not asked for the limit") });

    let answer = sends(&layer, made_up()).await;

    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    let calls = [Method::Ticket, Method::Create, Method::End].map(|method| faulty.calls(method));
    assert_eq!(calls, [1, 0, 0]);
}

// T68
#[tokio::test]
async fn a_made_up_ticket_whose_connection_is_cut_gives_no_sign_in_up() {
    let (store, _clock) = store();
    for fault in [Fault::Hang, Fault::HangAfter] {
        let faulty = FaultyStore::new(&store);
        let layer = SessionLayer::new(faulty.clone());
        faulty.always([Method::Ticket], fault);

        {
            let mut cut = pin!(sends(&layer, made_up()));
            until_asked(&faulty, Method::Ticket, 1, cut.as_mut()).await;
            assert!(poll_once(cut.as_mut()).await.is_none());
        }

        assert_eq!(faulty.given_up(), [], "{fault:?}");
        assert_eq!(store.sets(), 0);
    }
}

// T68
#[tokio::test]
async fn a_ticket_that_another_request_uses_up_meanwhile_is_an_event() {
    let ((store, _clock), book) = (store(), book::Book::default());
    let faulty = FaultyStore::new(&store);
    let layer = SessionLayer::new(faulty.clone())
        .limit(Limit::at_most(1).refuse())
        .events(book.sink());
    Client::signed_in(&layer, "alice").await;
    let login = Login::new(user("alice"));
    let (ticket, oldest) = signs_in(&mut Client::new(&layer), login).await.unwrap();
    faulty.next(Method::Create, Fault::Hang);

    let creates = faulty.calls(Method::Create);
    let mut slow = pin!(sends(&layer, ticket.clone()));
    until_asked(&faulty, Method::Create, creates + 1, slow.as_mut()).await;
    let used = Login::by_ticket(ticket, Some(oldest.id()));
    assert!(signs_in(&mut Client::new(&layer), used).await.is_none());
    book.news();
    faulty.release();
    let answer = slow.await;

    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    let kinds: Vec<_> = book.news().into_iter().map(|event| event.0).collect();
    assert_eq!(kinds, [EventKind::Refused(Refusal::NoTicket)]);
}

// T27 T33
#[tokio::test]
async fn data_inserted_before_a_refused_sign_in_begins_no_guest_session() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store).limit(Limit::at_most(1).refuse());
    Client::signed_in(&layer, "alice").await.user().await;

    let answer = Client::new(&layer).request(|session| async move {
        session.log_in(user("alice")).unwrap();
        session.insert("note", "of alice").unwrap();
        session.commit().await.map(drop)
    });
    let answer = answer.await;

    assert!(answer.sets_no_cookie(), "{:?}", answer.set_cookies());
    assert!(matches!(answer.value(), Err(CommitError::LimitReached(_))));
}
