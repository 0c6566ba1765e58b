//! Ending sessions takes effect on the next request, for good, and only the session's user learns
//! why.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use http::StatusCode;
use tower_user_sessions::{
    CommitError, EndNotice, EndReason, MemoryStore, SessionId, SessionLayer, UserSessions,
    UserSessionsError, store::ManualClock,
};

use crate::common::{
    http::{Client, HOUR, ids, store, user},
    log::Log,
};

fn world() -> (SessionLayer, MemoryStore, ManualClock) {
    let (store, clock) = store();
    (SessionLayer::new(store.clone()), store, clock)
}

async fn reason(client: &mut Client) -> Option<EndReason> {
    let answer = client.send(|session| async move { session.ended() }).await;
    answer.value().map(|notice: EndNotice| notice.reason)
}

async fn end(client: &mut Client, id: SessionId) -> Result<(), UserSessionsError> {
    let ended =
        client.send(move |session| async move { session.user_sessions().unwrap().end(id).await });
    ended.await.value()
}

async fn end_others(client: &mut Client) -> Result<usize, UserSessionsError> {
    let ended =
        client.send(|session| async move { session.user_sessions().unwrap().end_others().await });
    ended.await.value()
}

// T19
#[tokio::test]
async fn the_next_request_after_a_logout_is_a_guest() {
    let (layer, store, _clock) = world();
    let mut client = Client::signed_in(&layer, "alice").await;
    let mut copy = client.clone();

    let answer = client.send(|session| async move {
        session.log_out().unwrap();
        (session.user_id(), session.id())
    });
    let answer = answer.await;

    assert!(answer.removes_cookie());
    assert_eq!(answer.value(), (None, None));
    assert_eq!(copy.user().await, None);
    assert_eq!(ids(&store, "alice").await, []);
}

// T19
#[tokio::test]
async fn a_logout_drops_the_data_and_values_inserted_after_it_begin_a_guest_session() {
    let (layer, _store, _clock) = world();
    let mut client = Client::signed_in(&layer, "alice").await;
    client.insert("cart", "apple").await;
    let previous = client.token();

    client
        .send(|session| async move {
            session.insert("lost", "x").unwrap();
            session.log_out().unwrap();
            session.insert("flash", "bye").unwrap();
        })
        .await;

    assert_ne!(client.token(), previous);
    assert_eq!(client.user().await, None);
    assert_eq!(client.get("flash").await.as_deref(), Some("bye"));
    assert_eq!(client.get("cart").await, None);
    assert_eq!(client.get("lost").await, None);
}

// T19
#[tokio::test]
async fn a_logout_of_a_guest_changes_nothing() {
    let (layer, store, _clock) = world();
    let mut guest = Client::new(&layer);
    guest.insert("cart", "apple").await;

    for _ in 0..2 {
        let answer = guest
            .send(|session| async move { session.log_out().unwrap() })
            .await;
        assert_eq!(answer.status, StatusCode::OK);
    }

    assert_eq!(guest.get("cart").await, None);
    assert_eq!(ids(&store, "alice").await, []);
}

// T19
#[tokio::test]
async fn the_next_request_of_a_revoked_session_is_a_guest() {
    let (layer, _store, _clock) = world();
    let mut phone = Client::new(&layer);
    let id = phone.log_in("alice").await;
    let mut laptop = Client::signed_in(&layer, "alice").await;

    end(&mut laptop, id).await.unwrap();

    assert_eq!(phone.user().await, None);
    assert_eq!(laptop.user().await.as_deref(), Some("alice"));
}

#[tokio::test]
async fn without_a_notice_an_ended_session_is_an_unknown_token() {
    let (layer, store, clock) = world();
    let client = Client::signed_in(&layer, "alice").await;
    UserSessions::new(store, user("alice"))
        .end_all()
        .await
        .unwrap();
    clock.advance(HOUR);

    let answer = client
        .request(|session| async move { session.ended() })
        .await;

    assert!(answer.sets_no_cookie());
    assert!(answer.value().is_none());
}

