//! Metrics, through the `metrics` facade.

use std::future::Future;

use metrics::{Histogram, counter, histogram};

use super::{Resolved, StoreError};
use crate::model::{Arrival, EndReason, Refusal};

/// Runs on every request. Each label is a literal, because that costs no allocation.
pub(crate) fn resolved(answer: &Result<Resolved, StoreError>) {
    let counter = match answer {
        Ok(Resolved::Live(_)) => {
            counter!("tower_user_sessions_resolves_total", "outcome" => "live")
        }
        Ok(Resolved::Ended(_)) => {
            counter!("tower_user_sessions_resolves_total", "outcome" => "ended")
        }
        Ok(Resolved::Expired(_)) => {
            counter!("tower_user_sessions_resolves_total", "outcome" => "expired")
        }
        Ok(Resolved::Reused(_)) => {
            counter!("tower_user_sessions_resolves_total", "outcome" => "reused")
        }
        Ok(Resolved::Unknown) => {
            counter!("tower_user_sessions_resolves_total", "outcome" => "unknown")
        }
        Err(_) => counter!("tower_user_sessions_resolves_total", "outcome" => "error"),
    };
    counter.increment(1);
}

pub(crate) fn signed_in() {
    counter!("tower_user_sessions_logins_total").increment(1);
}

pub(crate) fn refused(refusal: Refusal) {
    counter!("tower_user_sessions_refusals_total", "reason" => refusal.as_str()).increment(1);
}

pub(crate) fn ended(reason: EndReason) {
    counter!("tower_user_sessions_ends_total", "reason" => reason.as_str()).increment(1);
    if reason == EndReason::Evicted {
        counter!("tower_user_sessions_evictions_total").increment(1);
    }
}

pub(crate) fn shown() {
    counter!("tower_user_sessions_notices_shown_total").increment(1);
}

pub(crate) fn reused() {
    counter!("tower_user_sessions_token_reuse_total").increment(1);
}

pub(crate) fn dropped(events: u64) {
    counter!("tower_user_sessions_dropped_events_total").increment(events);
}

/// Runs an operation of a store and records how long it takes.
pub(crate) async fn timed<T>(operation: &'static str, work: impl Future<Output = T>) -> T {
    let began = Arrival::now();
    let done = work.await;
    seconds(operation).record(began.age().as_secs_f64());
    done
}

/// The labels are literals as in [`resolved`]: one of these runs on every request to a remote store.
fn seconds(operation: &'static str) -> Histogram {
    match operation {
        "resolve" => histogram!("tower_user_sessions_store_seconds", "operation" => "resolve"),
        "create" => histogram!("tower_user_sessions_store_seconds", "operation" => "create"),
        "ticket" => histogram!("tower_user_sessions_store_seconds", "operation" => "ticket"),
        "save" => histogram!("tower_user_sessions_store_seconds", "operation" => "save"),
        "rotate" => histogram!("tower_user_sessions_store_seconds", "operation" => "rotate"),
        "list" => histogram!("tower_user_sessions_store_seconds", "operation" => "list"),
        "forget" => histogram!("tower_user_sessions_store_seconds", "operation" => "forget"),
        "note_client" => {
            histogram!("tower_user_sessions_store_seconds", "operation" => "note_client")
        }
        "look" => histogram!("tower_user_sessions_store_seconds", "operation" => "look"),
        "touch" => histogram!("tower_user_sessions_store_seconds", "operation" => "touch"),
        "end" => histogram!("tower_user_sessions_store_seconds", "operation" => "end"),
        _ => histogram!("tower_user_sessions_store_seconds", "operation" => operation),
    }
}

/// What happens on the way to Redis.
#[cfg(feature = "redis")]
pub(crate) mod link {
    use metrics::{counter, gauge};

    pub(crate) fn connected(worked: bool) {
        let outcome = if worked { "ok" } else { "failed" };
        counter!("tower_user_sessions_redis_connects_total", "outcome" => outcome).increment(1);
    }

