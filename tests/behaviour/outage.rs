//! A store that does not answer: no request is taken for a guest by mistake, and no login is half
//! done.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use http::StatusCode;
use tower_user_sessions::{
    CommitError, Limit, Login, MemoryStore, OnOutage, Rejection, Session, SessionErrorKind,
    SessionLayer,
    store::{StoreError, StoreErrorKind},
};

use crate::common::{
    faulty::{Fault, FaultyStore, Method},
    http::{Answer, Client, ids, store, user},
};

fn world() -> (SessionLayer, FaultyStore, MemoryStore) {
    let (store, _clock) = store();
    let faulty = FaultyStore::new(&store);
    (SessionLayer::new(faulty.clone()), faulty, store)
}

async fn sign_in(client: &Client) -> Answer<()> {
    let login = || Login::new(user("alice")).carry(["cart"]);
    client
        .request(move |session| async move { session.log_in_with(login()).unwrap() })
        .await
}

// T33 T59
#[tokio::test]
async fn an_outage_at_resolve_answers_503_and_never_reaches_the_service() {
    let (layer, faulty, _store) = world();
    let mut client = Client::signed_in(&layer, "alice").await;
    faulty.next(Method::Resolve, Fault::Fail);

    let answer = client
        .send(|session| async move { session.user_id() })
        .await;

    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(!answer.reached());
}

// T59
#[tokio::test]
async fn an_outage_keeps_the_cookie_and_the_session_is_back_afterwards() {
    let (layer, faulty, _store) = world();
    let mut client = Client::signed_in(&layer, "alice").await;
    faulty.next(Method::Resolve, Fault::Fail);

    let answer = client
        .send(|session| async move { session.user_id() })
        .await;

    assert!(answer.sets_no_cookie());
    assert_eq!(client.user().await.as_deref(), Some("alice"));
}

#[tokio::test]
async fn requests_without_a_token_are_served_in_an_outage() {
    let (layer, faulty, _store) = world();
    faulty.always([Method::Resolve], Fault::Fail);

    assert_eq!(Client::new(&layer).user().await, None);
}

// T59
#[tokio::test]
async fn an_unavailable_session_has_no_user_stages_nothing_and_sets_no_cookie() {
    let (layer, faulty, _store) = world();
    let layer = layer.on_outage(OnOutage::Guest);
    let mut client = Client::signed_in(&layer, "alice").await;
    faulty.next(Method::Resolve, Fault::Fail);

    let answer = client.send(|session: Session| async move {
        let kinds = [
            session.insert("cart", "apple").unwrap_err().kind(),
            session
                .update("n", |n: Option<u8>| n.unwrap_or(0))
                .unwrap_err()
                .kind(),
            session.remove("cart").unwrap_err().kind(),
            session.log_in(user("bob")).unwrap_err().kind(),
            session.log_out().unwrap_err().kind(),
        ];
        let nobody = session.user_id().is_none() && session.user_sessions().is_none();
        (session.is_available(), nobody, kinds)
    });
    let answer = answer.await;

    assert!(answer.sets_no_cookie());
    assert_eq!(
        answer.value(),
        (false, true, [SessionErrorKind::Unavailable; 5])
    );
    assert_eq!(client.user().await.as_deref(), Some("alice"));
}

// T33
#[tokio::test]
async fn a_login_that_cannot_be_stored_answers_503_sets_no_cookie_and_leaves_no_session() {
    let (layer, faulty, store) = world();
    faulty.always([Method::Create], Fault::Fail);

    let answer = sign_in(&Client::new(&layer)).await;

    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert!(answer.sets_no_cookie());
    assert_eq!(ids(&store, "alice").await, []);
}

// T33
#[tokio::test]
async fn a_login_that_cannot_be_stored_keeps_the_guest_session_and_evicts_none() {
    let (layer, faulty, store) = world();
    let layer = layer.limit(Limit::at_most(1));
    let first = Client::new(&layer).log_in("alice").await;
    let mut guest = Client::new(&layer);
    guest.insert("cart", "apple").await;
    faulty.next(Method::Create, Fault::Fail);

    let answer = sign_in(&guest).await;

    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ids(&store, "alice").await, [first]);
    assert_eq!(guest.get("cart").await.as_deref(), Some("apple"));
}

