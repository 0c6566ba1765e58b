//! Tests for stores: one function for each number of the contract of [`SessionStore`].
//!
//! Run them on a store that you have written. Call [`all`], or the functions one by one, from any async
//! runtime. The function `storage` tests a `SetStorage`.
//!
//! Each function takes a closure that makes a store with the given clock. It uses random users, so that
//! several stores may share one server. Only that clock moves, and no session lives for less than ten
//! minutes, so that the backend's own expiry does not interfere.
//!
//! Build a `SetStore` or a `PostgresStore` with `activity_every(Duration::ZERO)`: the suite looks at each activity, and
//! fails without that.
//!
//! # Panics
//!
//! If the store breaks the contract, the function panics. The message has the number of the contract,
//! what was expected and what was found.
//!
//! # Examples
//!
//! ```
//! use tower_user_sessions::{MemoryStore, store::{ManualClock, conformance}};
//!
//! # tokio_test::block_on(async {
//! // Your store here.
//! let make = async |clock: ManualClock| MemoryStore::builder().clock(clock).build();
//!
//! conformance::all(make).await;
//! # });
//! ```
//!
//! With one test for each number you see which one fails:
//!
//! ```
//! # use tower_user_sessions::{MemoryStore, store::{ManualClock, conformance}};
//! # async fn make(clock: ManualClock) -> MemoryStore {
//! #     MemoryStore::builder().clock(clock).build()
//! # }
//! # tokio_test::block_on(
//! conformance::evicts_the_least_recently_active(make)
//! # );
//! ```

#![expect(clippy::panic, reason = "a suite fails by panicking")]

mod age;
mod all_users;
mod at_once;
mod atomic;
mod barred;
mod class;
mod client;
mod create;
mod cutoff;
mod data;
mod dropped;
mod end;
mod era;
mod everyone;
mod feed;
mod follow;
mod forget;
mod invalid;
mod join;
mod limit;
mod live;
mod look;
mod many;
mod notice;
mod notices;
mod own_data;
mod realm;
mod rotation;
mod shorten;
mod step;
mod storage;
mod subject;
mod ticket;
mod touch;
mod trial;
mod twice;
mod unused;
mod users;

pub use self::{
    all_users::{keeps_the_moment_of_everyone, scans_all_session_sets},
    atomic::is_atomic,
    barred::disables_and_enables_users,
    client::notes_the_last_client,
    create::{creates_once, replaces_and_keeps_the_data},
    cutoff::{rejects_what_was_authenticated_before_the_cutoff, uses_only_its_own_clock},
    data::{enforces_the_data_limit, saves_to_live_sessions_only},
    end::{ends_only_for_a_live_caller, remembers_undelivered_sessions},
    everyone::ends_what_began_before,
    feed::reports_what_changes,
    forget::forgets_a_notice,
    limit::{evicts_the_least_recently_active, refuses_and_changes_nothing},
    live::{
        lists_exactly_the_live_sessions, records_activity_forwards_only,
        resolves_live_sessions_only,
    },
    look::looks_and_changes_nothing,
    notice::ends_and_leaves_a_notice,
    realm::keeps_realms_apart,
    rotation::rotates_and_signs_nobody_out,
    shorten::shortens_and_never_prolongs,
    storage::{storage, storage_outage},
    touch::touches_and_changes_nothing_else,
};
use super::{ManualClock, SessionStore};

/// Tests the whole contract, number by number.
///
/// Build a `SetStore` or a `PostgresStore` with `activity_every(Duration::ZERO)`. The suite looks at each activity, and by
/// default these write one a second.
pub async fn all<St: SessionStore>(make: impl AsyncFn(ManualClock) -> St) {
    Box::pin(resolves_live_sessions_only(&make)).await;
    Box::pin(records_activity_forwards_only(&make)).await;
    Box::pin(evicts_the_least_recently_active(&make)).await;
    Box::pin(refuses_and_changes_nothing(&make)).await;
    Box::pin(replaces_and_keeps_the_data(&make)).await;
    Box::pin(creates_once(&make)).await;
    Box::pin(rejects_what_was_authenticated_before_the_cutoff(&make)).await;
    Box::pin(saves_to_live_sessions_only(&make)).await;
    Box::pin(enforces_the_data_limit(&make)).await;
    Box::pin(lists_exactly_the_live_sessions(&make)).await;
    Box::pin(ends_and_leaves_a_notice(&make)).await;
    Box::pin(ends_only_for_a_live_caller(&make)).await;
    Box::pin(remembers_undelivered_sessions(&make)).await;
    Box::pin(is_atomic(&make)).await;
    Box::pin(uses_only_its_own_clock(&make)).await;
    Box::pin(rotates_and_signs_nobody_out(&make)).await;
    Box::pin(disables_and_enables_users(&make)).await;
    Box::pin(shortens_and_never_prolongs(&make)).await;
    Box::pin(forgets_a_notice(&make)).await;
    Box::pin(notes_the_last_client(&make)).await;
    Box::pin(keeps_realms_apart(&make)).await;
    Box::pin(looks_and_changes_nothing(&make)).await;
    Box::pin(touches_and_changes_nothing_else(&make)).await;
    Box::pin(ends_what_began_before(&make)).await;
    Box::pin(keeps_the_moment_of_everyone(&make)).await;
    Box::pin(scans_all_session_sets(&make)).await;
    Box::pin(reports_what_changes(&make)).await;
}
