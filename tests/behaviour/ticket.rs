//! A sign-in that is refused at a full limit gets a ticket, which works once.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use http::StatusCode;
use tower_user_sessions::{
    CommitError, EndReason, Limit, Login, MemoryStore, SessionErrorKind, SessionId, SessionLayer,
    Ticket, UserSessions, events::EventKind, store::ManualClock,
};

use crate::common::{
    book::Book,
    http::{Answer, Client, ids, store, user},
};

const FIVE_MINUTES: Duration = Duration::from_secs(5 * 60);
const MS: Duration = Duration::from_millis(1);

fn world() -> (SessionLayer, MemoryStore, ManualClock) {
    let (store, clock) = store();
    let layer = SessionLayer::new(store.clone()).limit(Limit::at_most(2).refuse());
    (layer, store, clock)
}

/// Two sessions of the user, and a browser that is refused: the ticket and the ids it received.
async fn refused(layer: &SessionLayer) -> (Ticket, Vec<SessionId>) {
    for _ in 0..2 {
        // An unused session would not count for long.
        Client::signed_in(layer, "alice").await.user().await;
    }
    refused_again(layer).await
}

async fn refused_again(layer: &SessionLayer) -> (Ticket, Vec<SessionId>) {
    let refusal = Client::new(layer).request(|session| async move {
        session.log_in(user("alice")).unwrap();
        match session.commit().await {
            Err(CommitError::LimitReached(reached)) => (
                reached.ticket.unwrap(),
                reached.sessions.iter().map(|info| info.id()).collect(),
            ),
            other => panic!("{other:?}"),
        }
    });
    refusal.await.value()
}

async fn redeems(client: &mut Client, ticket: &Ticket, ends: Option<SessionId>) -> Answer<()> {
    let ticket: Ticket = ticket.encode().parse().unwrap();
    let login = Login::by_ticket(ticket, ends);
    let answer = client.send(move |session| {
        let login = login.clone();
        async move { session.log_in_with(login).unwrap() }
    });
    answer.await
}

#[tokio::test]
async fn a_ticket_ends_the_chosen_session_and_completes_the_sign_in() {
    let (layer, store, _clock) = world();
    let (ticket, sessions) = refused(&layer).await;
    let mut client = Client::new(&layer);

    let answer = redeems(&mut client, &ticket, Some(sessions[0])).await;

    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(client.user().await.as_deref(), Some("alice"));
    let live = ids(&store, "alice").await;
    assert_eq!(live.len(), 2);
    assert!(!live.contains(&sessions[0]));
    assert!(live.contains(&sessions[1]));
}

#[tokio::test]
async fn a_ticket_works_once() {
    let (layer, store, _clock) = world();
    let (ticket, sessions) = refused(&layer).await;
    redeems(&mut Client::new(&layer), &ticket, Some(sessions[0])).await;

    let again = redeems(&mut Client::new(&layer), &ticket, Some(sessions[1])).await;

    assert_eq!(again.status, StatusCode::UNAUTHORIZED);
    assert!(ids(&store, "alice").await.contains(&sessions[1]));
}

#[tokio::test]
async fn a_ticket_works_for_five_minutes() {
    let (layer, _store, clock) = world();
    let (ticket, sessions) = refused(&layer).await;
    clock.advance(MS);
    let (later, _) = refused_again(&layer).await;
    clock.advance(FIVE_MINUTES - MS);

    let too_late = redeems(&mut Client::new(&layer), &ticket, Some(sessions[0])).await;
    let in_time = redeems(&mut Client::new(&layer), &later, Some(sessions[0])).await;

    assert_eq!(too_late.status, StatusCode::UNAUTHORIZED);
    assert_eq!(in_time.status, StatusCode::OK);
}

#[tokio::test]
async fn a_ticket_stays_valid_while_the_limit_still_refuses() {
    let (layer, store, _clock) = world();
    let (ticket, sessions) = refused(&layer).await;

    let without_choice = redeems(&mut Client::new(&layer), &ticket, None).await;
    let with_choice = redeems(&mut Client::new(&layer), &ticket, Some(sessions[1])).await;

    assert_eq!(without_choice.status, StatusCode::CONFLICT);
    assert_eq!(with_choice.status, StatusCode::OK);
    assert_eq!(ids(&store, "alice").await.len(), 2);
}

#[tokio::test]
async fn a_ticket_ends_no_session_of_another_user() {
    let (layer, store, _clock) = world();
    let (ticket, _sessions) = refused(&layer).await;
    Client::signed_in(&layer, "bob").await;
    let theirs = ids(&store, "bob").await;

    let answer = redeems(&mut Client::new(&layer), &ticket, Some(theirs[0])).await;

    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert_eq!(ids(&store, "bob").await, theirs);
}

#[tokio::test]
async fn a_ticket_signs_in_no_other_user() {
    let (layer, _store, _clock) = world();
    let (ticket, _sessions) = refused(&layer).await;
    let (token, _alice) = ticket
        .encode()
        .split_once('.')
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    // "bob"
    let forged: Ticket = format!("{token}.Ym9i").parse().unwrap();

    let kind = Client::new(&layer).request(move |session| {
        let login = Login::by_ticket(forged.clone(), None);
        async move { session.log_in_with(login).unwrap_err().kind() }
    });

    assert_eq!(kind.await.value(), SessionErrorKind::Ticket);
}

