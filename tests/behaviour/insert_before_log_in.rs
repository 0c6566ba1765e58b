//! What a request inserts before it signs in goes into the new session; what was stored before does not.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::convert::Infallible;

use http::{Request, Response};
use tower::{ServiceExt, service_fn};
use tower_user_sessions::{Login, Session, SessionErrorKind, SessionLayer, TokenSource};

use crate::common::http::{Client, ids, store, user};

fn world() -> SessionLayer {
    SessionLayer::new(store().0)
}

#[tokio::test]
async fn without_a_session_before_it_what_the_request_inserts_is_kept() {
    let mut client = Client::new(&world());

    let seen = client.send(|session| async move {
        session.insert("theme", "dark").unwrap();
        session.log_in("alice").unwrap();
        session.get::<String>("theme").unwrap()
    });

    assert_eq!(seen.await.value().as_deref(), Some("dark"));
    assert_eq!(client.get("theme").await.as_deref(), Some("dark"));
}

#[tokio::test]
async fn of_a_guest_session_only_what_this_request_inserts_is_kept() {
    let mut client = Client::new(&world());
    client.insert("next", "https://evil.test").await;
    client.insert("theme", "planted").await;

    client
        .send(|session| async move {
            session.insert("theme", "dark").unwrap();
            session.log_in("alice").unwrap();
        })
        .await;

    assert_eq!(client.get("theme").await.as_deref(), Some("dark"));
    assert_eq!(client.get("next").await, None);
}

#[tokio::test]
async fn an_update_of_a_value_that_a_guest_session_had_stored_stays_behind() {
    let mut client = Client::new(&world());
    client.insert("cart", "planted").await;

    client
        .send(|session| async move {
            for _ in 0..2 {
                session
                    .update("cart", |cart: Option<String>| {
                        cart.unwrap_or_default() + "!"
                    })
                    .unwrap();
            }
            session.log_in("alice").unwrap();
            assert_eq!(session.get::<String>("cart").unwrap(), None);
        })
        .await;

    assert_eq!(client.get("cart").await, None);
}

#[tokio::test]
async fn an_update_of_what_the_request_itself_inserted_is_kept() {
    let mut client = Client::new(&world());
    client.insert("cart", "planted").await;

    client
        .send(|session| async move {
            let more = |text: Option<String>| text.unwrap_or_default() + "x";
            session.update("visits", more).unwrap();
            session.insert("cart", "pear").unwrap();
            session.update("cart", more).unwrap();
            session.remove("cart").unwrap();
            session.update("cart", more).unwrap();
            session.log_in("alice").unwrap();
        })
        .await;

    assert_eq!(client.get("visits").await.as_deref(), Some("x"));
    assert_eq!(client.get("cart").await.as_deref(), Some("x"));
}

#[tokio::test]
async fn what_a_login_names_is_kept_with_its_update() {
    let mut client = Client::new(&world());
    client.insert("cart", "apple").await;

    client
        .send(|session| async move {
            session
                .update("cart", |cart: Option<String>| cart.unwrap() + ", pear")
                .unwrap();
            session
                .log_in_with(Login::new("alice").carry(["cart"]))
                .unwrap();
        })
        .await;

    assert_eq!(client.get("cart").await.as_deref(), Some("apple, pear"));
}

#[tokio::test]
async fn of_two_sign_ins_of_a_user_in_one_request_the_second_says_what_is_kept() {
    for (first, second, kept) in [
        (&[][..], &["cart"][..], Some("apple")),
        (&["cart"], &[], None),
        (&["cart"], &["cart"], Some("apple")),
        (&["theme"], &["cart"], Some("apple")),
    ] {
        let mut client = Client::new(&world());
        client.insert("cart", "apple").await;
        client.insert("theme", "planted").await;

        client
            .send(move |session| async move {
                session.insert("language", "de").unwrap();
                let login = |keys: &[&str]| Login::new("alice").carry(keys.to_vec());
                session.log_in_with(login(first)).unwrap();
                session.insert("visits", "1").unwrap();
                session.log_in_with(login(second)).unwrap();
            })
            .await;

        let case = format!("{first:?} {second:?}");
        assert_eq!(client.user().await.as_deref(), Some("alice"), "{case}");
        assert_eq!(client.get("cart").await.as_deref(), kept, "{case}");
        assert_eq!(client.get("theme").await, None, "{case}");
        assert_eq!(client.get("language").await.as_deref(), Some("de"));
        assert_eq!(client.get("visits").await.as_deref(), Some("1"));
    }
}

