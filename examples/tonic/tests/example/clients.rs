//! Real clients: grpcio.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use serde_json::json;

use crate::common::{app::App, python::python};

#[test]
fn grpcio_finds_the_services_through_both_versions_of_reflection() {
    let app = App::start(&[]);

    let seen = python("grpcio.py", &format!("127.0.0.1:{}", app.port()));

    for version in ["v1alpha", "v1"] {
        let services = seen["services"][version].as_array().unwrap();
        for name in ["devices.v1.Devices", "devices.v1.SignIn"] {
            assert!(services.contains(&json!(name)), "{version}: {services:?}");
        }
    }
}

#[test]
fn grpcio_signs_in_lists_its_devices_and_ends_one() {
    let app = App::start(&[]);

    let seen = python("grpcio.py", &format!("127.0.0.1:{}", app.port()));

    let alice = json!({"user": "alice"});
    assert_eq!(seen["guest"], json!(["UNAUTHENTICATED", "not_signed_in"]));
    assert_eq!(seen["wrong"][0], "UNAUTHENTICATED");
    assert_eq!(seen["tokens"][0].as_str().unwrap().len(), 64);
    assert_ne!(seen["tokens"][0], seen["tokens"][1]);
    assert_eq!(seen["who"], json!([alice, alice]));
    let devices = seen["list"]["devices"].as_array().unwrap();
    assert_eq!(devices.len(), 2);
    for (name, current) in [
        ("laptop/1.0 grpc-python/", true),
        ("phone/1.0 grpc-python/", false),
    ] {
        let device = devices.iter().find(|device| {
            let agent = device["user_agent"].as_str().unwrap();
            agent.starts_with(name)
        });
        let device = device.unwrap_or_else(|| panic!("no {name} in {devices:?}"));
        assert_eq!(device["current"].as_bool().unwrap_or_default(), current);
        assert_eq!(device["address"], "127.0.0.1");
    }
    assert_eq!(seen["end"], json!({}));
    assert_eq!(
        seen["phone_afterwards"],
        json!(["UNAUTHENTICATED", "revoked"])
    );
    assert_eq!(seen["laptop_afterwards"], alice);
    assert_eq!(seen["logout"], json!({}));
    assert_eq!(seen["nobody"][0], "UNAUTHENTICATED");
}
