//! `RedisStore::connect_cluster` on a Cluster that is asked for more than it can handle.

use super::overload::all_sessions_end_at_the_first_call;
use crate::common::overload::Cell;

// T57 T70
#[tokio::test(flavor = "multi_thread")]
async fn a_little_more_than_it_can_handle_is_answered_as_far_as_it_can() {
    Cell::cluster(600, 1.3).holds().await;
}

// T57 T70
#[tokio::test(flavor = "multi_thread")]
async fn failed_sign_ins_leave_no_session_where_new_connections_queue_behind_old_replies() {
    let cell = Cell {
        one_queue: true,
        silent: true,
        ..Cell::cluster(200, 2.0)
    };
    cell.holds().await;
}

// T57 T70
#[tokio::test(flavor = "multi_thread")]
async fn what_two_processes_offer_at_once_is_answered_as_far_as_it_can() {
    let cell = Cell {
        processes: 2,
        ..Cell::cluster(200, 4.0)
    };
    cell.holds().await;
}

// T70 T74
#[tokio::test(flavor = "multi_thread")]
async fn the_sessions_of_all_users_end_at_the_first_call_while_all_places_are_taken() {
    all_sessions_end_at_the_first_call(true).await;
}