#[tokio::test]
async fn an_update_of_what_only_the_first_of_two_sign_ins_kept_stays_behind() {
    let mut client = Client::new(&world());
    client.insert("cart", "planted").await;

    client
        .send(|session| async move {
            let more = |cart: Option<String>| cart.unwrap_or_default() + "!";
            let login = Login::new("alice").carry(["cart"]);
            session.log_in_with(login).unwrap();
            session.update("cart", more).unwrap();
            session.log_in("alice").unwrap();
        })
        .await;

    assert_eq!(client.get("cart").await, None);
}

#[tokio::test]
async fn a_second_sign_in_of_the_same_user_keeps_the_data_of_a_signed_in_session() {
    let mut client = Client::signed_in(&world(), "alice").await;
    client.insert("cart", "apple").await;

    client
        .send(|session| async move {
            session.log_in("alice").unwrap();
            session.insert("theme", "dark").unwrap();
            session.log_in("alice").unwrap();
        })
        .await;

    assert_eq!(client.get("cart").await.as_deref(), Some("apple"));
    assert_eq!(client.get("theme").await.as_deref(), Some("dark"));
}

#[tokio::test]
async fn a_value_that_a_parallel_request_plants_does_not_replace_what_was_inserted() {
    let mut client = Client::new(&world());
    client.insert("cart", "apple").await;
    let parallel = client.clone();

    client
        .send(move |session| {
            let mut parallel = parallel.clone();
            async move {
                session.insert("theme", "dark").unwrap();
                session
                    .log_in_with(Login::new("alice").carry(["theme"]))
                    .unwrap();
                parallel.insert("theme", "planted").await;
            }
        })
        .await;

    assert_eq!(client.get("theme").await.as_deref(), Some("dark"));
}

// T63
#[tokio::test]
async fn an_update_before_a_sign_in_wins_over_the_value_of_a_guest_session_beside_it() {
    let layer = world();
    let mut guest = Client::new(&layer);
    guest.insert("cart", "apple").await;
    guest.insert("theme", "dark").await;
    let mut client = Client::signed_in(&layer, "alice").await;
    client.guest = guest.guest;

    client
        .send(|session| async move {
            let plum = |_: Option<String>| "plum".to_owned();
            session.update("cart", plum).unwrap();
            let login = Login::new("alice").carry(["cart", "theme"]);
            session.log_in_with(login).unwrap();
        })
        .await;

    assert_eq!(client.get("cart").await.as_deref(), Some("plum"));
    assert_eq!(client.get("theme").await.as_deref(), Some("dark"));
}

#[tokio::test]
async fn what_was_inserted_while_another_user_was_signed_in_stays_behind() {
    let mut client = Client::signed_in(&world(), "alice").await;

    client
        .send(|session| async move {
            // As a middleware does, for the user whom it found.
            session.insert("profile", "of alice").unwrap();
            session
                .log_in_with(Login::new("bob").carry(["profile"]))
                .unwrap();
            session.insert("theme", "dark").unwrap();
        })
        .await;

    assert_eq!(client.user().await.as_deref(), Some("bob"));
    assert_eq!(client.get("profile").await, None);
    assert_eq!(client.get("theme").await.as_deref(), Some("dark"));
}

