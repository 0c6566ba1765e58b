//! What the layer, the API and the page do, on the embedded store or one that fails: one file a behaviour.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod allocations;
mod bearer;
mod class;
mod client_ip;
mod commit;
#[path = "../common/mod.rs"]
mod common;
mod cookie;
mod csrf;
mod data;
mod device;
mod device_api;
mod device_cookie;
mod device_refusals;
mod disabled;
mod double_submit;
mod ending;
mod event_channel;
mod events;
mod events_add_up;
mod extractor;
mod fresh;
mod geo;
mod guests;
mod hostile;
mod lifetime;
mod limit;
mod login;
mod logs;
mod metrics;
mod outage;
mod page;
mod page_guard;
mod readiness;
mod reauthenticate;
mod rejected;
mod replaced;
mod reported;
mod require;
mod rotation;
mod shown;
mod size;
mod ticket;
mod token;
mod undelivered;
mod verdict;
