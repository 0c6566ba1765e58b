//! The example in headless Chromium: users who were signed out learn why, and a double click is one
//! sign-in.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::sync::Arc;

use thirtyfour::{By, Cookie};

use crate::common::{
    app::App,
    curl::Curl,
    visit::{at, click, find, sign_in},
    webdriver::{browse, pose_as_chrome_on_windows},
};

const FIREFOX: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0";

const ALERT: &str = r#"[role="alert"]"#;

// T42 T64
#[tokio::test(flavor = "multi_thread")]
async fn the_evicted_browser_learns_why_when_and_by_which_device_until_its_user_closes_the_message()
{
    let app = Arc::new(App::start(&[("MAX_SESSIONS", "3")]));
    browse(move |browser| async move {
        sign_in(&browser, &app).await;
        for agent in ["curl/8.5.0", "okhttp/4.12", FIREFOX] {
            Curl::signed_in(&app, "alice", agent);
        }

        browser.goto(at(&app, "/devices")).await.unwrap();

        let alert = find(&browser, ALERT).await;
        let said = alert.text().await.unwrap();
        let why = "You were signed out because you signed in on Firefox 145 on Windows \
                   (3 devices at most).";
        assert!(said.starts_with(why), "{said}");
        let time = browser.find(By::Css("[role=alert] time")).await.unwrap();
        let when = time.attr("datetime").await.unwrap().unwrap();
        assert!(when.ends_with('Z') && said.ends_with(&when), "{said}");

        browser.goto(at(&app, "/")).await.unwrap();
        let again = find(&browser, ALERT).await.text().await.unwrap();
        assert_eq!(again, said);
        click(&browser, r#"form[action="/message/close"] button"#).await;
        find(&browser, r#"form[action="/login"]"#).await;
        for _ in 0..2 {
            browser.goto(at(&app, "/")).await.unwrap();
            assert!(browser.find_all(By::Css(ALERT)).await.unwrap().is_empty());
        }
    })
    .await;
}

// T42
#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_with_a_made_up_token_of_the_same_shape_learns_nothing() {
    let app = Arc::new(App::start(&[("MAX_SESSIONS", "1")]));
    browse(move |browser| async move {
        sign_in(&browser, &app).await;
        let cookie = browser.get_named_cookie("__Host-session").await.unwrap();
        Curl::signed_in(&app, "alice", FIREFOX);
        browser.delete_cookie("__Host-session").await.unwrap();
        let made_up = format!("{}{:A<32}", &cookie.value[..32], "");
        let mut made_up = Cookie::new("__Host-session", made_up);
        made_up.set_path("/");
        made_up.set_secure(true);
        browser.add_cookie(made_up).await.unwrap();

        browser.goto(at(&app, "/")).await.unwrap();

        find(&browser, r#"form[action="/login"]"#).await;
        assert!(browser.find_all(By::Css(ALERT)).await.unwrap().is_empty());
    })
    .await;
}

// T54
#[tokio::test(flavor = "multi_thread")]
async fn a_double_click_on_the_slow_sign_in_makes_one_session() {
    let app = Arc::new(App::start(&[("MAX_SESSIONS", "2")]));
    let phone = Curl::signed_in(&app, "alice", FIREFOX);
    browse(move |browser| async move {
        // A headless browser counts as a bot, which gets no guest session.
        pose_as_chrome_on_windows(&browser).await;
        browser.goto(at(&app, "/")).await.unwrap();
        for (name, value) in [("username", "alice"), ("password", "demo")] {
            let field = browser.find(By::Name(name)).await.unwrap();
            field.send_keys(value).await.unwrap();
        }
        let button = browser
            .find(By::Css("form[action='/login'] button"))
            .await
            .unwrap();

        let actions = browser.action_chain().double_click_element(&button);
        actions.perform().await.unwrap();

        find(&browser, r#"a[href="/devices"]"#).await;
        assert!(phone.is_in(&app));
        browser.goto(at(&app, "/devices")).await.unwrap();
        find(&browser, ".device").await;
        let devices = browser.find_all(By::Css(".device")).await.unwrap();
        assert_eq!(devices.len(), 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_refused_at_the_limit_chooses_a_device_to_sign_out() {
    let app = Arc::new(App::start(&[("MAX_SESSIONS", "2"), ("EXCESS", "refuse")]));
    let [firefox, other] = [FIREFOX, "okhttp/4.12"].map(|it| Curl::signed_in(&app, "alice", it));
    browse(move |browser| async move {
        browser.goto(at(&app, "/")).await.unwrap();
        for (name, value) in [("username", "alice"), ("password", "demo")] {
            let field = browser.find(By::Name(name)).await.unwrap();
            field.send_keys(value).await.unwrap();
        }
        click(&browser, r#"form[action="/login"] button"#).await;
        find(&browser, r#"form[action="/login/pick"]"#).await;
        let pick = browser
            .find(By::XPath(
                "//button[text()='Sign out Firefox 145 on Windows']",
            ))
            .await
            .unwrap();

        pick.click().await.unwrap();

        find(&browser, r#"a[href="/devices"]"#).await;
        assert_eq!([firefox.is_in(&app), other.is_in(&app)], [false, true]);
    })
    .await;
}