#[tokio::test]
async fn of_two_sign_ins_of_two_users_in_one_request_only_the_last_one_is_stored() {
    let (store, _clock) = store();
    let mut client = Client::new(&SessionLayer::new(store.clone()));

    client
        .send(|session| async move {
            session.insert("theme", "dark").unwrap();
            session.log_in("alice").unwrap();
            session.insert("profile", "of alice").unwrap();
            session.log_in("bob").unwrap();
            session.insert("cart", "tea").unwrap();
        })
        .await;

    assert_eq!(client.user().await.as_deref(), Some("bob"));
    assert_eq!(ids(&store, "alice").await, []);
    assert_eq!(ids(&store, "bob").await.len(), 1);
    assert_eq!(client.get("theme").await, None);
    assert_eq!(client.get("profile").await, None);
    assert_eq!(client.get("cart").await.as_deref(), Some("tea"));
}

#[tokio::test]
async fn after_a_sign_out_what_was_inserted_since_is_kept() {
    let mut client = Client::signed_in(&world(), "alice").await;

    client
        .send(|session| async move {
            session.insert("profile", "of alice").unwrap();
            session.log_out().unwrap();
            session.insert("theme", "dark").unwrap();
            session.log_in("bob").unwrap();
        })
        .await;

    assert_eq!(client.get("profile").await, None);
    assert_eq!(client.get("theme").await.as_deref(), Some("dark"));
}

#[tokio::test]
async fn what_was_committed_to_the_guest_session_first_is_stored_data() {
    let mut client = Client::new(&world());

    client
        .send(|session| async move {
            session.insert("theme", "dark").unwrap();
            session.commit().await.unwrap();
            session.log_in("alice").unwrap();
        })
        .await;

    assert_eq!(client.guest, None, "its session has ended");
    assert_eq!(client.get("theme").await, None);
    assert_eq!(client.user().await.as_deref(), Some("alice"));

    client
        .send(|session| async move { session.log_out().unwrap() })
        .await;
    client.insert("theme", "light").await;
    assert_eq!(client.get("theme").await.as_deref(), Some("light"));
}

#[tokio::test]
async fn what_a_middleware_inserts_before_the_handler_is_kept() {
    let (store, _clock) = store();
    let handler = service_fn(async |request: Request<()>| {
        let session = Session::of(request.extensions()).unwrap();
        session.log_in(user("alice")).unwrap();
        let seen: Option<String> = session.get("language").unwrap();
        Ok::<_, Infallible>(Response::new(seen.unwrap_or_default()))
    });
    let middleware = tower::ServiceBuilder::new()
        .layer(SessionLayer::new(store))
        .map_request(|request: Request<()>| {
            let session = Session::of(request.extensions()).unwrap();
            session.insert("language", "de").unwrap();
            request
        });

    let response = middleware.service(handler).oneshot(Request::new(())).await;

    assert_eq!(response.unwrap().into_body(), "de");
}

#[tokio::test]
async fn where_guests_may_keep_nothing_an_insert_before_it_is_an_error() {
    let client = Client::new(&world().guests(false));

    let answer = client.request(|session| async move {
        let before = session.insert("theme", "dark").unwrap_err().kind();
        session.log_in("alice").unwrap();
        session.insert("theme", "dark").unwrap();
        before
    });

    assert_eq!(answer.await.value(), SessionErrorKind::GuestsOff);
}

#[tokio::test]
async fn a_refused_sign_in_stores_nothing_of_it() {
    let layer = world().limit(tower_user_sessions::Limit::at_most(1).refuse());
    Client::signed_in(&layer, "alice").await;
    let mut client = Client::new(&layer);

    let answer = client.send(|session| async move {
        session.insert("theme", "dark").unwrap();
        session.log_in("alice").unwrap();
    });

    assert_eq!(answer.await.status, http::StatusCode::CONFLICT);
    assert_eq!(
        (client.cookie.clone(), client.get("theme").await),
        (None, None)
    );
}

// T8
#[tokio::test]
async fn a_sign_in_after_a_commit_of_guest_data_carries_the_token_of_the_user() {
    let layer = world().token_source(TokenSource::Bearer);

    let answer = Client::new(&layer).request(|session| async move {
        session.insert("theme", "dark").unwrap();
        session.commit().await.unwrap();
        session.log_in(user("alice")).unwrap();
    });

    let answer = answer.await;
    let mut next = Client::new(&layer);
    assert!(next.bears(&answer));
    assert_eq!(next.user().await.as_deref(), Some("alice"));
}
