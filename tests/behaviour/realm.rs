//! Layers of several realms on one store: a token is valid only in the realm where it was made.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{convert::Infallible, time::Duration};

use http::{Request, Response, StatusCode};
use tower::{Layer, ServiceExt, service_fn};
use tower_user_sessions::{
    CommitError, Limit, Login, MemoryStore, Session, SessionCookie, SessionLayer, Ticket,
    UserSessions, UserSessionsError,
    store::{ManualClock, Realm, Tag, Token},
};

use crate::common::{
    alone::is_alone,
    http::{Client, ids, store, user},
    log::Log,
};

const MS: Duration = Duration::from_millis(1);

struct World {
    site: SessionLayer,
    admin: SessionLayer,
    store: MemoryStore,
    clock: ManualClock,
}

fn world() -> World {
    let (store, clock) = store();
    World {
        site: SessionLayer::new(store.clone()),
        admin: SessionLayer::new(store.clone())
            .cookie(admin_cookie())
            .realm("admin"),
        store,
        clock,
    }
}

fn admin_cookie() -> SessionCookie {
    SessionCookie::named("__Host-admin").build().unwrap()
}

/// A client whose cookie jar holds this token, before this layer.
fn with_token(layer: &SessionLayer, name: &str, token: &str) -> Client {
    let mut client = Client::new(layer);
    client.cookie = Some(format!("{name}={token}"));
    client
}

// T66
#[tokio::test]
async fn a_token_of_the_site_is_unknown_in_the_admin_layer_and_the_other_way_round() {
    let World { site, admin, .. } = world();
    let mut at_site = Client::signed_in(&site, "alice").await;
    let mut at_work = Client::signed_in(&admin, "alice").await;

    let crossed = with_token(&admin, "__Host-admin", &at_site.token())
        .user()
        .await;
    let back = with_token(&site, "__Host-session", &at_work.token())
        .user()
        .await;

    assert_eq!((crossed, back), (None, None));
    assert_eq!(at_site.user().await.as_deref(), Some("alice"));
    assert_eq!(at_work.user().await.as_deref(), Some("alice"));
}

// T66
#[tokio::test]
async fn guest_sessions_and_new_tokens_are_those_of_the_realm_too() {
    let World { site, admin, .. } = world();
    let mut guest = Client::new(&admin);
    guest.insert("cart", "apple").await;
    assert_eq!(guest.get("cart").await.as_deref(), Some("apple"));
    let mut crossed = with_token(&site, "__Host-session", &guest.token());
    assert_eq!(crossed.get("cart").await, None);

    let mut alice = Client::signed_in(&admin, "alice").await;
    for again in [false, true] {
        let before = alice.token();
        let renewed = alice.send(move |session| async move {
            if again {
                session.reauthenticated().unwrap();
            } else {
                session.rotate().unwrap();
            }
        });
        renewed.await;

        assert_ne!(alice.token(), before);
        assert_eq!(alice.user().await.as_deref(), Some("alice"));
        let mut crossed = with_token(&site, "__Host-session", &alice.token());
        assert_eq!(crossed.user().await, None);
    }
}

// T66
#[tokio::test]
async fn a_realm_has_its_own_limit_list_and_ends() {
    let World {
        site, admin, store, ..
    } = world();
    let site = site.limit(Limit::at_most(1));
    let mut at_work = Client::signed_in(&admin, "alice").await;
    Client::signed_in(&site, "alice").await;
    let mut at_site = Client::signed_in(&site, "alice").await;
    let office = UserSessions::new(store.clone(), user("alice")).realm("admin");
    let work = office.list().await.unwrap()[0].id();

    let refused = at_site.send(move |session| async move {
        let sessions = session.user_sessions().unwrap();
        let count = sessions.count().await.unwrap();
        (count, sessions.end(work).await.unwrap_err())
    });
    let (count, refused) = refused.await.value();

    assert_eq!(count, 1);
    assert!(matches!(refused, UserSessionsError::Unknown), "{refused:?}");
    assert_eq!(ids(&store, "alice").await.len(), 1);
    assert_eq!(at_work.user().await.as_deref(), Some("alice"));
    office.end(work).await.unwrap();
    assert_eq!(at_work.user().await, None);
    assert_eq!(at_site.user().await.as_deref(), Some("alice"));
}

// T66
#[tokio::test]
async fn end_all_end_others_and_disabling_cross_all_realms() {
    let World {
        site,
        admin,
        store,
        clock,
    } = world();
    let mut at_site = Client::signed_in(&site, "alice").await;
    let mut at_work = Client::signed_in(&admin, "alice").await;

    let others = at_work.send(|session| async move {
        let sessions = session.user_sessions().unwrap();
        sessions.end_others().await.unwrap()
    });
    assert_eq!(others.await.value(), 1);
    assert_eq!(at_site.user().await, None);
    assert_eq!(at_work.user().await.as_deref(), Some("alice"));

    clock.advance(MS);
    let everywhere = UserSessions::new(store, user("alice"));
    assert_eq!(everywhere.disable_for(10 * MS).await.unwrap(), 1);
    assert_eq!(at_work.user().await, None);
    for layer in [&site, &admin] {
        let refused = Client::new(layer).request(|session| async move {
            session.log_in(user("alice")).unwrap();
        });
        assert_eq!(refused.await.status, StatusCode::FORBIDDEN);
    }
}

/// The ticket of a sign-in that this layer refuses.
async fn ticket(layer: &SessionLayer) -> Ticket {
    let refused = Client::new(layer).request(|session| async move {
        session.log_in(user("alice")).unwrap();
        match session.commit().await {
            Err(CommitError::LimitReached(reached)) => reached.ticket.unwrap(),
            other => panic!("{other:?}"),
        }
    });
    refused.await.value()
}