// T42
#[tokio::test]
async fn only_a_client_with_the_ended_sessions_token_learns_the_reason() {
    let (layer, _store, _clock) = world();
    let mut client = Client::signed_in(&layer, "alice").await;
    let mut previous = client.clone();
    client
        .send(|session| async move { session.log_out().unwrap() })
        .await;
    let token = previous.token();
    let other = if token.ends_with('A') { 'B' } else { 'A' };
    let mut guesser = previous.clone();
    guesser.cookie = Some(format!("__Host-session={}{other}", &token[..63]));

    assert_eq!(reason(&mut guesser).await, None);
    assert_eq!(reason(&mut previous).await, Some(EndReason::LoggedOut));
}

// T24
#[tokio::test]
async fn ending_a_session_twice_has_the_same_result_while_the_notice_is_kept() {
    let (layer, store, clock) = world();
    let phone = Client::new(&layer).log_in("alice").await;
    let mut laptop = Client::signed_in(&layer, "alice").await;

    let first = end(&mut laptop, phone).await;
    let second = end(&mut laptop, phone).await;
    clock.advance(HOUR);
    let later = end(&mut laptop, phone).await;

    assert!(first.is_ok() && second.is_ok());
    assert!(matches!(later, Err(UserSessionsError::Unknown)));
    assert_eq!(ids(&store, "alice").await.len(), 1);
}

// T24
#[tokio::test]
async fn a_foreign_id_and_an_unknown_id_have_the_same_result_and_change_nothing() {
    let (layer, store, _clock) = world();
    let mut alice = Client::signed_in(&layer, "alice").await;
    let bob = Client::new(&layer).log_in("bob").await;

    let foreign = end(&mut alice, bob).await;
    let unknown = end(&mut alice, SessionId::random().unwrap()).await;

    assert!(matches!(foreign, Err(UserSessionsError::Unknown)));
    assert!(matches!(unknown, Err(UserSessionsError::Unknown)));
    assert_eq!(ids(&store, "bob").await, [bob]);
}

// T53
#[tokio::test]
async fn end_others_keeps_exactly_the_current_one() {
    let (layer, store, _clock) = world();
    let mut others = [
        Client::signed_in(&layer, "alice").await,
        Client::signed_in(&layer, "alice").await,
    ];
    let bob = Client::new(&layer).log_in("bob").await;
    let mut client = Client::new(&layer);
    let id = client.log_in("alice").await;

    let ended = end_others(&mut client).await;

    assert_eq!(ended.unwrap(), 2);
    assert_eq!(ids(&store, "alice").await, [id]);
    assert_eq!(ids(&store, "bob").await, [bob]);
    for other in &mut others {
        assert_eq!(reason(other).await, Some(EndReason::Revoked));
    }
    assert_eq!(client.user().await.as_deref(), Some("alice"));
}

// T53
#[tokio::test]
async fn after_a_factor_changed_the_handler_ends_the_others_and_signs_in_again() {
    let (layer, store, _clock) = world();
    let mut other = Client::signed_in(&layer, "alice").await;
    let mut client = Client::signed_in(&layer, "alice").await;

    let answer = client.send(|session| async move {
        session.user_sessions().unwrap().end_others().await.unwrap();
        session.log_in(user("alice")).unwrap();
        session.id().unwrap()
    });
    let id = answer.await.value();

    assert_eq!(client.user().await.as_deref(), Some("alice"));
    assert_eq!(other.user().await, None);
    assert_eq!(ids(&store, "alice").await, [id]);
}

// T22
#[tokio::test]
async fn an_administrator_ends_all_sessions_of_a_user_outside_any_request() {
    let (layer, store, _clock) = world();
    let mut clients = [
        Client::signed_in(&layer, "alice").await,
        Client::signed_in(&layer, "alice").await,
    ];
    let bob = Client::new(&layer).log_in("bob").await;

    let ended = UserSessions::new(store.clone(), user("alice"))
        .end_all()
        .await;

    assert_eq!(ended.unwrap(), 2);
    for client in &mut clients {
        assert_eq!(reason(client).await, Some(EndReason::Administrator));
    }
    assert_eq!(ids(&store, "bob").await, [bob]);
}

