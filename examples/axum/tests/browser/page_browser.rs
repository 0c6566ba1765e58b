//! The example in headless Chromium: users sign in, see their devices and sign them out.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{net::SocketAddr, sync::Arc};

use axum::{Router, response::Html, routing::get};
use thirtyfour::{By, WebDriver};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::common::{
    app::App,
    curl::Curl,
    tee::Tee,
    visit::{at, click, find, sign_in, sign_in_at},
    webdriver::{browse, browse_whole, without_javascript},
};

const FIREFOX: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:144.0) Gecko/20100101 Firefox/144.0";

/// The names of the devices, first to last.
async fn devices(browser: &WebDriver) -> Vec<String> {
    let mut names = Vec::new();
    for name in browser.find_all(By::Css(".device h2")).await.unwrap() {
        names.push(name.text().await.unwrap());
    }
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn the_browser_keeps_the_cookie_and_the_page_names_it() {
    let app = Arc::new(App::start(&[]));
    browse(move |browser| async move {
        sign_in(&browser, &app).await;

        click(&browser, r#"a[href="/devices"]"#).await;

        let here = find(&browser, ".here").await.text().await.unwrap();
        assert!(here.contains("Chrome"), "{here}");
        assert!(
            here.contains("This device") && here.contains("127.0.0.1"),
            "{here}"
        );
        let cookie = browser.get_named_cookie("__Host-session").await.unwrap();
        assert_eq!((cookie.secure, cookie.http_only), (Some(true), Some(true)));
    })
    .await;
}

// T19 T53
#[tokio::test(flavor = "multi_thread")]
async fn a_dialog_asks_before_one_and_before_all_others_are_signed_out() {
    let app = Arc::new(App::start(&[("MAX_SESSIONS", "5")]));
    let [firefox, curl, other] =
        [FIREFOX, "curl/8.5.0", "okhttp/4.12"].map(|agent| Curl::signed_in(&app, "alice", agent));
    browse(move |browser| async move {
        sign_in(&browser, &app).await;
        browser.goto(at(&app, "/devices")).await.unwrap();
        assert_eq!(devices(&browser).await.len(), 4);
        let button = r#"button[aria-label="Sign out Firefox 144 on Windows"]"#;

        click(&browser, button).await;
        let asked = find(&browser, "dialog h2").await.text().await.unwrap();
        click(&browser, r#"dialog button[value=""]"#).await;
        let after_cancel = firefox.is_in(&app);
        click(&browser, button).await;
        click(&browser, r#"dialog button[value="yes"]"#).await;
        let said = find(&browser, ".said").await.text().await.unwrap();

        assert_eq!(asked, "Sign out Firefox 144 on Windows?");
        assert_eq!(said, "The device is signed out.");
        assert!(after_cancel && !firefox.is_in(&app));
        assert_eq!(devices(&browser).await.len(), 3);

        browser.refresh().await.unwrap();
        find(&browser, ".here").await;
        let again = browser.find_all(By::Css(".said")).await.unwrap();
        assert!(again.is_empty());

        click(&browser, ".others button").await;
        click(&browser, r#"dialog button[value="yes"]"#).await;
        find(&browser, "p.others").await;

        assert_eq!(devices(&browser).await.len(), 1);
        assert_eq!([curl.is_in(&app), other.is_in(&app)], [false; 2]);
    })
    .await;
}

// T19
#[tokio::test(flavor = "multi_thread")]
async fn the_way_back_to_the_list_does_not_show_it_after_the_session_ended() {
    let app = Arc::new(App::start(&[("MAX_SESSIONS", "1")]));
    browse_whole(move |browser| async move {
        sign_in(&browser, &app).await;
        browser.goto(at(&app, "/devices")).await.unwrap();
        find(&browser, ".here").await;
        // Such a page is kept as it is while another one is open.
        browser.goto(at(&app, "/app.css")).await.unwrap();
        let _other = Curl::signed_in(&app, "alice", FIREFOX);

        browser.back().await.unwrap();

        find(&browser, r#"form[action="/login"]"#).await;
        assert!(devices(&browser).await.is_empty());
    })
    .await;
}

// T19 T53
#[tokio::test(flavor = "multi_thread")]
async fn without_javascript_a_page_asks_before_all_others_are_signed_out() {
    let app = Arc::new(App::start(&[]));
    let [firefox, curl] =
        [FIREFOX, "curl/8.5.0"].map(|agent| Curl::signed_in(&app, "alice", agent));
    browse(move |browser| async move {
        without_javascript(&browser).await;
        sign_in(&browser, &app).await;
        browser.goto(at(&app, "/devices")).await.unwrap();

        click(
            &browser,
            r#"button[aria-label="Sign out Firefox 144 on Windows"]"#,
        )
        .await;
        find(&browser, ".said").await;

        assert!(!firefox.is_in(&app) && curl.is_in(&app));

        click(&browser, ".others button").await;
        find(&browser, "form.choice").await;
        let asked = curl.is_in(&app);
        click(&browser, "form.choice button").await;
        find(&browser, "p.others").await;

        assert!(asked && !curl.is_in(&app));
        assert_eq!(devices(&browser).await.len(), 1);

        click(&browser, ".here button").await;
        find(&browser, r#"form[action="/login"]"#).await;
    })
    .await;
}

/// Another app on this machine, with forms that sign out Alice's devices.
async fn foreign_app(target: String) -> (SocketAddr, JoinHandle<()>) {
    let page = format!(
        r#"<form method="post" action="{target}/devices/end-others"><button>Win a prize</button></form>"#
    );
    let app = Router::new().route("/", get(move || async move { Html(page) }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (address, server)
}

// T40
#[tokio::test(flavor = "multi_thread")]
async fn a_form_from_another_port_or_another_site_is_refused() {
    let app = Arc::new(App::start(&[]));
    let curl = Curl::signed_in(&app, "alice", "curl/8.5.0");
    let tee = Tee::before(app.port()).await;
    let home = format!("http://localhost:{}", tee.port);
    let (foreign, server) = foreign_app(home.clone()).await;
    browse(move |browser| async move {
        sign_in_at(&browser, &format!("{home}/")).await;

        // The same site, to which the browser sends the cookie; then another site.
        for host in ["localhost", "127.0.0.1"] {
            let url = format!("http://{host}:{}/", foreign.port());
            browser.goto(url).await.unwrap();
            click(&browser, "button").await;
            let text = find(&browser, "pre").await.text().await.unwrap();

            assert!(text.contains("Request from another origin"), "{text}");
            assert!(curl.is_in(&app), "{host}");
            let sent = tee.sent();
            let origin = format!("Origin: http://{host}:{}\r\n", foreign.port());
            let posts = sent.split("POST /devices/end-others ").skip(1);
            let ours: Vec<&str> = posts.filter(|post| post.contains(&origin)).collect();
            // The form of the other site comes without it: SameSite=Lax.
            let carried = ours.iter().map(|post| {
                let head = post.split("\r\n\r\n").next().unwrap();
                head.contains("Cookie: __Host-session=")
            });
            assert_eq!(carried.collect::<Vec<_>>(), [host == "localhost"]);
        }
        browser.goto(format!("{home}/devices")).await.unwrap();
        assert_eq!(devices(&browser).await.len(), 2);
    })
    .await;
    server.abort();
}