// T66 T69
#[tokio::test]
async fn a_ticket_of_another_realm_does_not_work() {
    let World {
        site, admin, store, ..
    } = world();
    let site = site.limit(Limit::at_most(1).refuse());
    Client::signed_in(&site, "alice").await;
    Client::signed_in(&admin, "alice").await;
    let ticket = ticket(&site).await;
    let redeems = |layer: &SessionLayer, ends| {
        let login = Login::by_ticket(ticket.clone(), ends);
        Client::new(layer).request(move |session| {
            let login = login.clone();
            async move { session.log_in_with(login).unwrap() }
        })
    };
    let office = UserSessions::new(store.clone(), user("alice")).realm("admin");
    let work = office.list().await.unwrap()[0].id();
    let own = ids(&store, "alice").await[0];

    let crossed = redeems(&admin, None).await;
    let theirs = redeems(&site, Some(work)).await;
    let right = redeems(&site, Some(own)).await;

    assert_eq!(crossed.status, StatusCode::UNAUTHORIZED);
    assert_eq!(theirs.status, StatusCode::CONFLICT);
    assert_eq!(right.status, StatusCode::OK);
    assert_eq!(office.count().await.unwrap(), 1);
}

// T66
#[tokio::test]
async fn another_realm_signs_the_users_of_a_layer_out_and_the_first_one_brings_them_back() {
    let World { site, .. } = world();
    let mut alice = Client::signed_in(&site, "alice").await;
    let renamed = site.clone().realm("site");
    let cookie = alice.cookie.clone();

    assert_eq!(alice.before(&renamed).user().await, None);

    alice.cookie = cookie;
    let unnamed = alice.before(&renamed.realm(""));
    assert_eq!(unnamed.clone().user().await.as_deref(), Some("alice"));
}

// T66
#[test]
fn the_digests_of_a_token_never_change() {
    let token: Token = format!("{:A<64}", "").parse().unwrap();

    // Other digests would sign all users out.
    assert_eq!(token.digest_in(Realm::NONE), token.digest());
    assert_eq!(token.digest_in(Realm::named("")), token.digest());
    let hex = |realm: Realm| {
        let digest = token.digest_in(realm);
        let bytes = digest.as_bytes()[..8].iter();
        bytes.map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    insta::assert_snapshot!(hex(Realm::NONE), @"17b0761f87b081d5");
    insta::assert_snapshot!(hex(Realm::named("admin")), @"3c4c509485359a9e");
    insta::assert_snapshot!(format!("{:?}", Realm::named("admin")), @"Realm(a5aaba)");
    assert_ne!(hex(Realm::named("admin")), hex(Realm::named("Admin")));
}

// T66
#[tokio::test]
async fn an_inner_layer_that_lets_a_request_pass_leaves_no_session_of_the_outer_one() {
    let World { site, admin, .. } = world();
    let admin = admin.resolve_if(|parts| parts.uri.path().starts_with("/admin"));
    let found = service_fn(async |request: Request<()>| {
        let session = request.extensions().get::<Session>();
        let status = if session.is_some() { 200 } else { 404 };
        Ok::<_, Infallible>(Response::builder().status(status).body(()).unwrap())
    });
    let app = site.layer(admin.layer(found));

    let asked = async |path: &str| {
        let request = Request::get(path).body(()).unwrap();
        app.clone().oneshot(request).await.unwrap().status()
    };

    assert_eq!(asked("/admin").await, 200);
    assert_eq!(asked("/").await, 404);
}

/// Sends a request through each layer.
async fn all<'a>(layers: impl IntoIterator<Item = &'a SessionLayer>) {
    for layer in layers {
        Client::new(layer).request(|_session| async {}).await;
    }
}

// T66
#[tokio::test]
async fn two_cookies_on_one_store_without_a_realm_are_one_warning_at_the_first_request() {
    if !is_alone(
        module_path!(),
        "two_cookies_on_one_store_without_a_realm_are_one_warning_at_the_first_request",
    ) {
        return;
    }
    let log = Log::start();
    let World { site, store, .. } = world();
    let other = SessionLayer::new(store.clone()).cookie(admin_cookie());
    let third = SessionLayer::new(store).cookie(SessionCookie::named("third").build().unwrap());
    for layer in [&site, &other] {
        // axum does this for each request.
        let _service = layer.layer(());
    }
    assert_eq!(log.at("WARN"), [""; 0]);

    all([&site, &site, &other, &other, &third]).await;

    let [line] = &log.at("WARN")[..] else {
        panic!("{}", log.text());
    };
    assert!(line.contains("`SessionLayer::realm`"), "{line}");
    assert!(
        line.contains("__Host-session") && line.contains("__Host-admin"),
        "{line}"
    );
}

// T66
#[tokio::test]
async fn layers_with_a_realm_one_cookie_or_stores_of_their_own_are_no_warning() {
    if !is_alone(
        module_path!(),
        "layers_with_a_realm_one_cookie_or_stores_of_their_own_are_no_warning",
    ) {
        return;
    }
    let log = Log::start();
    let World {
        site, admin, store, ..
    } = world();
    let mobile = SessionLayer::new(store);
    let elsewhere = SessionLayer::new(MemoryStore::new()).cookie(admin_cookie());

    all([&site, &admin, &mobile, &elsewhere]).await;

    assert_eq!(log.at("WARN"), [""; 0]);
}

// T66
#[tokio::test]
async fn the_tag_is_the_same_in_all_realms() {
    let World { admin, .. } = world();

    let client = Client::signed_in(&admin, "alice").await;

    assert_eq!(client.token()[..16], Tag::of(&user("alice")).to_string());
}
