//! What every [`SessionStore`] has to pass: one function per number of its contract.
//!
//! Run [`all`], or the functions one by one, from any async runtime; none of them needs one of its
//! own. Each takes what makes a store that goes by the given clock, makes one, and works on users
//! that it invents, so the stores may share one server. Time passes by that clock alone and no
//! session lives for less than ten minutes, so a backend's own expiry does not come in between.
//!
//! # Panics
//!
//! Each function panics with the number of the contract that does not hold and with what was found.
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
//! One test per number says at a glance which one fails:
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

mod atomic;
mod barred;
mod class;
mod create;
mod cutoff;
mod data;
mod end;
mod follow;
mod join;
mod limit;
mod live;
mod notice;
mod rotation;
mod shorten;
mod ticket;
mod trial;

pub use self::{
    atomic::is_atomic,
    barred::bars_and_lets_in_again,
    create::{creates_once, replaces_and_keeps_the_data},
    cutoff::{owns_the_time, rejects_what_was_authenticated_before_the_cutoff},
    data::{holds_data_to_its_limit, saves_to_live_sessions_only},
    end::{obeys_only_a_live_caller, remembers_what_was_given_up},
    limit::{evicts_the_least_recently_active, refuses_and_changes_nothing},
    live::{
        lists_exactly_the_live, opens_to_its_holder_while_it_lives, records_activity_forwards_only,
    },
    notice::ends_and_leaves_a_notice,
    rotation::rotates_and_signs_nobody_out,
    shorten::shortens_and_never_prolongs,
};
use super::{ManualClock, SessionStore};

/// Proves the whole contract, number by number.
pub async fn all<St: SessionStore>(make: impl AsyncFn(ManualClock) -> St) {
    Box::pin(opens_to_its_holder_while_it_lives(&make)).await;
    Box::pin(records_activity_forwards_only(&make)).await;
    Box::pin(evicts_the_least_recently_active(&make)).await;
    Box::pin(refuses_and_changes_nothing(&make)).await;
    Box::pin(replaces_and_keeps_the_data(&make)).await;
    Box::pin(creates_once(&make)).await;
    Box::pin(rejects_what_was_authenticated_before_the_cutoff(&make)).await;
    Box::pin(saves_to_live_sessions_only(&make)).await;
    Box::pin(holds_data_to_its_limit(&make)).await;
    Box::pin(lists_exactly_the_live(&make)).await;
    Box::pin(ends_and_leaves_a_notice(&make)).await;
    Box::pin(obeys_only_a_live_caller(&make)).await;
    Box::pin(remembers_what_was_given_up(&make)).await;
    Box::pin(is_atomic(&make)).await;
    Box::pin(owns_the_time(&make)).await;
    Box::pin(rotates_and_signs_nobody_out(&make)).await;
    Box::pin(bars_and_lets_in_again(&make)).await;
    Box::pin(shortens_and_never_prolongs(&make)).await;
}
