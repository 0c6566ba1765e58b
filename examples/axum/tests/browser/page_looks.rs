//! The device page in Chromium: legible in light and dark, on a desk and on a phone, and without
//! foreign requests.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{fs, net::IpAddr, path::Path, time::Duration};

use axum::{
    Router,
    extract::Request,
    middleware::{self, Next},
    response::{Redirect, Response},
    routing::get,
};
use serde_json::json;
use thirtyfour::{By, WebDriver};
use tokio::{net::TcpListener, task::JoinHandle};
use tower_user_sessions::{
    DevicePage, Geo, Lifetime, PeerAddr, Place, Session, SessionLayer, UserId, Words,
    store::ManualClock,
};

use crate::common::{
    hostile::STRINGS,
    http::{Client, store},
    webdriver::{browse, pose_as_chrome_on_windows, prefer, resize},
};

const HOME: &str = "203.0.113.7";

/// A server with the page, on a free port. A request for `/in` signs in.
struct Site {
    layer: SessionLayer,
    clock: ManualClock,
    url: String,
    server: JoinHandle<()>,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Site {
    async fn start(user: &'static str, language: &'static str, geo: impl Geo) -> Self {
        let (store, clock) = store();
        let layer = SessionLayer::new(store).lifetime(Lifetime::AAL1);
        let mut words = Words::default();
        words.language = language.into();
        let enter = move |session: Session| async move {
            session.log_in(UserId::new(user).unwrap()).unwrap();
            Redirect::to("/devices")
        };
        let app = Router::new()
            .route("/in", get(enter))
            .nest_service("/devices", DevicePage::at("/devices").geo(geo).words(words))
            .layer(layer.clone())
            .layer(middleware::from_fn(at_home));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self {
            layer,
            clock,
            url,
            server,
        }
    }

    async fn device(&self, user: &str, agent: &'static str, peer: IpAddr) {
        let mut client = Client::new(&self.layer);
        client.user_agent = agent;
        client.peer = Some(peer);
        client.log_in(user).await;
    }
}

/// Every client has a local address, wherever the test runs.
async fn at_home(mut request: Request, next: Next) -> Response {
    let home: IpAddr = HOME.parse().unwrap();
    request.extensions_mut().insert(PeerAddr::from(home));
    next.run(request).await
}

/// Places for documentation addresses, as a database has them for real ones.
struct Atlas;

impl Geo for Atlas {
    fn place(&self, address: IpAddr) -> Option<Place> {
        let (city, country) = match address.to_string().as_str() {
            HOME | "2001:db8:5::17" => ("Berlin", "Germany"),
            "198.51.100.23" => ("Hamburg", "Germany"),
            "192.0.2.80" => ("Dublin", "Ireland"),
            _ => return None,
        };
        Some(Place::new().with_city(city).with_country(country))
    }
}

/// The devices of a user who has several, the newest last, and the time between them.
const DEVICES: [(&str, &str, u64); 4] = [
    ("restic/0.17.3", "192.0.2.80", 5 * 86_400),
    (
        "Mozilla/5.0 (iPad; CPU OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
         Version/26.0 Mobile/15E148 Safari/604.1",
        "2001:db8:5::17",
        22 * 3_600,
    ),
    (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:144.0) Gecko/20100101 Firefox/144.0",
        "198.51.100.23",
        3 * 3_600,
    ),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like \
         Gecko) Version/26.0 Mobile/15E148 Safari/604.1",
        HOME,
        120,
    ),
];

/// Signed in on a desktop, with four other devices.
async fn at_a_desk(browser: &WebDriver) -> Site {
    let site = Site::start("alice@example.com", "en", Atlas).await;
    for (agent, peer, seconds) in DEVICES {
        site.device("alice@example.com", agent, peer.parse().unwrap())
            .await;
        site.clock.advance(Duration::from_secs(seconds));
    }
    pose_as_chrome_on_windows(browser).await;
    browser.goto(format!("{}/in", site.url)).await.unwrap();
    site
}

/// Each text with a contrast of less than 4.5 to its background.
const PALE: &str = r"
    const light = (channel) => channel <= 0.04045 ? channel / 12.92 : ((channel + 0.055) / 1.055) ** 2.4;
    const parts = (colour) => colour.match(/[\d.]+/g).map(Number);
    const luminance = ([r, g, b]) => 0.2126 * light(r / 255) + 0.7152 * light(g / 255) + 0.0722 * light(b / 255);
    const behind = (element) => {
        for (let at = element; at; at = at.parentElement) {
            const colour = parts(getComputedStyle(at).backgroundColor);
            if (colour.length < 4 || colour[3] > 0) return colour;
        }
    };
    const texts = [...document.querySelectorAll('main *')].filter((element) =>
        [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()) && element.checkVisibility());
    const pale = texts.map((element) => {
        const [a, b] = [luminance(parts(getComputedStyle(element).color)), luminance(behind(element))];
        return [element.textContent, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)];
    }).filter(([, contrast]) => contrast < 4.5).map(([text, contrast]) => `${text}: ${contrast}`);
    return { texts: texts.length, pale, wide: document.documentElement.scrollWidth };
