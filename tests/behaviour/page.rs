//! The device page: users see where they are signed in and sign devices out, without JavaScript.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::net::IpAddr;

use http::StatusCode;
use tower_user_sessions::{
    DevicePage, Geo, MemoryStore, Place, SessionId, SessionLayer, Words, store::ManualClock,
};

use crate::common::{
    http::{Client, DAY, HOUR, ids, store},
    page::{View, visit},
};

const WINDOWS_CHROME: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 \
                              (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";
const IPHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 \
                      (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1";
const BERLIN: &str = "192.0.2.7";

/// A place for one address, and only a country for another.
#[derive(Debug)]
struct Atlas;

impl Geo for Atlas {
    fn place(&self, address: IpAddr) -> Option<Place> {
        let berlin = address.to_string() == BERLIN;
        let germany = Place::new().with_country("Germany");
        Some(if berlin {
            germany.with_city("Berlin")
        } else {
            germany
        })
    }
}

struct World {
    layer: SessionLayer,
    store: MemoryStore,
    clock: ManualClock,
    page: DevicePage,
}

impl World {
    fn new() -> Self {
        let (store, clock) = store();
        Self {
            layer: SessionLayer::new(store.clone()),
            store,
            clock,
            page: DevicePage::at("/devices").geo(Atlas),
        }
    }

    async fn device(&self, agent: &'static str, peer: Option<&str>) -> (Client, SessionId) {
        let mut client = Client::new(&self.layer);
        client.user_agent = agent;
        client.peer = peer.map(|peer| peer.parse().unwrap());
        let id = client.log_in("alice").await;
        (client, id)
    }

    async fn get(&self, client: &Client, path: &str) -> View {
        self.send(client, &format!("GET {path}"), "").await
    }

    async fn send(&self, client: &Client, line: &str, fields: &str) -> View {
        visit(&self.layer, &self.page, client, line, &[], fields).await
    }
}

// T35
#[tokio::test]
async fn each_row_says_which_device_where_and_when_current_first() {
    let world = World::new();
    world.device("curl/8.5.0", None).await;
    world.clock.advance(3 * HOUR);
    world.device(IPHONE, Some("2001:db8::1")).await;
    world.clock.advance(HOUR / 30);
    let (client, _) = world.device(WINDOWS_CHROME, Some(BERLIN)).await;

    let view = world.get(&client, "/devices").await;

    assert_eq!(view.status, StatusCode::OK);
    assert_eq!(
        view.rows(),
        [
            "Chrome 142 on Windows This device Berlin, Germany · 192.0.2.7 Last active just now \
             Sign out",
            "Safari on iPhone Germany · 2001:db8::1 Last active 2 minutes ago Sign out",
            "curl 8.5 Last active 3 hours ago Sign out",
        ]
    );
}

#[tokio::test]
async fn each_row_has_the_exact_moment_and_an_icon_of_its_kind() {
    let world = World::new();
    let (client, _) = world.device(IPHONE, None).await;
    world.clock.advance(DAY / 2);
    let looking = world.layer.clone().counts_as_activity(|_| false);

    let view = visit(&looking, &world.page, &client, "GET /devices", &[], "").await;

    let time = r#"<time datetime="2025-11-24T16:00:00.000Z" title="2025-11-24 16:00:00 UTC" data-age="43200">12 hours ago</time>"#;
    assert!(view.body.contains(time), "{}", view.body);
    assert!(
        view.body
            .contains(r#"aria-hidden="true" focusable="false" data-kind="mobile""#)
    );
}

#[tokio::test]
async fn client_hints_win_over_the_user_agent_on_the_page() {
    let world = World::new();
    let mut client = Client::new(&world.layer);
    client.user_agent = WINDOWS_CHROME;
    for (name, value) in [
        (
            "sec-ch-ua",
            r#""Not_A Brand";v="99", "Chromium";v="142", "Brave";v="142""#,
        ),
        ("sec-ch-ua-mobile", "?0"),
        ("sec-ch-ua-platform", r#""Linux""#),
    ] {
        client.headers.insert(name, value.parse().unwrap());
    }
    client.log_in("alice").await;

    let view = world.get(&client, "/devices").await;

    assert!(
        view.rows()[0].starts_with("Brave 142 on Linux"),
        "{:?}",
        view.rows()
    );
}

// T19
#[tokio::test]
async fn every_row_signs_its_device_out_without_javascript_and_returns_to_the_list() {
    for row in 0..3 {
        let world = World::new();
        world.device("curl/8.5.0", None).await;
        world.device(IPHONE, None).await;
        let (client, current) = world.device(WINDOWS_CHROME, None).await;
        let view = world.get(&client, "/devices").await;
        let form = &view.forms()[row];

        let answer = world.send(&client, &form.line, &form.fields).await;

        assert_eq!(answer.status, StatusCode::SEE_OTHER);
        assert_eq!(answer.location(), Some("/devices?done=device"));
        let live = ids(&world.store, "alice").await;
        let ended: SessionId = form.fields["id=".len()..].parse().unwrap();
        assert!(live.len() == 2 && !live.contains(&ended));
        let removed = answer.header("set-cookie").is_some();
        assert_eq!(removed, ended == current, "row {row}");
    }
}

#[tokio::test]
async fn each_button_names_its_device() {
    let world = World::new();
    world.device(IPHONE, None).await;
    let (client, _) = world.device(WINDOWS_CHROME, None).await;

    let view = world.get(&client, "/devices").await;

    let names: Vec<String> = view.forms().into_iter().map(|form| form.name).collect();
    assert_eq!(
        names,
        [
            "Sign out Chrome 142 on Windows",
            "Sign out Safari on iPhone",
            "Sign out all other devices",
        ]
    );
}

// T53
#[tokio::test]
async fn signing_out_all_others_asks_first_and_keeps_this_device() {
    let world = World::new();
    let (mut phone, _) = world.device(IPHONE, None).await;
    world.device("curl/8.5.0", None).await;
    let (client, current) = world.device(WINDOWS_CHROME, None).await;
    let view = world.get(&client, "/devices").await;

    let asked = world.send(&client, &view.forms()[3].line, "").await;
    let before = ids(&world.store, "alice").await.len();
    let done = world.send(&client, &asked.forms()[0].line, "").await;

    assert_eq!((asked.status, before), (StatusCode::OK, 3));
    assert!(asked.body.contains(r#"href="/devices""#));
    assert_eq!(
        (done.status, done.location()),
        (StatusCode::SEE_OTHER, Some("/devices?done=others"))
    );
    assert_eq!(ids(&world.store, "alice").await, [current]);
    assert_eq!(phone.user().await, None);
}

#[tokio::test]
async fn the_list_says_what_was_done_and_that_no_other_device_is_signed_in() {
    let world = World::new();
    let (client, _) = world.device(IPHONE, None).await;

    for (path, said) in [
        ("/devices", None),
        ("/devices?done=%3Cb%3E", None),
        ("/devices?done=device", Some("The device is signed out.")),
        (
            "/devices?done=others",
            Some("All other devices are signed out."),
        ),
    ] {
        let view = world.get(&client, path).await;

        let status = said.map(|said| format!(r#"role="status">{said}<"#));
        assert_eq!(
            view.body.contains("role=\"status\""),
            status.is_some(),
            "{path}"
        );
        assert!(status.is_none_or(|status| view.body.contains(&status)));
        assert!(view.body.contains("You’re signed in nowhere else."));
        assert_eq!(view.forms().len(), 1);
    }
}

// T24
#[tokio::test]
async fn a_form_with_an_id_that_is_not_the_users_gets_the_same_403() {
    let world = World::new();
    let (client, _) = world.device(IPHONE, None).await;
    let bob = Client::new(&world.layer).log_in("bob").await;
    let long = format!("{}&id={bob}", "x".repeat(2_000));

    let mut bodies = Vec::new();
    for fields in [
        &format!("id={bob}"),
        "id=AAAAAAAAAAAAAAAA",
        "id=",
        "",
        "id=%00",
        &long,
    ] {
        let answer = world.send(&client, "POST /devices/end", fields).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{fields}");
        bodies.push(answer.body);
    }

    assert!(bodies[0].contains("That is not one of your devices."));
    bodies.dedup();
    assert_eq!(bodies.len(), 1);
    assert_eq!(ids(&world.store, "bob").await, [bob]);
}

// T42
#[tokio::test]
async fn a_browser_whose_session_expired_sees_why_in_the_words_of_the_page() {
    let world = World::new();
    let client = Client::signed_in(&world.layer, "alice").await;
    world.clock.advance(DAY);
    let mut words = Words::default();
    words.ended.expired = "Zu lange <nicht> da.".into();
    let german = world.page.clone().words(words);

    let view = world.send(&client, "GET /devices", "").await;
    let in_german = visit(&world.layer, &german, &client, "GET /devices", &[], "").await;

    assert_eq!(view.status, StatusCode::UNAUTHORIZED);
    assert!(view.body.contains("You’re not signed in."));
    assert!(
        view.body
            .contains("You were signed out because your session expired.")
    );
    assert!(in_german.body.contains("Zu lange &lt;nicht&gt; da."));
}

#[tokio::test]
async fn without_a_user_it_is_a_401_page_or_a_redirect_to_sign_in() {
    let world = World::new();
    let guest = Client::new(&world.layer);
    let away = world.page.clone().login("/sign%20in");
    let beside = world.page.clone().login("/devices-sign-in");

    for line in ["GET /devices", "GET /devices/end-others"] {
        let view = world.send(&guest, line, "").await;
        assert_eq!(view.status, StatusCode::UNAUTHORIZED, "{line}");
        assert!(view.body.contains("You’re not signed in."));
    }
    for (line, status) in [
        ("GET /devices", StatusCode::SEE_OTHER),
        // The redirects after a form must stay on this origin, and those of the sign-in page may not.
        ("GET /devices/end-others", StatusCode::OK),
        ("POST /devices/end", StatusCode::OK),
        ("POST /devices/end-others", StatusCode::OK),
    ] {
        let sent = visit(&world.layer, &away, &guest, line, &[], "id=x").await;
        let to = (sent.status, sent.location());
        assert_eq!(to, (status, Some("/sign%20in")), "{line}");
        let has_link = sent.body.contains(r#"href="/sign%20in""#);
        assert_eq!(has_link, status == StatusCode::OK, "{line}");
        // Its path begins as that of the list does.
        let sent = visit(&world.layer, &beside, &guest, line, &[], "id=x").await;
        let to = (sent.status, sent.location());
        assert_eq!(to, (status, Some("/devices-sign-in")), "{line}");
    }
}

#[tokio::test]
async fn other_methods_are_405_with_allow_and_other_paths_404() {
    let world = World::new();
    let (client, _) = world.device(IPHONE, None).await;
    world.device(IPHONE, None).await;

    for (line, status, allow) in [
        ("POST /devices", 405, Some("GET, HEAD")),
        ("DELETE /devices/", 405, Some("GET, HEAD")),
        ("GET /devices/end", 405, Some("POST")),
        ("PUT /devices/end-others", 405, Some("GET, HEAD, POST")),
        ("POST /devices/page.css", 405, Some("GET, HEAD")),
        ("GET /devicesx", 404, None),
        ("GET /devices/end/x", 404, None),
        ("GET /devices/../etc/passwd", 404, None),
    ] {
        let view = world.send(&client, line, "").await;

        let found = (view.status.as_u16(), view.header("allow"));
        assert_eq!(found, (status, allow), "{line}");
        assert!(view.body.starts_with("<!DOCTYPE html>"), "{line}");
    }
    assert_eq!(ids(&world.store, "alice").await.len(), 2);
}

#[tokio::test]
async fn the_page_can_be_mounted_anywhere_with_or_without_its_prefix() {
    let world = World::new();
    let (client, _) = world.device(IPHONE, None).await;

    for (prefix, path, action) in [
        ("/devices", "/devices/", "/devices/end"),
        ("/devices", "/", "/devices/end"),
        (
            "account/devices/",
            "/account/devices",
            "/account/devices/end",
        ),
        ("/", "/", "/end"),
    ] {
        let page = DevicePage::at(prefix);
        let line = format!("GET {path}");

        let view = visit(&world.layer, &page, &client, &line, &[], "").await;

        assert_eq!(view.forms()[0].line, format!("POST {action}"), "{prefix}");
    }
}

#[tokio::test]
async fn words_and_style_can_be_replaced() {
    let mut world = World::new();
    let mut words = Words::default();
    words.language = "de_AT.UTF-8".into();
    words.title = "Angemeldet & sicher".into();
    words.sign_out_device = "{device} abmelden".into();
    words.ago = |age| format!("vor {} s", age.as_secs());
    world.page = world.page.words(words).style("h1 { color: red }");
    let (client, _) = world.device(IPHONE, None).await;

    let view = world.get(&client, "/devices").await;
    let style = world.get(&client, "/devices/page.css").await;

    assert!(
        view.body
            .starts_with(r#"<!DOCTYPE html><html lang="de-AT"><head>"#)
    );
    assert!(view.body.contains("<h1>Angemeldet &amp; sicher</h1>"));
    assert_eq!(view.forms()[0].name, "Safari on iPhone abmelden");
    assert!(view.rows()[0].contains("vor 0 s"));
    assert_eq!(style.body, "h1 { color: red }");
}
