//! The address of the client: that of the peer, or that in the one header that the app trusts.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue};
use tower_user_sessions::{ClientIp, SessionLayer};

use crate::common::{
    http::{Client, store},
    log::Log,
};

const PROXY: &str = "10.0.0.7";

fn ip(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

fn headers(lines: &[(&'static str, &[u8])]) -> HeaderMap {
    lines
        .iter()
        .map(|(name, value)| {
            let value = HeaderValue::from_bytes(value).unwrap();
            (HeaderName::from_static(name), value)
        })
        .collect()
}

/// The address that `source` reads from these headers, on a connection from the proxy.
fn address_of(source: &ClientIp, lines: &[(&'static str, &[u8])]) -> Option<IpAddr> {
    source.address(&headers(lines), ip(PROXY))
}

/// Each header that can be trusted, with a value for it.
fn sources() -> Vec<(ClientIp, &'static str, &'static [u8])> {
    let own = HeaderName::from_static("x-azure-clientip");
    vec![
        (
            ClientIp::CfConnectingIp,
            "cf-connecting-ip",
            b"198.51.100.4",
        ),
        (
            ClientIp::CloudFrontViewerAddress,
            "cloudfront-viewer-address",
            b"198.51.100.4:46532",
        ),
        (ClientIp::FlyClientIp, "fly-client-ip", b"198.51.100.4"),
        (
            ClientIp::Forwarded { proxies: 1 },
            "forwarded",
            b"for=192.0.2.66, for=198.51.100.4;proto=https",
        ),
        (ClientIp::Header(own), "x-azure-clientip", b"198.51.100.4"),
        (
            ClientIp::RightmostXForwardedFor,
            "x-forwarded-for",
            b"192.0.2.66, 198.51.100.4",
        ),
        (ClientIp::TrueClientIp, "true-client-ip", b"198.51.100.4"),
        (
            ClientIp::XEnvoyExternalAddress,
            "x-envoy-external-address",
            b"198.51.100.4",
        ),
        (ClientIp::XRealIp, "x-real-ip", b"198.51.100.4"),
    ]
}

// T38
#[test]
fn by_default_no_header_is_read() {
    let all: Vec<_> = sources()
        .into_iter()
        .map(|(_, name, value)| (name, value))
        .collect();

    let source = ClientIp::default();

    assert_eq!(address_of(&source, &all), ip(PROXY));
    assert_eq!(source.address(&headers(&all), None), None);
}

// T38
#[test]
fn each_source_reads_its_own_header() {
    for (source, name, value) in sources() {
        assert_eq!(
            address_of(&source, &[(name, value)]),
            ip("198.51.100.4"),
            "{name}"
        );
    }
}

// T38
#[test]
fn each_source_reads_no_other_header() {
    for (source, own, _) in sources() {
        let others: Vec<_> = sources()
            .into_iter()
            .filter(|(_, name, _)| *name != own)
            .map(|(_, name, value)| (name, value))
            .collect();

        assert_eq!(address_of(&source, &others), None, "{own}");
    }
}

// T38
#[test]
fn without_the_header_there_is_no_address_instead_of_the_proxys() {
    for (source, name, _) in sources() {
        assert_eq!(address_of(&source, &[]), None, "{name}");
    }
}

// T38
#[test]
fn a_wrong_header_is_no_address() {
    let wrong: [&[u8]; 22] = [
        b"",
        b" ",
        b",",
        b"unknown",
        b"198.51.100",
        b"198.51.100.4.5",
        b"198.51.100.256",
        b"0198.51.100.4",
        b"198.51.100.4, ",
        b"198.51.100.4;DROP",
        b"[2001:db8::1",
        b"[198.51.100.4]",
        b"2001:db8::1]:443",
        b"[2001:db8::1]443",
        b"198.51.100.4:",
        b"198.51.100.4:70000",
        b"198.51.100.4:+80",
        b"198.51.100.4:_",
        b"198.51.100.4:80:80",
        b"fe80::1%eth0",
        b"localhost",
        b"\xff\xfe198.51.100.4",
    ];
    for (source, name, _) in sources() {
        for value in wrong {
            let printed = String::from_utf8_lossy(value);
            assert_eq!(
                address_of(&source, &[(name, value)]),
                None,
                "{name}: {printed}"
            );
        }
    }
}

// T38
#[test]
fn a_header_sent_twice_is_no_address() {
    for (source, name, value) in sources() {
        // These headers may be lists in several lines.
        if ["forwarded", "x-forwarded-for"].contains(&name) {
            continue;
        }

        assert_eq!(
            address_of(&source, &[(name, value), (name, value)]),
            None,
            "{name}"
        );
    }
}

// T38
#[test]
fn only_the_last_of_the_forwarded_addresses_is_trusted() {
    let source = ClientIp::RightmostXForwardedFor;
    let name = "x-forwarded-for";

    let spoofed = address_of(
        &source,
        &[(name, b"1.1.1.1, 2.2.2.2"), (name, b"3.3.3.3,198.51.100.4")],
    );
    let broken = address_of(
        &source,
        &[(name, b"198.51.100.4"), (name, b"198.51.100.4, unknown")],
    );

    assert_eq!(spoofed, ip("198.51.100.4"));
    assert_eq!(broken, None);
}

// T38
#[test]
fn bytes_of_a_client_that_are_no_text_hide_nothing_of_the_proxy() {
    for (source, name, sent) in [
        (
            ClientIp::RightmostXForwardedFor,
            "x-forwarded-for",
            b"\xff, 198.51.100.4".as_slice(),
        ),
        (
            ClientIp::Forwarded { proxies: 1 },
            "forwarded",
            b"for=\xff\", for=198.51.100.4",
        ),
    ] {
        assert_eq!(address_of(&source, &[(name, sent)]), ip("198.51.100.4"));
        let own = [sent, b"\xff"].concat();
        assert_eq!(address_of(&source, &[(name, &own)]), None);
    }
}

// T38
#[test]
fn a_port_after_the_address_is_removed() {
    for (source, name, _) in sources() {
        let prefix = if name == "forwarded" { "for=" } else { "" };
        // CloudFront writes IPv6 before a port without brackets.
        let ipv6: &[&str] = if source == ClientIp::CloudFrontViewerAddress {
            &["2001:db8::1:443"]
        } else {
            &[
                "[2001:db8::1]:443",
                "\t[2001:db8::1]:443 ",
                "[2001:db8::1]:_p",
            ]
        };
        for (values, address) in [(ipv6, "2001:db8::1"), (&["1.2.3.4:8000"], "1.2.3.4")] {
            for value in values {
                let value = format!("{prefix}{value}");

                assert_eq!(
                    address_of(&source, &[(name, value.as_bytes())]),
                    ip(address),
                    "{name}: {value}"
                );
            }
        }
    }
}

// T38
#[test]
fn behind_several_trusted_proxies_the_outermost_of_them_names_the_client() {
    let (list, forwarded) = ("x-forwarded-for", "forwarded");
    let lines: [(&str, &[u8]); 4] = [
        (list, b"\xff, 1.1.1.1"),
        (list, b"unknown, 198.51.100.4:80,10.0.0.9"),
        (forwarded, b"for=\"1.1.1.1, for=2.2.2.2"),
        (
            forwarded,
            b"for=\"198.51.100.4:80\";by=\"a,b\",for=10.0.0.9",
        ),
    ];
    for (proxies, address) in [
        (0, ip("10.0.0.9")),
        (1, ip("10.0.0.9")),
        (2, ip("198.51.100.4")),
        (3, None),
        (u8::MAX, None),
    ] {
        assert_eq!(
            address_of(&ClientIp::XForwardedFor { proxies }, &lines),
            address,
            "{proxies}"
        );
    }
    for (proxies, address) in [
        (0, ip("10.0.0.9")),
        (1, ip("10.0.0.9")),
        (2, ip("198.51.100.4")),
        (3, ip("2.2.2.2")),
        (5, None),
        (u8::MAX, None),
    ] {
        assert_eq!(
            address_of(&ClientIp::Forwarded { proxies }, &lines),
            address,
            "{proxies}"
        );
    }
}

// T38
#[test]
fn the_first_unreadable_header_is_a_warning_without_its_value() {
    let log = Log::start();
    let source = ClientIp::Header(HeaderName::from_static("x-read-by-one-test"));

    address_of(&source, &[]);
    address_of(&source, &[("x-read-by-one-test", b"unknown")]);
    assert_eq!(log.at("WARN"), Vec::<String>::new());
    for _ in 0..3 {
        address_of(&source, &[("x-read-by-one-test", b"198.51.100.4, 1.1.1.1")]);
    }

    let warnings = log.at("WARN");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("x-read-by-one-test"), "{warnings:?}");
    assert!(!log.text().contains("198.51"), "{}", log.text());
}

#[test]
fn ipv6_is_read_and_ipv4_mapped_into_it_is_ipv4() {
    let source = ClientIp::XRealIp;

    assert_eq!(
        address_of(&source, &[("x-real-ip", b"2001:db8::9")]),
        ip("2001:db8::9")
    );
    assert_eq!(
        address_of(&source, &[("x-real-ip", b"::ffff:198.51.100.4")]),
        ip("198.51.100.4")
    );
    assert_eq!(
        ClientIp::Peer.address(&HeaderMap::new(), ip("::ffff:198.51.100.4")),
        ip("198.51.100.4")
    );
}

// T38
#[test]
fn a_header_of_a_megabyte_is_no_address() {
    let long = "198.51.100.4".repeat(87_382);
    for (source, name, _) in sources() {
        assert_eq!(
            address_of(&source, &[(name, long.as_bytes())]),
            None,
            "{name}"
        );
    }
}

/// The address stored for a sign-in through the proxy with this `X-Real-Ip`.
async fn noted(layer: &SessionLayer, x_real_ip: Option<&'static str>) -> Option<IpAddr> {
    let mut client = Client::new(layer);
    client.peer = ip(PROXY);
    let lines = x_real_ip.map(|value| ("x-real-ip", value.as_bytes()));
    client.headers = headers(lines.as_slice());
    client.log_in("alice").await;
    let list = client
        .send(|session| async move { session.user_sessions().unwrap().list().await.unwrap() })
        .await
        .value();
    list[0].address()
}

// T38
#[tokio::test]
async fn a_sign_in_stores_the_address_of_the_configured_source_or_of_the_peer() {
    let (store, _clock) = store();
    let plain = SessionLayer::new(store.clone());
    let proxied = SessionLayer::new(store).client_ip(ClientIp::XRealIp);

    assert_eq!(noted(&plain, Some("198.51.100.4")).await, ip(PROXY));
    assert_eq!(
        noted(&proxied, Some("198.51.100.4")).await,
        ip("198.51.100.4")
    );
    assert_eq!(noted(&proxied, Some("evil")).await, None);
    let direct = plain.client_ip(ClientIp::Peer);
    assert_eq!(noted(&direct, Some("198.51.100.4")).await, ip(PROXY));
    assert_eq!(noted(&proxied, None).await, None);
}

// T38
#[test]
fn an_address_between_bytes_that_are_not_ascii_is_no_address() {
    for (source, name, line) in [
        (
            ClientIp::RightmostXForwardedFor,
            "x-forwarded-for",
            "\u{a0}198.51.100.4",
        ),
        (
            ClientIp::Forwarded { proxies: 1 },
            "forwarded",
            "for=198.51.100.4\u{2003}",
        ),
    ] {
        assert_eq!(
            address_of(&source, &[(name, line.as_bytes())]),
            None,
            "{name}"
        );
    }
}