";

/// Looks at the page, saves a picture of it and returns what is wrong with it.
/// `scripts/screenshots` takes the pictures for the README from here.
async fn look(browser: &WebDriver, name: &str, [width, height]: [u32; 2]) {
    let found = browser.execute(PALE, vec![]).await.unwrap();
    let found = found.json().clone();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join(format!("{name}.png"));
    browser.screenshot(&file).await.unwrap();

    assert_eq!(found["pale"], json!([]), "{name}");
    assert!(found["texts"].as_u64().unwrap() > 3, "{found}");
    assert_eq!(found["wide"].as_u64().unwrap(), u64::from(width), "{name}");
    let png = fs::read(file).unwrap();
    let size = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    assert_eq!([size(16), size(20)], [2 * width, 2 * height], "{name}");
}

/// The list, the dialog before one is signed out, and the page before all others are.
async fn picture(name: &'static str, scheme: &'static str, size: [u32; 2]) {
    browse(move |browser| async move {
        resize(&browser, size[0], size[1], 2.0).await;
        prefer(&browser, scheme).await;
        let site = at_a_desk(&browser).await;
        look(&browser, name, size).await;

        let button = browser.find(By::Css(".device:nth-child(2) button")).await;
        button.unwrap().click().await.unwrap();
        look(&browser, &format!("{name}-dialog"), size).await;

        let ask = format!("{}/devices/end-others", site.url);
        browser.goto(ask).await.unwrap();
        look(&browser, &format!("{name}-ask"), size).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_text_is_legible_in_the_light_theme() {
    picture("light", "light", [860, 830]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_text_is_legible_in_the_dark_theme() {
    picture("dark", "dark", [860, 830]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_phone_the_page_fits_the_width() {
    picture("phone", "light", [390, 844]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn times_update_by_themselves_and_are_exact_on_hover() {
    browse(|browser| async move {
        let _site = at_a_desk(&browser).await;
        let later = r"
            performance.now = () => 61 * 60 * 1000;
            refresh();
            const times = [...document.querySelectorAll('time')];
            return [times.map((time) => time.textContent), times[0].title];
        ";

        let found = browser.execute(later, vec![]).await.unwrap();

        let found = found.json().clone();
        assert_eq!(
            found[0],
            json!([
                "1 hour ago",
                "1 hour ago",
                "4 hours ago",
                "1 day ago",
                "6 days ago"
            ])
        );
        // In the language and the time zone of the browser.
        assert!(found[1].as_str().unwrap().contains("November"), "{found}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn times_count_while_the_computer_sleeps() {
    browse(|browser| async move {
        let _site = at_a_desk(&browser).await;
        // This clock stands still then, and the other one does not.
        let after_an_hour = r"
            performance.now = () => 1000;
            Date.now = () => performance.timeOrigin + 61 * 60 * 1000;
            refresh();
            return document.querySelector('time').textContent;
        ";

        let found = browser.execute(after_an_hour, vec![]).await.unwrap();

        assert_eq!(found.json(), &json!("1 hour ago"));
    })
    .await;
}

/// Each address `192.0.2.n` is in the n-th hostile place.
struct Hostile;

impl Geo for Hostile {
    fn place(&self, address: IpAddr) -> Option<Place> {
        let at: usize = address.to_string().strip_prefix("192.0.2.")?.parse().ok()?;
        let city = STRINGS.get(at)?;
        Some(Place::new().with_city(*city))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_text_runs_no_script_in_a_browser() {
    browse(|browser| async move {
        for (at, hostile) in STRINGS.iter().enumerate() {
            let site = Site::start(hostile, hostile, Hostile).await;
            let peer = format!("192.0.2.{at}").parse().unwrap();
            site.device(hostile, hostile, peer).await;

            // An alert that opens makes all later commands fail.
            browser.goto(format!("{}/in", site.url)).await.unwrap();

            let text = async |css: &str| {
                let found = browser.find(By::Css(css.to_owned())).await.unwrap();
                found.prop("textContent").await.unwrap().unwrap()
            };
            assert_eq!(text("header strong").await, *hostile);
            assert_eq!(text(".place").await, *hostile);
            // "2025-11-24 16:00:00 UTC" until the script runs. The language, which is none, does not stop it.
            let time = browser.find(By::Css("time")).await.unwrap();
            let title = time.attr("title").await.unwrap().unwrap();
            assert!(!title.starts_with("20"), "{title}");
            let strangers = "script:not([src$='.js']):not([src*='/devices/page.js?']), img, iframe, \
                             base, style, a, meta[http-equiv], form:not([action^='/devices/']):\
                             not([method=dialog]), svg:not(.icon), svg script, x, b, i, [onclick]";
            let strangers = browser.find_all(By::Css(strangers)).await.unwrap();
            assert_eq!(strangers.len(), 0, "{hostile}");
            let rows = browser.find_all(By::Css("body > main > .devices > li"));
            assert_eq!(rows.await.unwrap().len(), 2, "{hostile}");
        }
    })
    .await;
}
