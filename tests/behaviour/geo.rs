//! The place of an address, from databases that these tests write.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{error::Error, fs, path::PathBuf, sync::Arc, thread};

use http_body_util::BodyExt;
use tempfile::TempDir;
use tower::{Layer, ServiceExt};
use tower_user_sessions::{DeviceApi, Geo, GeoIp, GeoIpErrorKind, Place, SessionLayer};

use crate::common::{
    self,
    mmdb::{self, Mmdb},
};

/// A file in a directory that is removed with it.
struct File {
    _dir: TempDir,
    path: PathBuf,
}

impl File {
    fn new(database: &Mmdb) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("city.mmdb");
        database.write(&path);
        Self { _dir: dir, path }
    }

    fn open(&self) -> GeoIp {
        GeoIp::open(&self.path).unwrap()
    }
}

fn world() -> Mmdb {
    Mmdb::new()
        .add(
            "81.2.69.0/24",
            &[("en", "Munich"), ("de", "München")],
            &[("de", "Deutschland"), ("en", "Germany")],
        )
        .add("2a02:8109::/32", &[("en", "Vienna")], &[("en", "Austria")])
        .add(
            "175.16.199.0/25",
            &[],
            &[("en", "China"), ("zh-CN", "中国")],
        )
        .add("89.160.20.112/28", &[], &[])
}

fn place(city: Option<&str>, country: Option<&str>) -> Option<Place> {
    let mut place = Place::new();
    place.city = city.map(str::to_owned);
    place.country = country.map(str::to_owned);
    Some(place)
}

fn at(geo: &impl Geo, address: &str) -> Option<Place> {
    geo.place(address.parse().unwrap())
}

#[test]
fn an_address_has_a_city_and_a_country() {
    let file = File::new(&world());
    let geo = file.open();

    assert_eq!(
        at(&geo, "81.2.69.1"),
        place(Some("Munich"), Some("Germany"))
    );
    assert_eq!(
        at(&geo, "81.2.69.255"),
        place(Some("Munich"), Some("Germany"))
    );
    assert_eq!(
        at(&geo, "2a02:8109::7"),
        place(Some("Vienna"), Some("Austria"))
    );
}

#[test]
fn an_ipv4_address_mapped_into_ipv6_has_the_place_of_the_ipv4_address() {
    let file = File::new(&world());

    let found = at(&file.open(), "::ffff:81.2.69.1");

    assert_eq!(found, place(Some("Munich"), Some("Germany")));
}

#[test]
fn fields_that_the_database_lacks_are_left_out() {
    let file = File::new(&world());
    let geo = file.open();

    assert_eq!(at(&geo, "175.16.199.1"), place(None, Some("China")));
    assert_eq!(at(&geo, "175.16.199.128"), None);
    assert_eq!(at(&geo, "89.160.20.112"), None);
    assert_eq!(at(&geo, "9.9.9.9"), None);
}

#[test]
fn names_are_in_the_chosen_language_or_else_in_english() {
    let file = File::new(&world());
    let geo = file.open().language("de");

    assert_eq!(
        at(&geo, "81.2.69.1"),
        place(Some("München"), Some("Deutschland"))
    );
    assert_eq!(
        at(&geo, "2a02:8109::7"),
        place(Some("Vienna"), Some("Austria"))
    );
    assert_eq!(
        at(&file.open().language("zh-CN"), "175.16.199.1"),
        place(None, Some("中国"))
    );
}

// T38
#[test]
fn an_address_that_is_not_public_has_no_place_whatever_the_database_says() {
    let here: mmdb::Names<'_> = &[("en", "Here")];
    let all = Mmdb::new()
        .add("10.0.0.0/8", here, here)
        .add("100.64.0.0/10", here, here)
        .add("127.0.0.0/8", here, here)
        .add("169.254.0.0/16", here, here)
        .add("172.16.0.0/12", here, here)
        .add("192.0.2.0/24", here, here)
        .add("192.168.0.0/16", here, here)
        .add("2001:db8::/32", here, here)
        .add("2001::/32", here, here)
        .add("2002::/16", here, here)
        .add("fc00::/7", here, here)
        .add("fe80::/10", here, here);
    let file = File::new(&all);
    let geo = file.open();

    for address in [
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.7.7",
        "172.31.0.1",
        "192.0.2.1",
        "192.168.178.20",
        "2001:0:5102:4501::f5fe:fdfc",
        "2002:a01:203::1",
        "::1",
        "::ffff:10.1.2.3",
        "2001:db8::1",
        "fd00::1",
        "fe80::1",
    ] {
        assert_eq!(at(&geo, address), None, "{address}");
    }
}

