//! Signing in always makes a new token and id. Tests what is carried over from the session before.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use http::StatusCode;
use tower_user_sessions::{
    EndReason, Login, MemoryStore, Session, SessionLayer, UserSessions,
    store::{Tag, TagKey},
};

use crate::common::http::{Client, ids, store, user};

fn carrying<const N: usize>(keys: [&'static str; N]) -> Login {
    Login::new(user("alice")).carry(keys)
}

async fn log_in_with(client: &mut Client, login: Login) {
    let answer = client.send(move |session| {
        let login = login.clone();
        async move { session.log_in_with(login).unwrap() }
    });
    assert_eq!(answer.await.status, StatusCode::OK);
}

// T5
#[tokio::test]
async fn a_login_makes_a_new_token_and_id_and_the_guest_token_dies_at_once() {
    let (store, _clock) = store();
    let mut client = Client::new(&SessionLayer::new(store));
    client.insert("cart", "apple").await;
    let guest = client.clone();

    client.log_in("alice").await;

    assert_ne!(client.token(), guest.token());
    let found = guest
        .request(|session| async move { (session.id(), session.get::<String>("cart").unwrap()) });
    assert_eq!(found.await.value(), (None, None));
}

// T5 T29
#[tokio::test]
async fn signing_in_again_makes_a_new_token_and_id_and_replaces_the_old_session() {
    let (store, _clock) = store();
    let mut client = Client::new(&SessionLayer::new(store.clone()));
    let first = client.log_in("alice").await;
    let mut old = client.clone();

    let second = client.log_in("alice").await;

    assert_ne!(client.token(), old.token());
    assert_ne!(first, second);
    assert_eq!(old.user().await, None);
    assert_eq!(ids(&store, "alice").await, [second]);
}

// T29
#[tokio::test]
async fn signing_in_again_keeps_the_data() {
    let (store, _clock) = store();
    let mut client = Client::signed_in(&SessionLayer::new(store), "alice").await;
    client.insert("cart", "apple").await;

    let seen = client.send(|session| async move {
        session.log_in(user("alice")).unwrap();
        session.insert("note", "new").unwrap();
        session.get::<String>("cart").unwrap()
    });

    assert_eq!(seen.await.value().as_deref(), Some("apple"));
    assert_eq!(client.get("cart").await.as_deref(), Some("apple"));
    assert_eq!(client.get("note").await.as_deref(), Some("new"));
}

// T29
#[tokio::test]
async fn signing_in_again_at_the_limit_replaces_the_old_session_first() {
    let (store, _clock) = store();
    let limit = tower_user_sessions::Limit::at_most(1).refuse();
    let mut client =
        Client::signed_in(&SessionLayer::new(store.clone()).limit(limit), "alice").await;

    let second = client.log_in("alice").await;

    assert_eq!(ids(&store, "alice").await, [second]);
}

#[tokio::test]
async fn by_default_no_guest_data_is_carried_over() {
    let (store, _clock) = store();
    let mut client = Client::new(&SessionLayer::new(store));
    client.insert("next", "https://evil.test").await;
    client.insert("csrf", "planted").await;

    let seen = client.send(|session| async move {
        session.log_in(user("alice")).unwrap();
        (
            session.get::<String>("next").unwrap(),
            session.get::<String>("csrf").unwrap(),
        )
    });

    assert_eq!(seen.await.value(), (None, None));
    assert_eq!(client.get("next").await, None);
    assert_eq!(client.get("csrf").await, None);
}

#[tokio::test]
async fn the_named_keys_of_guest_data_are_carried_over_stored_or_staged() {
    let (store, _clock) = store();
    let mut client = Client::new(&SessionLayer::new(store));
    client.insert("cart", "apple").await;
    client.insert("next", "https://evil.test").await;

    client
        .send(|session| async move {
            session.insert("coupon", "ten").unwrap();
            session.log_in_with(carrying(["cart", "coupon"])).unwrap();
        })
        .await;

    assert_eq!(client.get("cart").await.as_deref(), Some("apple"));
    assert_eq!(client.get("coupon").await.as_deref(), Some("ten"));
    assert_eq!(client.get("next").await, None);
}

#[tokio::test]
async fn values_staged_by_the_guest_win_over_stored_ones_when_carried_over() {
    let (store, _clock) = store();
    let mut client = Client::new(&SessionLayer::new(store));
    client.insert("cart", "apple").await;
    client.insert("coupon", "ten").await;

    client
        .send(|session| async move {
            session
                .update("cart", |cart: Option<String>| cart.unwrap() + ", pear")
                .unwrap();
            session.remove("coupon").unwrap();
            session.log_in_with(carrying(["cart", "coupon"])).unwrap();
        })
        .await;

    assert_eq!(client.get("cart").await.as_deref(), Some("apple, pear"));
    assert_eq!(client.get("coupon").await, None);
}

// A parallel request put an item into the cart after the login had read it.
#[tokio::test]
async fn a_cart_item_of_a_parallel_request_is_carried_over_too() {
    let (store, _clock) = store();
    let mut client = Client::new(&SessionLayer::new(store));
    client.insert("cart", "apple").await;
    client.insert("next", "/").await;
    let parallel = client.clone();

    client
        .send(move |session| {
            let mut parallel = parallel.clone();
            async move {
                parallel.insert("cart", "apple, pear").await;
                parallel.insert("next", "https://evil.test").await;
                session.log_in_with(carrying(["cart"])).unwrap();
            }
        })
        .await;

    assert_eq!(client.get("cart").await.as_deref(), Some("apple, pear"));
    assert_eq!(client.get("next").await, None);
}

#[tokio::test]
async fn a_value_the_login_wrote_wins_over_a_parallel_requests_cart() {
    let (store, _clock) = store();
    let mut client = Client::new(&SessionLayer::new(store));
    client.insert("cart", "apple").await;
    let parallel = client.clone();

    client
        .send(move |session| {
            let mut parallel = parallel.clone();
            async move {
                parallel.insert("cart", "apple, pear").await;
                session.log_in_with(carrying(["cart"])).unwrap();
                session.insert("cart", "plum").unwrap();
            }
        })
        .await;

    assert_eq!(client.get("cart").await.as_deref(), Some("plum"));
}

// T5
#[tokio::test]
async fn signing_in_as_another_user_ends_the_first_session_and_carries_nothing_over() {
    let (store, _clock) = store();
    let mut client = Client::signed_in(&SessionLayer::new(store.clone()), "bob").await;
    client.insert("cart", "bobs").await;
    let mut bob = client.clone();

    log_in_with(&mut client, carrying(["cart"])).await;

    assert_eq!(client.user().await.as_deref(), Some("alice"));
    assert_eq!(client.get("cart").await, None);
    assert_eq!(bob.user().await, None);
    assert_eq!(ids(&store, "bob").await, []);
}

#[tokio::test]
async fn values_staged_for_another_user_are_not_carried_over() {
    let (store, _clock) = store();
    let mut client = Client::signed_in(&SessionLayer::new(store), "bob").await;

    let seen = client.send(|session| async move {
        session.insert("cart", "bobs").unwrap();
        session.log_in_with(carrying(["cart"])).unwrap();
        session.get::<String>("cart").unwrap()
    });

    assert_eq!(seen.await.value(), None);
    assert_eq!(client.get("cart").await, None);
}

#[tokio::test]
async fn signing_out_and_in_again_in_one_handler_keeps_nothing_of_the_first_session() {
    let (store, _clock) = store();
    let mut client = Client::signed_in(&SessionLayer::new(store.clone()), "alice").await;
    client.insert("cart", "apple").await;
    let previous = client.clone();

    client
        .send(|session| async move {
            session.log_out().unwrap();
            session.log_in_with(carrying(["cart"])).unwrap();
        })
        .await;

    let ended =
        previous.request(|session| async move { session.ended().map(|notice| notice.reason) });
    assert_eq!(ended.await.value(), Some(EndReason::LoggedOut));
    assert_eq!(client.user().await.as_deref(), Some("alice"));
    assert_eq!(client.get("cart").await, None);
    assert_eq!(ids(&store, "alice").await.len(), 1);
}

#[tokio::test]
async fn the_last_of_several_logins_in_one_handler_wins() {
    let (store, _clock) = store();
    let mut client = Client::new(&SessionLayer::new(store.clone()));

    client
        .send(|session| async move {
            session.log_in(user("bob")).unwrap();
            session.log_in(user("alice")).unwrap();
        })
        .await;

    assert_eq!(client.user().await.as_deref(), Some("alice"));
    assert_eq!(ids(&store, "bob").await, []);
    assert_eq!(store.sets(), 1);
}

#[tokio::test]
async fn a_login_committed_and_then_signed_out_is_gone() {
    let (store, _clock) = store();
    let mut client = Client::new(&SessionLayer::new(store.clone()));

    let answer = client.send(|session: Session| async move {
        session.log_in(user("alice")).unwrap();
        session.commit().await.unwrap();
        session.log_out().unwrap();
    });

    assert!(answer.await.removes_cookie());
    assert_eq!(ids(&store, "alice").await, []);
}

#[tokio::test]
async fn a_handler_sees_its_staged_login() {
    let (store, _clock) = store();
    let mut client = Client::new(&SessionLayer::new(store));

    let staged = client.send(|session| async move {
        session.log_in(user("alice")).unwrap();
        (session.user_id(), session.id())
    });
    let staged = staged.await.value();
    let found = client.send(|session| async move { (session.user_id(), session.id()) });

    assert_eq!(staged, found.await.value());
    assert_eq!(staged.0, Some(user("alice")));
}

// T38
#[tokio::test]
async fn a_login_stores_the_cleaned_user_agent_and_the_peer_that_the_app_set() {
    let (store, _clock) = store();
    let mut client = Client::new(&SessionLayer::new(store));
    client
        .headers
        .insert("x-forwarded-for", "192.0.2.9".parse().unwrap());
    client.peer = Some("::ffff:192.0.2.1".parse().unwrap());
    client.user_agent = "Mozilla/5.0\t(X11)";

    client.log_in("alice").await;
    let listed = client.send(|session| async move {
        let listed = session.user_sessions().unwrap().list().await.unwrap();
        (
            listed[0].address(),
            listed[0].user_agent().map(str::to_owned),
        )
    });

    let (address, agent) = listed.await.value();
    assert_eq!(address, Some("192.0.2.1".parse().unwrap()));
    assert_eq!(agent.as_deref(), Some("Mozilla/5.0(X11)"));
}

// T3
#[tokio::test]
async fn with_a_tag_key_no_user_can_be_guessed_from_a_cookie() {
    let key = TagKey::new("a secret of the app's").unwrap();
    let store = MemoryStore::builder().tag_key(key.clone()).build();
    let layer = SessionLayer::new(store.clone());
    let mut client = Client::signed_in(&layer, "alice").await;

    let tag = client.token()[..16].to_owned();

    assert_eq!(client.user().await.as_deref(), Some("alice"));
    assert_ne!(tag, Tag::of(&user("alice")).to_string());
    assert_eq!(tag, Tag::keyed(&key, &user("alice")).to_string());
    assert_eq!(ids(&store, "alice").await.len(), 1);
}

#[tokio::test]
async fn values_staged_with_an_update_survive_the_end_of_the_replaced_session() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store.clone());
    let mut client = Client::signed_in(&layer, "alice").await;
    let id = ids(&store, "alice").await[0];

    client
        .send(move |session| {
            let admin = UserSessions::new(store.clone(), user("alice"));
            async move {
                admin.end(id).await.unwrap();
                session.insert("theme", "dark").unwrap();
                session.update("n", |n: Option<u8>| n.unwrap_or(0)).unwrap();
                session.log_in(user("alice")).unwrap();
            }
        })
        .await;

    assert_eq!(client.user().await.as_deref(), Some("alice"));
    assert_eq!(client.get("theme").await.as_deref(), Some("dark"));
}
