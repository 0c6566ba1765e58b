//! The device API: users list their sessions and end them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use http::StatusCode;
use tower_user_sessions::{DeviceApi, MemoryStore, SessionLayer, store::ManualClock};

use crate::common::{
    devices::{call, signed_in, through},
    faulty::FaultyStore,
    http::{Client, HOUR, ids, store},
};

fn world() -> (SessionLayer, MemoryStore, ManualClock) {
    let (store, clock) = store();
    (SessionLayer::new(store.clone()), store, clock)
}

const FIREFOX: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:144.0) Gecko/20100101 Firefox/144.0";

// T35
#[tokio::test]
async fn the_list_has_the_live_sessions_current_first_then_by_last_activity() {
    let (layer, _store, clock) = world();
    let mut current = Client::new(&layer);
    current.user_agent = FIREFOX;
    let first = current.log_in("alice").await;
    let mut phone = Client::new(&layer);
    phone.user_agent = "curl/8.5.0\t";
    phone.peer = Some("2001:db8::1".parse().unwrap());
    clock.advance(HOUR);
    let second = phone.log_in("alice").await;
    clock.advance(HOUR);
    let (_, third) = signed_in(&layer, "alice").await;
    signed_in(&layer, "bob").await;
    clock.advance(HOUR);
    phone.user().await;

    let looking = layer.counts_as_activity(|_| false);
    let got = call(&looking, &current, "GET /sessions", &[]).await;

    assert_eq!(got.status, StatusCode::OK);
    assert_eq!(got.header("content-type"), Some("application/json"));
    let mut body = got.body;
    for (id, name) in [(first, "first"), (second, "second"), (third, "third")] {
        body = body.replace(&id.to_string(), name);
    }
    insta::assert_snapshot!(body.replace("},{", "},\n{"), @r#"
    {"sessions":[{"id":"first","device":{"label":"Firefox 144 on Windows","browser":"Firefox","os":"Windows","kind":"desktop"},"location":null,"ipAddress":null,"createdAt":"2025-11-24T16:00:00.000Z","lastActivity":"2025-11-24T16:00:00.000Z","expiresAt":"2025-12-24T16:00:00.000Z","lastSeen":null,"current":true},
    {"id":"second","device":{"label":"curl 8.5","browser":"curl","os":null,"kind":"tool"},"location":null,"ipAddress":"2001:db8::1","createdAt":"2025-11-24T17:00:00.000Z","lastActivity":"2025-11-24T19:00:00.000Z","expiresAt":"2025-12-24T17:00:00.000Z","lastSeen":null,"current":false},
    {"id":"third","device":{"label":"Unknown device","browser":null,"os":null,"kind":"other"},"location":null,"ipAddress":null,"createdAt":"2025-11-24T18:00:00.000Z","lastActivity":"2025-11-24T18:00:00.000Z","expiresAt":"2025-12-24T18:00:00.000Z","lastSeen":null,"current":false}]}
    "#);
}

#[tokio::test]
async fn the_prefix_may_be_written_with_or_without_slashes() {
    let (layer, _store, _clock) = world();
    let (client, _) = signed_in(&layer, "alice").await;
    for prefix in ["/a/sessions", "a/sessions", "a/sessions/", "/a/sessions//"] {
        let api = DeviceApi::at(prefix);
        let got = through(&layer, api, &client, "GET /a/sessions", &[]).await;
        assert_eq!(got.status, StatusCode::OK, "{prefix}");
    }
    let got = through(&layer, DeviceApi::at("/"), &client, "GET /", &[]).await;
    assert_eq!(got.status, StatusCode::OK);
}

// T3 T35
#[tokio::test]
async fn there_is_no_secret_in_the_list() {
    let (layer, _store, _clock) = world();
    let (client, id) = signed_in(&layer, "alice").await;

    let got = call(&layer, &client, "GET /sessions", &[]).await;

    assert!(got.body.contains(&id.to_string()));
    assert!(!got.body.contains(&client.token()[32..]));
    assert!(!got.body.contains(&client.token()[..16]));
}

// T36
#[tokio::test]
async fn ids_in_the_list_do_not_change() {
    let (layer, _store, clock) = world();
    let (mut client, id) = signed_in(&layer, "alice").await;

    client.insert("cart", "apple").await;
    clock.advance(HOUR);
    let got = call(&layer, &client, "GET /sessions", &[]).await;

    assert!(got.body.contains(&format!(r#""id":"{id}""#)));
}

// T35 T28
#[tokio::test]
async fn expired_sessions_are_not_listed() {
    let (layer, _store, clock) = world();
    signed_in(&layer, "alice").await;
    clock.advance(25 * HOUR);
    let (client, _) = signed_in(&layer, "alice").await;

    let got = call(&layer, &client, "GET /sessions", &[]).await;

    assert_eq!(got.body.matches(r#""id""#).count(), 1);
}

// T19 T24
#[tokio::test]
async fn ending_another_device_signs_it_out_and_ending_it_twice_has_the_same_response() {
    let (layer, store, clock) = world();
    let (mut phone, id) = signed_in(&layer, "alice").await;
    let (laptop, current) = signed_in(&layer, "alice").await;
    let line = format!("DELETE /sessions/{id}");

    let first = call(&layer, &laptop, &line, &[]).await;
    let second = call(&layer, &laptop, &line, &[]).await;
    clock.advance(HOUR);
    let later = call(&layer, &laptop, &line, &[]).await;

    for got in [first, second] {
        assert_eq!(
            (got.status, &*got.body),
            (StatusCode::OK, r#"{"success":true}"#)
        );
        assert_eq!(got.header("set-cookie"), None);
    }
    assert_eq!(later.status, StatusCode::FORBIDDEN);
    assert_eq!(phone.user().await, None);
    assert_eq!(ids(&store, "alice").await, [current]);
}

// T19
#[tokio::test]
async fn ending_the_current_session_also_removes_the_cookie() {
    let (layer, store, _clock) = world();
    let (client, id) = signed_in(&layer, "alice").await;

    let got = call(&layer, &client, &format!("DELETE /sessions/{id}"), &[]).await;

    assert_eq!(
        (got.status, &*got.body),
        (StatusCode::OK, r#"{"success":true}"#)
    );
    assert!(got.header("set-cookie").unwrap().contains("Max-Age=0"));
    assert_eq!(ids(&store, "alice").await, []);
}

// T53
#[tokio::test]
async fn logout_all_ends_all_other_sessions_and_says_how_many() {
    let (layer, store, _clock) = world();
    let (mut phone, _) = signed_in(&layer, "alice").await;
    signed_in(&layer, "alice").await;
    let (client, id) = signed_in(&layer, "alice").await;

    let got = call(&layer, &client, "POST /sessions/logout-all", &[]).await;

    assert_eq!(got.status, StatusCode::OK);
    assert_eq!(
        got.body,
        r#"{"message":"All other sessions logged out","ended":2}"#
    );
    assert_eq!(phone.user().await, None);
    assert_eq!(ids(&store, "alice").await, [id]);
}

#[tokio::test]
async fn the_device_api_can_be_mounted_anywhere() {
    let (layer, _store, _clock) = world();
    let (client, _) = signed_in(&layer, "alice").await;

    for (api, line) in [
        (DeviceApi::new(), "GET /"),
        (DeviceApi::new(), "HEAD /"),
        (DeviceApi::default(), "POST /logout-all"),
        (DeviceApi::at("/account/devices/"), "GET /account/devices"),
        (
            DeviceApi::at("/account/devices"),
            "GET /account/devices/?sort=x",
        ),
        (DeviceApi::at("/"), "POST /logout-all"),
    ] {
        let got = through(&layer, api, &client, line, &[]).await;

        assert_eq!(got.status, StatusCode::OK, "{line}");
    }
}

// T35
#[tokio::test]
async fn two_users_whose_tags_collide_do_not_see_each_others_sessions() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(FaultyStore::colliding(&store));
    let (client, id) = signed_in(&layer, "alice").await;
    signed_in(&layer, "bob").await;

    let got = call(&layer, &client, "GET /sessions", &[]).await;

    assert_eq!(got.body.matches(r#""id""#).count(), 1);
    assert!(got.body.contains(&id.to_string()));
}
