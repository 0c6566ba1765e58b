//! The device page in an app: its name, a link back, its own header.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use tower_user_sessions::{DevicePage, Login, SessionLayer, UserSessions, Words};

use crate::common::{
    hostile::STRINGS,
    http::{Client, ids, store, user},
    page::{View, text, unescape, visit},
};

async fn shown(page: &DevicePage, line: &str) -> View {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store);
    let client = Client::signed_in(&layer, "alice").await;
    visit(&layer, page, &client, line, &[], "").await
}

fn between<'a>(html: &'a str, start: &str, end: &str) -> &'a str {
    let (_, rest) = html.split_once(start).unwrap();
    rest.split_once(end).unwrap().0
}

const EVERY_PAGE: [&str; 4] = [
    "GET /devices",
    "GET /devices/end-others",
    "POST /devices/end",
    "GET /elsewhere",
];

#[tokio::test]
async fn its_name_is_in_the_title_and_above_the_heading_of_every_page() {
    let page = DevicePage::at("/devices").app_name("Acme & Sons");

    for line in EVERY_PAGE {
        let shown = shown(&page, line).await;

        let title = unescape(between(&shown.body, "<title>", "</title>"));
        assert_eq!(title, "Where you’re signed in – Acme & Sons", "{line}");
        let above = between(&shown.body, "<main>", "<h1>");
        assert_eq!(text(above), "Acme & Sons", "{line}");
    }
}

#[tokio::test]
async fn the_link_leads_back_into_the_app() {
    let page = DevicePage::at("/devices").back_link("/account?tab=1&x=2", "Back to “you”");

    for line in EVERY_PAGE {
        let shown = shown(&page, line).await;

        let above = between(&shown.body, "<main>", "<h1>");
        assert!(
            above.contains(r#"<a href="/account?tab=1&amp;x=2">"#),
            "{above}"
        );
        assert_eq!(text(above), "Back to “you”", "{line}");
    }
}

#[tokio::test]
async fn without_them_the_page_has_no_place_for_them() {
    let shown = shown(&DevicePage::at("/devices"), "GET /devices").await;

    assert_eq!(between(&shown.body, "<body>", "<h1>"), "<main><header>");
    let title = between(&shown.body, "<title>", "</title>");
    assert_eq!(title, "Where you’re signed in");
}

#[tokio::test]
async fn hostile_text_in_the_name_and_the_link_is_shown_as_text() {
    let page = |name: &str, link: &str| {
        DevicePage::at("/devices")
            .app_name(name)
            .back_link("/account", link)
    };
    let harmless = shown(&page("Acme", "Back"), "GET /devices")
        .await
        .skeleton();

    for hostile in STRINGS {
        let as_name = shown(&page(hostile, "Back"), "GET /devices").await;
        let as_link = shown(&page("Acme", hostile), "GET /devices").await;

        for shown in [as_name, as_link] {
            assert_eq!(shown.skeleton(), harmless, "{hostile:?}");
            assert!(unescape(&shown.body).contains(hostile), "{hostile:?}");
        }
    }
}

#[tokio::test]
async fn the_apps_header_is_on_every_page_as_the_app_wrote_it() {
    const HEADER: &str = r#"<header class="bar"><img src="/logo.svg" alt="Acme"></header>"#;
    let page = DevicePage::at("/devices").header_html(HEADER);

    for line in EVERY_PAGE {
        let shown = shown(&page, line).await;

        assert!(
            shown.body.contains(&format!("<body>{HEADER}<main>")),
            "{line}"
        );
        let policy = shown.header("content-security-policy").unwrap();
        assert!(policy.contains("img-src 'self' data:; script-src 'self'; style-src 'self'"));
        assert!(!policy.contains("unsafe"));
    }
}

#[tokio::test]
async fn other_pages_load_no_images_of_the_site() {
    let page = DevicePage::at("/devices").app_name("Acme");

    let shown = shown(&page, "GET /devices").await;

    let policy = shown.header("content-security-policy").unwrap();
    assert!(policy.contains("img-src data:;"));
}

#[tokio::test]
async fn the_page_calls_the_user_by_a_name_of_the_session_or_by_the_id() {
    let named = |name: Option<&'static str>| {
        DevicePage::at("/devices").user_name(move |session| {
            assert!(session.user_id().is_some());
            name.map(str::to_owned)
        })
    };

    for (page, expected) in [
        (DevicePage::at("/devices"), "alice"),
        (named(None), "alice"),
        (named(Some("Alice <& Sons>")), "Alice <& Sons>"),
    ] {
        let view = shown(&page, "GET /devices").await;

        let name = between(&view.body, "<bdi>", "</bdi>");
        assert_eq!(unescape(name), expected);
    }
}