// T19
#[tokio::test]
async fn ending_the_current_session_signs_out_and_removes_the_cookie() {
    let (layer, store, _clock) = world();
    let mut client = Client::new(&layer);
    let id = client.log_in("alice").await;

    let answer = client.send(move |session| async move {
        session.user_sessions().unwrap().end(id).await.unwrap();
        session.user_id()
    });
    let answer = answer.await;

    assert!(answer.removes_cookie());
    assert_eq!(answer.value(), None);
    assert_eq!(ids(&store, "alice").await, []);
}

// T20
#[tokio::test]
async fn a_session_that_ended_cannot_end_others() {
    let (layer, store, _clock) = world();
    let client = Client::signed_in(&layer, "alice").await;
    let mut laptop = Client::signed_in(&layer, "alice").await;

    let late = client.request(move |session| {
        let mut laptop = laptop.clone();
        async move {
            end_others(&mut laptop).await.unwrap();
            session.user_sessions().unwrap().end_others().await
        }
    });

    assert!(matches!(
        Box::pin(late).await.value(),
        Err(UserSessionsError::CallerEnded)
    ));
    assert_eq!(ids(&store, "alice").await.len(), 1);
    laptop = Client::new(&layer);
    assert_eq!(laptop.user().await, None);
}

// T20
#[tokio::test]
async fn a_request_in_flight_does_not_bring_its_ended_session_back() {
    let (layer, store, _clock) = world();
    let client = Client::signed_in(&layer, "alice").await;
    let ended = store.clone();

    let late = client.request(move |session| {
        let admin = UserSessions::new(ended.clone(), user("alice"));
        async move {
            admin.end_all().await.unwrap();
            session.insert("cart", "apple").unwrap();
        }
    });
    let late = late.await;

    assert_eq!(late.status, StatusCode::OK);
    assert!(late.sets_no_cookie());
    assert_eq!(ids(&store, "alice").await, []);
    assert_eq!(store.sets(), 1);
}

// T20
#[tokio::test]
async fn commit_reports_that_the_session_ended_and_begins_no_new_one() {
    let (layer, store, _clock) = world();
    let client = Client::signed_in(&layer, "alice").await;
    let ended = store.clone();

    let late = client.request(move |session| {
        let admin = UserSessions::new(ended.clone(), user("alice"));
        async move {
            admin.end_all().await.unwrap();
            session.insert("cart", "apple").unwrap();
            let first = session.commit().await;
            session.insert("cart", "pear").unwrap();
            first
        }
    });
    let late = late.await;

    assert!(late.sets_no_cookie());
    assert!(matches!(late.value(), Err(CommitError::Ended)));
    assert_eq!(store.sets(), 1);
}

// T20
#[tokio::test]
async fn no_cookie_is_set_for_a_sign_in_that_ended_before_its_response() {
    let (layer, store, _clock) = world();

    let answer = Client::new(&layer).request(move |session| {
        let admin = UserSessions::new(store.clone(), user("alice"));
        async move {
            session.log_in(user("alice")).unwrap();
            session.commit().await.unwrap();
            admin.end_all().await.unwrap();
            session.insert("cart", "apple").unwrap();
        }
    });

    assert!(answer.await.sets_no_cookie());
}

#[tokio::test]
async fn a_token_that_opens_no_session_is_a_debug_event_that_says_why() {
    let (here, _clock) = store();
    let (elsewhere, _) = store();
    let layer = SessionLayer::new(here.clone());
    let alice = Client::signed_in(&layer, "alice").await;
    let log = Log::start();

    alice
        .before(&SessionLayer::new(elsewhere))
        .request(|_session| async {})
        .await;
    UserSessions::new(here, user("alice"))
        .end_all()
        .await
        .unwrap();
    alice.request(|_session| async {}).await;

    let mut why = log.at("DEBUG");
    why.retain(|line| line.contains("a token opens no session"));
    let [unknown, ended] = &why[..] else {
        panic!("{}", log.text());
    };
    assert!(unknown.contains("in another store"), "{unknown}");
    assert!(ended.contains("its session has ended"), "{ended}");
    assert!(!log.text().contains(&alice.token()));
}