    pub(crate) fn went(up: bool) {
        let to = if up { "up" } else { "down" };
        counter!("tower_user_sessions_redis_changes_total", "to" => to).increment(1);
    }

    pub(crate) fn replaced(reason: &'static str) {
        counter!("tower_user_sessions_redis_replaced_total", "reason" => reason).increment(1);
    }

    pub(crate) fn took_place() {
        gauge!("tower_user_sessions_redis_in_flight").increment(1);
    }

    pub(crate) fn gave_place() {
        gauge!("tower_user_sessions_redis_in_flight").decrement(1);
    }

    pub(crate) fn busy() {
        counter!("tower_user_sessions_redis_busy_total").increment(1);
    }

    pub(crate) fn given_up() {
        counter!("tower_user_sessions_redis_given_up_total").increment(1);
    }

    pub(crate) fn resent() {
        counter!("tower_user_sessions_redis_resent_total").increment(1);
    }

    pub(crate) fn confirmed(in_time: bool) {
        let outcome = if in_time { "ok" } else { "late" };
        counter!("tower_user_sessions_redis_confirms_total", "outcome" => outcome).increment(1);
    }

    pub(crate) fn undelivered_lost() {
        counter!("tower_user_sessions_redis_undelivered_lost_total").increment(1);
    }
}

/// What happens on the way to PostgreSQL.
#[cfg(feature = "postgres")]
pub(crate) mod postgres {
    use metrics::{counter, gauge};

    pub(crate) fn connected(worked: bool) {
        let outcome = if worked { "ok" } else { "failed" };
        counter!("tower_user_sessions_postgres_connects_total", "outcome" => outcome).increment(1);
    }

    pub(crate) fn went(up: bool) {
        let to = if up { "up" } else { "down" };
        counter!("tower_user_sessions_postgres_changes_total", "to" => to).increment(1);
    }

    pub(crate) fn took_place() {
        gauge!("tower_user_sessions_postgres_in_flight").increment(1);
    }

    pub(crate) fn gave_place() {
        gauge!("tower_user_sessions_postgres_in_flight").decrement(1);
    }

    pub(crate) fn busy() {
        counter!("tower_user_sessions_postgres_busy_total").increment(1);
    }

    pub(crate) fn given_up() {
        counter!("tower_user_sessions_postgres_given_up_total").increment(1);
    }
}

/// What happens to the feed of a store in Redis or PostgreSQL.
#[cfg(any(feature = "postgres", feature = "redis"))]
pub(crate) mod feed {
    use metrics::counter;

    pub(crate) fn went(trusted: bool) {
        let to = if trusted { "trusted" } else { "untrusted" };
        counter!("tower_user_sessions_feed_changes_total", "to" => to).increment(1);
    }

    pub(crate) fn message() {
        counter!("tower_user_sessions_feed_messages_total").increment(1);
    }
}

/// What happens to the file of a store.
#[cfg(feature = "file")]
pub(crate) mod file {
    use std::time::Duration;

    use metrics::{counter, histogram};

    /// A commit of so many session sets ended.
    pub(crate) fn committed(took: Duration, sets: usize, worked: bool) {
        let outcome = if worked { "ok" } else { "failed" };
        counter!("tower_user_sessions_file_commits_total", "outcome" => outcome).increment(1);
        histogram!("tower_user_sessions_file_commit_seconds").record(took.as_secs_f64());
        let sets = u32::try_from(sets).unwrap_or(u32::MAX);
        histogram!("tower_user_sessions_file_commit_sets").record(sets);
    }

    /// The file can be written again, or cannot.
    pub(crate) fn went(up: bool) {
        let to = if up { "up" } else { "down" };
        counter!("tower_user_sessions_file_changes_total", "to" => to).increment(1);
    }

    pub(crate) fn copied(worked: bool) {
        let outcome = if worked { "ok" } else { "failed" };
        counter!("tower_user_sessions_file_backups_total", "outcome" => outcome).increment(1);
    }
}