// T3
#[tokio::test]
async fn no_page_has_a_token_or_a_tag() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store);
    let client = Client::signed_in(&layer, "alice").await;
    let other = Client::signed_in(&layer, "alice").await;
    let page = DevicePage::at("/devices");

    for line in EVERY_PAGE {
        let shown = visit(&layer, &page, &client, line, &[], "").await;

        for token in [client.token(), other.token()] {
            let (tag, id, secret) = (&token[..16], &token[16..32], &token[32..]);
            assert_eq!(shown.body.contains(id), line == EVERY_PAGE[0], "{line}");
            assert!(!shown.body.contains(tag), "{line}");
            assert!(!shown.body.contains(secret), "{line}");
        }
    }
}

// T53
#[tokio::test]
async fn the_page_spares_sessions_that_do_not_count_if_the_app_says_so() {
    for (spares, left) in [(true, 2), (false, 1)] {
        let (store, _clock) = store();
        let layer = SessionLayer::new(store.clone());
        Client::new(&layer)
            .request(|session| async move {
                let support = Login::new(user("alice")).counts(false);
                session.log_in_with(support).unwrap();
            })
            .await;
        let client = Client::signed_in(&layer, "alice").await;
        let page = DevicePage::at("/devices").spare_uncounted(spares);

        visit(&layer, &page, &client, "POST /devices/end-others", &[], "").await;

        assert_eq!(ids(&store, "alice").await.len(), left);
    }
}

// T42
#[tokio::test]
async fn users_who_signed_out_themselves_do_not_read_that_they_were() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store.clone());
    let client = Client::signed_in(&layer, "alice").await;
    let other = Client::signed_in(&layer, "alice").await;
    let signs_out = client.request(|session| async move { session.log_out().unwrap() });
    signs_out.await;
    UserSessions::new(store, user("alice"))
        .end_all()
        .await
        .unwrap();
    let page = DevicePage::at("/devices");

    let own = visit(&layer, &page, &client, "GET /devices", &[], "").await;
    let others = visit(&layer, &page, &other, "GET /devices", &[], "").await;

    assert!(!own.body.contains("You signed out."), "{}", own.body);
    assert!(
        others.body.contains("by an administrator"),
        "{}",
        others.body
    );
}

#[tokio::test]
async fn a_page_in_a_language_that_is_written_from_the_right_begins_at_the_right() {
    for (language, start) in [
        ("he_IL.UTF-8", r#"<html lang="he-IL" dir="rtl">"#),
        ("az-Arab", r#"<html lang="az-Arab" dir="rtl">"#),
        ("ar-Latn", r#"<html lang="ar-Latn">"#),
    ] {
        let mut words = Words::default();
        words.language = language.into();
        let page = DevicePage::at("/devices").words(words);

        for line in EVERY_PAGE {
            let body = shown(&page, line).await.body;
            assert!(
                body.starts_with(&format!("<!DOCTYPE html>{start}")),
                "{body}"
            );
        }
    }
}

#[tokio::test]
async fn the_parts_of_an_address_keep_their_order_on_a_page_from_the_right() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store);
    let mut client = Client::new(&layer);
    client.peer = Some("2001:db8::1".parse().unwrap());
    client.log_in("alice").await;

    let page = DevicePage::at("/devices");
    let list = visit(&layer, &page, &client, "GET /devices", &[], "").await;

    let address = between(&list.body, r#"class="address">"#, "</p>");
    assert_eq!(address, "2001:db8::1</bdi>");
}

#[tokio::test]
async fn the_page_names_devices_in_the_language_of_the_app() {
    let mut words = Words::default();
    words.device = "{browser} sous {system}".into();
    words.unknown_device = "Appareil inconnu".into();
    let page = DevicePage::at("/devices").words(words);
    let (store, _clock) = store();
    let layer = SessionLayer::new(store);
    let mut client = Client::new(&layer);

    for (agent, name) in [
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0",
            "Firefox 145 sous Windows",
        ),
        ("curl/8.5.0", "curl 8.5"),
        ("", "Appareil inconnu"),
    ] {
        client.user_agent = agent;
        client.log_in("alice").await;

        let list = visit(&layer, &page, &client, "GET /devices", &[], "").await;

        assert_eq!(text(between(&list.body, "<h2>", "</h2>")), name);
        assert_eq!(list.forms()[0].name, format!("Sign out {name}"));
    }
}
