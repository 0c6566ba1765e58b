//! `MemoryStore` keeps the contract of `SessionStore`, number by number.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use tower_user_sessions::{
    MemoryStore,
    store::{ManualClock, conformance},
};

async fn make(clock: ManualClock) -> MemoryStore {
    MemoryStore::builder().clock(clock).build()
}

// T49
#[tokio::test]
async fn keeps_the_whole_contract() {
    conformance::all(make).await;
}

// T14 T15 T24
#[tokio::test]
async fn contract_1_resolves_live_sessions_only() {
    conformance::resolves_live_sessions_only(make).await;
}

// T58
#[tokio::test]
async fn contract_2_records_activity_forwards_only() {
    conformance::records_activity_forwards_only(make).await;
}

// T26 T31 T32
#[tokio::test]
async fn contract_3_evicts_the_least_recently_active() {
    conformance::evicts_the_least_recently_active(make).await;
}

// T27 T28
#[tokio::test]
async fn contract_4_refuses_and_changes_nothing() {
    conformance::refuses_and_changes_nothing(make).await;
}

// T29
#[tokio::test]
async fn contract_5_replaces_and_keeps_the_data() {
    conformance::replaces_and_keeps_the_data(make).await;
}

// T57
#[tokio::test]
async fn contract_6_creates_once() {
    conformance::creates_once(make).await;
}

// T21
#[tokio::test]
async fn contract_7_rejects_what_was_authenticated_before_the_cutoff() {
    conformance::rejects_what_was_authenticated_before_the_cutoff(make).await;
}

// T20
#[tokio::test]
async fn contract_8_saves_to_live_sessions_only() {
    conformance::saves_to_live_sessions_only(make).await;
}

// T60
#[tokio::test]
async fn contract_9_enforces_the_data_limit() {
    conformance::enforces_the_data_limit(make).await;
}

// T35
#[tokio::test]
async fn contract_10_lists_exactly_the_live_sessions() {
    conformance::lists_exactly_the_live_sessions(make).await;
}

// T19 T24 T42 T53
#[tokio::test]
async fn contract_11_ends_and_leaves_a_notice() {
    conformance::ends_and_leaves_a_notice(make).await;
}

// T20
#[tokio::test]
async fn contract_12_ends_only_for_a_live_caller() {
    conformance::ends_only_for_a_live_caller(make).await;
}

// T57
#[tokio::test]
async fn contract_13_remembers_undelivered_sessions() {
    conformance::remembers_undelivered_sessions(make).await;
}

// T25 T27
#[tokio::test]
async fn contract_14_is_atomic() {
    conformance::is_atomic(make).await;
}

// T52
#[tokio::test]
async fn contract_15_uses_only_its_own_clock() {
    conformance::uses_only_its_own_clock(make).await;
}

// T36 T46 T47 T48
#[tokio::test]
async fn contract_16_rotates_and_signs_nobody_out() {
    conformance::rotates_and_signs_nobody_out(make).await;
}

// T22
#[tokio::test]
async fn contract_17_disables_and_enables_users() {
    conformance::disables_and_enables_users(make).await;
}

#[tokio::test]
async fn contract_18_shortens_and_never_prolongs() {
    conformance::shortens_and_never_prolongs(make).await;
}

// T64
#[tokio::test]
async fn contract_19_forgets_a_notice() {
    conformance::forgets_a_notice(make).await;
}

// T49 T76
#[tokio::test]
async fn contract_21_notes_the_last_client() {
    conformance::notes_the_last_client(make).await;
}

// T66
#[tokio::test]
async fn contract_20_keeps_realms_apart() {
    conformance::keeps_realms_apart(make).await;
}

// T49
#[tokio::test]
async fn contract_22_looks_and_changes_nothing() {
    conformance::looks_and_changes_nothing(make).await;
}

// T49
#[tokio::test]
async fn contract_23_touches_and_changes_nothing_else() {
    conformance::touches_and_changes_nothing_else(make).await;
}

// T74
#[tokio::test]
async fn contract_24_ends_what_began_before() {
    conformance::ends_what_began_before(make).await;
}

// T74
#[tokio::test]
async fn contract_25_keeps_the_moment_of_everyone() {
    conformance::keeps_the_moment_of_everyone(make).await;
}

#[tokio::test]
async fn contract_26_scans_all_session_sets() {
    conformance::scans_all_session_sets(make).await;
}

#[tokio::test]
async fn contract_27_reports_what_changes() {
    conformance::reports_what_changes(make).await;
}