// T33 T57
#[tokio::test]
async fn a_login_whose_store_reply_was_lost_answers_503_and_is_given_up() {
    let (layer, faulty, store) = world();
    faulty.next(Method::Create, Fault::Lose);

    let answer = sign_in(&Client::new(&layer)).await;

    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.sets_no_cookie());
    assert_eq!(faulty.given_up().len(), 1);
    assert_eq!(ids(&store, "alice").await, []);
}

// T57
#[tokio::test]
async fn committing_again_after_a_lost_reply_is_the_same_session() {
    let (layer, faulty, store) = world();
    let mut client = Client::new(&layer);
    faulty.next(Method::Create, Fault::Lose);

    let answer = client.send(|session| async move {
        session.log_in(user("alice")).unwrap();
        let first = session.commit().await.unwrap_err();
        session.commit().await.unwrap();
        (first.store_kind(), session.id().unwrap())
    });
    let (first, id) = answer.await.value();

    assert_eq!(first, Some(StoreErrorKind::Timeout));
    assert_eq!(ids(&store, "alice").await, [id]);
    assert_eq!(client.user().await.as_deref(), Some("alice"));
    assert_eq!(faulty.given_up(), []);
}

// T57
#[tokio::test]
async fn the_layer_runs_a_failed_commit_again() {
    let (layer, faulty, store) = world();
    let mut client = Client::new(&layer);
    faulty.next(Method::Create, Fault::Lose);

    let answer = client.send(|session| async move {
        session.log_in(user("alice")).unwrap();
        session.insert("cart", "apple").unwrap();
        let failed = matches!(session.commit().await, Err(CommitError::Store(_)));
        (failed, session.id().unwrap())
    });
    let (failed, id) = answer.await.value();

    assert!(failed);
    assert_eq!(ids(&store, "alice").await, [id]);
    assert_eq!(client.get("cart").await.as_deref(), Some("apple"));
}

// T57
#[tokio::test]
async fn a_guest_session_whose_reply_was_lost_is_one_session_after_committing_again() {
    let (layer, faulty, store) = world();
    let mut client = Client::new(&layer);
    faulty.next(Method::Create, Fault::Lose);

    let answer = client.send(|session| async move {
        session.insert("cart", "apple").unwrap();
        session.commit().await.unwrap_err();
    });

    assert_eq!(answer.await.status, StatusCode::OK);
    assert_eq!(store.sets(), 1);
    assert_eq!(client.get("cart").await.as_deref(), Some("apple"));
}

// T59
#[tokio::test]
async fn data_that_cannot_be_stored_answers_503_instead_of_the_response() {
    let (layer, faulty, _store) = world();
    let mut client = Client::signed_in(&layer, "alice").await;
    faulty.next(Method::Save, Fault::Fail);

    let answer = client.send(|session| async move { session.insert("cart", "apple").unwrap() });
    let answer = answer.await;

    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.sets_no_cookie());
    assert_eq!(client.get("cart").await, None);
}

// T59
#[tokio::test]
async fn a_logout_that_cannot_be_stored_answers_503_and_keeps_the_cookie() {
    let (layer, faulty, _store) = world();
    let mut client = Client::signed_in(&layer, "alice").await;
    faulty.next(Method::End, Fault::Fail);

    let answer = client
        .send(|session| async move { session.log_out().unwrap() })
        .await;

    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.sets_no_cookie());
    assert_eq!(client.user().await.as_deref(), Some("alice"));
}

// T5
#[tokio::test]
async fn the_guest_session_of_a_login_ends_at_the_second_try() {
    let (layer, faulty, _store) = world();
    let mut client = Client::new(&layer);
    client.insert("cart", "apple").await;
    let guest = client.clone();
    faulty.next(Method::End, Fault::Fail);

    let answer = sign_in(&client).await;
    client.keep(&answer);

    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(client.get("cart").await.as_deref(), Some("apple"));
    let found = guest.request(|session| async move { session.id() });
    assert_eq!(found.await.value(), None);
}