// T2
#[tokio::test]
async fn a_ticket_is_not_a_token() {
    let (layer, store, _clock) = world();
    let (ticket, sessions) = refused(&layer).await;
    let text = ticket.encode();
    let token = text.split('.').next().unwrap();
    let mut client = Client::new(&layer);
    client.cookie = Some(format!("__Host-session={token}"));

    assert_eq!(client.user().await, None);

    assert_eq!(ids(&store, "alice").await.len(), sessions.len());
}

// T21
#[tokio::test]
async fn a_ticket_counts_as_authenticated_when_the_refused_sign_in_was() {
    let (layer, store, clock) = world();
    let (ticket, _sessions) = refused(&layer).await;
    clock.advance(MS);
    UserSessions::new(store.clone(), user("alice"))
        .end_all()
        .await
        .unwrap();
    clock.advance(MS);

    let answer = redeems(&mut Client::new(&layer), &ticket, None).await;

    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(ids(&store, "alice").await.is_empty());
}

#[tokio::test]
async fn a_ticket_survives_newer_refusals_up_to_the_fifth() {
    let (layer, _store, clock) = world();
    let (first, sessions) = refused(&layer).await;
    let mut others = Vec::new();
    for _ in 0..4 {
        clock.advance(MS);
        others.push(refused_again(&layer).await.0);
    }

    let dropped = redeems(&mut Client::new(&layer), &first, Some(sessions[0])).await;
    let second = redeems(&mut Client::new(&layer), &others[0], Some(sessions[0])).await;

    assert_eq!(dropped.status, StatusCode::UNAUTHORIZED);
    assert_eq!(second.status, StatusCode::OK);
}

// T3
#[test]
fn debug_does_not_print_the_ticket() {
    let token = format!("{:A<64}.Ym9i", "");
    let ticket: Ticket = token.parse().unwrap();

    assert_eq!(format!("{ticket:?}"), "Ticket(..)");
    assert_eq!(ticket.encode(), token);
    assert!(
        format!("{:?}", Login::by_ticket(ticket, None))
            .find("AAAA")
            .is_none()
    );
}

// T2
#[test]
fn malformed_text_is_no_ticket() {
    let token = format!("{:A<64}", "");
    let texts = [
        String::new(),
        ".".to_owned(),
        token.clone(),
        format!("{token}."),
        format!("{token}.!"),
        format!("{token}.gA"),
        format!("{token}x.Ym9i"),
        format!("x.{token}.Ym9i"),
    ];

    for text in texts {
        assert!(text.parse::<Ticket>().is_err(), "{text}");
    }
}

#[tokio::test]
async fn a_ticket_refused_again_stays_the_same_and_gets_no_more_time() {
    let (layer, _store, clock) = world();
    let (ticket, sessions) = refused(&layer).await;
    clock.advance(FIVE_MINUTES - MS);
    let login = Login::by_ticket(ticket.encode().parse().unwrap(), None);

    let again = Client::new(&layer).request(move |session| {
        let login = login.clone();
        async move {
            session.log_in_with(login).unwrap();
            match session.commit().await {
                Err(CommitError::LimitReached(reached)) => reached.ticket.unwrap().encode(),
                other => panic!("{other:?}"),
            }
        }
    });
    let again: Ticket = again.await.value().parse().unwrap();
    clock.advance(MS);
    let late = redeems(&mut Client::new(&layer), &again, Some(sessions[0])).await;

    assert_eq!(again.encode(), ticket.encode());
    assert_eq!(late.status, StatusCode::UNAUTHORIZED);
}

// T44
#[tokio::test]
async fn the_session_that_a_ticket_ends_was_ended_by_the_user() {
    let (store, _clock) = store();
    let book = Book::default();
    let layer = SessionLayer::new(store).limit(Limit::at_most(2).refuse());
    let layer = layer.events(book.sink());
    let (ticket, sessions) = refused(&layer).await;
    book.news();

    redeems(&mut Client::new(&layer), &ticket, Some(sessions[0])).await;

    let news = book.news().into_iter();
    let ended: Vec<_> = news.filter(|it| it.0 == EventKind::Ended).collect();
    let [ended] = &ended[..] else {
        panic!("{ended:?}");
    };
    assert_eq!(
        (ended.3, ended.4),
        (Some(sessions[0]), Some(EndReason::Revoked))
    );
}

// T39 T69
#[tokio::test]
async fn a_ticket_makes_the_proof_of_the_refused_sign_in_no_younger() {
    let (layer, _store, clock) = world();
    let (ticket, sessions) = refused(&layer).await;
    let proven = clock.now();
    clock.advance(FIVE_MINUTES / 2);
    let mut client = Client::new(&layer);

    redeems(&mut client, &ticket, Some(sessions[0])).await;

    let seen = client.send(|session| async move { session.authenticated_at() });
    // The age of the request is real time.
    assert!(seen.await.value().unwrap() <= proven);
}
