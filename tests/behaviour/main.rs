//! What the layer, the API and the page do, on the embedded store or one that fails: one file a behaviour.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod activity_every;
mod allocations;
mod bearer;
mod bearer_client;
mod caching;
mod challenge;
mod class;
mod clear;
mod client_changed;
mod client_changed_late;
mod client_changed_shown;
mod client_ip;
mod commit;
#[path = "../common/mod.rs"]
mod common;
mod cookie;
mod countdown;
mod crash;
mod csrf;
mod data;
mod device;
mod device_api;
mod device_cookie;
mod device_refusals;
mod disabled;
mod double_submit;
mod end_streams;
mod end_streams_calls;
mod ending;
mod event_channel;
mod events;
mod events_add_up;
mod events_where;
mod everyone;
mod expired;
mod extractor;
mod for_test;
mod fresh;
mod geo;
mod guest_cookie;
mod guest_in_other_places;
mod guests;
mod hostile;
mod insert_before_log_in;
mod kept_session;
mod late_response;
mod left_over_cookies;
mod lifetime;
mod limit;
mod live;
mod local_path;
mod login;
mod logs;
mod lost_replies;
mod many_keys;
mod metrics;
mod mistakes;
mod near;
mod near_verify;
mod outage;
mod outage_beside;
mod own_cutoffs;
mod page;
mod page_guard;
mod page_setup;
mod persistent;
mod random_requests;
mod readiness;
mod realm;
mod reason_kept;
mod reauthenticate;
mod rejected;
mod rejected_late;
mod remember_target;
mod replaced;
mod reported;
mod require;
mod respond;
mod rights;
mod rotation;
mod rotation_calls;
mod session_of;
mod sessions_of;
mod shorten;
mod shown;
mod size;
mod speculative;
mod staged_sign_in;
mod stolen_cookie;
mod successor;
mod ticket;
mod ticket_terms;
mod token;
mod undelivered;
mod unused;
mod user_id;
mod verdict;
mod write_lost;
mod wrong_answer;