// T33
#[tokio::test]
async fn an_outage_is_a_grpc_status_for_a_grpc_call() {
    let (layer, faulty, _store) = world();
    let mut client = Client::signed_in(&layer, "alice").await;
    client.method = http::Method::POST;
    faulty.always([Method::Resolve], Fault::Fail);

    for (kind, status) in [
        ("application/grpc", 200),
        ("application/grpc+proto", 200),
        ("application/grpc-web", 503),
    ] {
        client.headers.insert("content-type", kind.parse().unwrap());
        let answer = client.send(|_session| async {}).await;

        assert_eq!(answer.status, status, "{kind}");
        assert_eq!(
            answer.header("grpc-status"),
            (status == 200).then_some("14"),
            "{kind}"
        );
    }
}

// T57
#[tokio::test]
async fn an_update_of_unknown_outcome_is_reported_and_not_run_again() {
    let (layer, faulty, _store) = world();
    let mut client = Client::signed_in(&layer, "alice").await;
    faulty.next(Method::Save, Fault::Unsure);

    let answer = client.send(|session| async move {
        session
            .update("n", |n: Option<u32>| n.unwrap_or(0) + 1)
            .unwrap();
        session.commit().await.unwrap_err().store_kind()
    });
    let kind = answer.await.value();
    let n = client.send(|session| async move { session.get::<u32>("n").unwrap() });

    assert_eq!(kind, Some(StoreErrorKind::Uncertain));
    assert_eq!(n.await.value(), Some(1));
}

#[test]
fn the_error_of_an_unknown_outcome_does_not_ask_to_commit_again() {
    let [unknown, failed] = [StoreErrorKind::Uncertain, StoreErrorKind::Timeout]
        .map(|kind| CommitError::from(StoreError::new(kind)));

    assert!(unknown.to_string().contains("read the data"), "{unknown}");
    assert!(!unknown.to_string().contains("again may help"), "{unknown}");
    assert!(failed.to_string().contains("again may help"), "{failed}");
    let detail = Rejection::from(unknown).detail().map(ToOwned::to_owned);
    let says_it = |detail: &str| detail.contains("read the data before you repeat it");
    assert_eq!(
        detail.as_deref().is_some_and(says_it),
        cfg!(debug_assertions),
        "{detail:?}"
    );
}

// T57
#[tokio::test]
async fn changes_staged_after_a_lost_reply_are_stored_too() {
    for login in [false, true] {
        let (layer, faulty, _store) = world();
        let mut client = Client::new(&layer);
        faulty.next(Method::Create, Fault::Lose);

        let answer = client.send(move |session| async move {
            if login {
                session.log_in(user("alice")).unwrap();
            }
            session.insert("cart", "apple").unwrap();
            session.insert("seen", "yes").unwrap();
            session.commit().await.unwrap_err();
            session.remove("seen").unwrap();
            session.insert("step", "2").unwrap();
        });

        assert_eq!(answer.await.status, StatusCode::OK);
        assert_eq!(client.get("cart").await.as_deref(), Some("apple"));
        assert_eq!(client.get("step").await.as_deref(), Some("2"), "{login}");
        assert_eq!(client.get("seen").await, None, "{login}");
    }
}

// T57
#[tokio::test]
async fn a_guest_session_whose_reply_was_lost_leaves_nothing_after_a_logout() {
    let (layer, faulty, _store) = world();
    let mut client = Client::new(&layer);
    faulty.next(Method::Create, Fault::Lose);

    client
        .send(|session| async move {
            session.insert("cart", "apple").unwrap();
            session.commit().await.unwrap_err();
            session.log_out().unwrap();
            session.insert("flash", "bye").unwrap();
        })
        .await;

    assert_eq!(client.get("cart").await, None);
    assert_eq!(client.get("flash").await.as_deref(), Some("bye"));
}

// T57
#[tokio::test]
async fn an_update_of_unknown_outcome_before_signing_in_again_is_not_run_twice() {
    let (layer, faulty, _store) = world();
    let mut client = Client::signed_in(&layer, "alice").await;
    client.insert("log", "0").await;
    faulty.next(Method::Save, Fault::Unsure);

    let answer = client.send(|session| async move {
        session
            .update("log", |log: Option<String>| log.unwrap() + "a")
            .unwrap();
        session.log_in(user("alice")).unwrap();
        session.commit().await.unwrap_err();
    });
    answer.await;

    assert_eq!(client.get("log").await.as_deref(), Some("0a"));
}
