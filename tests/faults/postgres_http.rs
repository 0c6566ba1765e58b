//! What a browser receives while PostgreSQL is away or silent.

use http::StatusCode;
use tower_user_sessions::{OnOutage, PostgresStore, SessionLayer};

use crate::common::{
    http::{Client, user},
    people::until,
    postgres::Server,
};

/// One request with a cookie and one sign-in without: 503, and no cookie changes.
async fn answers_503(phone: &mut Client, layer: &SessionLayer) {
    let mut other = Client::new(layer);
    let request = phone.send(|session| async move { session.user_id() }).await;
    let sign_in = other.send(|session| async move { session.log_in(user("bert")).unwrap() });
    let sign_in = sign_in.await;

    assert!(!request.reached());
    for (status, header, keeps) in [
        (
            request.status,
            request.header("retry-after"),
            request.sets_no_cookie(),
        ),
        (
            sign_in.status,
            sign_in.header("retry-after"),
            sign_in.sets_no_cookie(),
        ),
    ] {
        let answer = (status, header, keeps);
        assert_eq!(answer, (StatusCode::SERVICE_UNAVAILABLE, Some("1"), true));
    }
}

/// The app goes on, without a user. No cookie changes.
async fn is_a_guest(phone: &Client, guests: &SessionLayer) {
    let mut phone = phone.before(guests);
    let answer = phone
        .send(|session| async move { (session.is_available(), session.user_id()) })
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.sets_no_cookie());
    assert_eq!(answer.value(), (false, None));
}

// T33 T59
#[tokio::test]
async fn an_outage_of_postgres_answers_503_and_the_cookie_works_afterwards() {
    let mut server = Server::start();
    let store = PostgresStore::new(server.pool());
    store.migrate().await.unwrap();
    let layer = SessionLayer::new(store.clone());
    let guests = SessionLayer::new(store.clone()).on_outage(OnOutage::Guest);
    let mut phone = Client::signed_in(&layer, "anna").await;
    phone.insert("cart", "apple").await;
    let cookie = phone.cookie.clone();

    for silent in [false, true] {
        if silent {
            server.suspend();
        } else {
            server.stop();
        }
        answers_503(&mut phone, &layer).await;
        is_a_guest(&phone, &guests).await;
        assert_eq!(Client::new(&layer).user().await, None);
        if silent {
            server.resume();
        } else {
            server.restart();
        }
        until("requests are answered", async || {
            let sent = phone.request(|session| async move { session.user_id() });
            sent.await.status == StatusCode::OK
        })
        .await;

        assert_eq!(phone.user().await.as_deref(), Some("anna"));
        assert_eq!(phone.get("cart").await.as_deref(), Some("apple"));
        assert_eq!(phone.cookie, cookie);
        phone.before(&guests).user().await.unwrap();
        Client::signed_in(&layer, "carl").await;
    }
}