#[test]
fn a_reload_reaches_all_clones() {
    let file = File::new(&world());
    let (geo, german) = (file.open(), file.open().language("de"));
    let handed_out = geo.clone();
    let moved: mmdb::Names<'_> = &[("en", "Passau")];
    Mmdb::new()
        .add("81.2.69.0/24", moved, &[("en", "Germany")])
        .write(&file.path);

    geo.reload().unwrap();

    assert_eq!(
        at(&handed_out, "81.2.69.1"),
        place(Some("Passau"), Some("Germany"))
    );
    assert_eq!(at(&handed_out, "2a02:8109::7"), None);
    assert_eq!(
        at(&german, "81.2.69.1"),
        place(Some("München"), Some("Deutschland"))
    );
}

#[test]
fn a_failed_reload_reports_why_and_keeps_the_old_database() {
    let file = File::new(&world());
    let geo = file.open();

    fs::write(&file.path, b"<html>quota exceeded</html>").unwrap();
    let corrupt = geo.reload().unwrap_err();
    fs::write(&file.path, &world().bytes()[..200]).unwrap();
    let truncated = geo.reload().unwrap_err();
    fs::remove_file(&file.path).unwrap();
    let gone = geo.reload().unwrap_err();

    assert_eq!(corrupt.kind(), GeoIpErrorKind::Corrupt);
    assert_eq!(truncated.kind(), GeoIpErrorKind::Corrupt);
    assert_eq!(gone.kind(), GeoIpErrorKind::Unreadable);
    assert_eq!(
        gone.to_string(),
        "the file cannot be read: check its path and permissions"
    );
    assert!(gone.source().is_some());
    assert_eq!(
        at(&geo, "81.2.69.1"),
        place(Some("Munich"), Some("Germany"))
    );
}

#[test]
fn lookups_work_while_the_database_is_reloaded() {
    let file = File::new(&world());
    let geo = Arc::new(file.open());

    thread::scope(|scope| {
        let lookups = scope.spawn(|| {
            for _ in 0..1_000 {
                assert_eq!(
                    at(&geo, "81.2.69.1"),
                    place(Some("Munich"), Some("Germany"))
                );
            }
        });
        for _ in 0..100 {
            geo.reload().unwrap();
        }
        lookups.join().unwrap();
    });
}

#[test]
fn a_damaged_database_gives_an_error_or_no_place() {
    let one: mmdb::Names<'_> = &[("en", "Munich")];
    let small = Mmdb::new().add("81.2.69.0/24", one, one);
    let (intact, file) = (small.bytes(), File::new(&small));
    for at_byte in 0..intact.len() {
        let mut damaged = intact.clone();
        damaged[at_byte] ^= 0xff;
        fs::write(&file.path, damaged).unwrap();

        match GeoIp::open(&file.path) {
            Err(error) => assert_eq!(error.kind(), GeoIpErrorKind::Corrupt),
            Ok(geo) => {
                // With another name or none: the lookup must return.
                let _ = at(&geo, "81.2.69.1");
            }
        }
    }
}

#[test]
fn debug_prints_the_settings_and_not_the_database() {
    let file = File::new(&world());

    let text = format!("{:?}", file.open());

    assert_eq!(
        text,
        format!("GeoIp {{ path: {:?}, language: \"en\", .. }}", file.path)
    );
}

// T38
#[tokio::test]
async fn the_device_api_lists_the_place_of_each_address_or_null() {
    let file = File::new(&world());
    let (store, _clock) = common::http::store();
    let layer = SessionLayer::new(store);
    let api = DeviceApi::new().geo(file.open());
    for (peer, location) in [
        (
            Some("81.2.69.1"),
            r#""location":{"city":"Munich","country":"Germany"},"ipAddress":"81.2.69.1""#,
        ),
        (
            Some("127.0.0.1"),
            r#""location":null,"ipAddress":"127.0.0.1""#,
        ),
        (None, r#""location":null,"ipAddress":null"#),
    ] {
        let mut client = common::http::Client::new(&layer);
        client.peer = peer.map(|peer| peer.parse().unwrap());
        client.log_in("alice").await;

        let answer = layer.layer(api.clone()).oneshot(client.head("/")).await;

        let body = answer.unwrap().into_body().collect().await.unwrap();
        let body = String::from_utf8(body.to_bytes().into()).unwrap();
        assert!(body.contains(location), "{body}");
    }
}
