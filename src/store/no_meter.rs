//! Replaces the metrics without the feature `metrics`; does nothing.

use std::future::Future;

use super::{Resolved, StoreError};
use crate::model::{EndReason, Refusal};

pub(crate) fn resolved(_answer: &Result<Resolved, StoreError>) {}

pub(crate) fn signed_in() {}

pub(crate) fn refused(_refusal: Refusal) {}

pub(crate) fn ended(_reason: EndReason) {}

pub(crate) fn shown() {}

pub(crate) fn reused() {}

pub(crate) fn dropped(_events: u64) {}

pub(crate) fn timed<T>(
    _operation: &'static str,
    work: impl Future<Output = T>,
) -> impl Future<Output = T> {
    work
}

/// What happens on the way to Redis.
#[cfg(feature = "redis")]
pub(crate) mod link {
    pub(crate) fn connected(_worked: bool) {}

    pub(crate) fn went(_up: bool) {}

    pub(crate) fn replaced(_reason: &'static str) {}

    pub(crate) fn took_place() {}

    pub(crate) fn gave_place() {}

    pub(crate) fn busy() {}

    pub(crate) fn given_up() {}

    pub(crate) fn resent() {}

    pub(crate) fn confirmed(_in_time: bool) {}

    pub(crate) fn undelivered_lost() {}
}

/// What happens on the way to PostgreSQL.
#[cfg(feature = "postgres")]
pub(crate) mod postgres {
    pub(crate) fn connected(_worked: bool) {}

    pub(crate) fn went(_up: bool) {}

    pub(crate) fn took_place() {}

    pub(crate) fn gave_place() {}

    pub(crate) fn busy() {}

    pub(crate) fn given_up() {}
}

/// What happens to the feed of a store in Redis or PostgreSQL.
#[cfg(any(feature = "postgres", feature = "redis"))]
pub(crate) mod feed {
    pub(crate) fn went(_trusted: bool) {}

    pub(crate) fn message() {}
}

/// What happens to the file of a store.
#[cfg(feature = "file")]
pub(crate) mod file {
    use std::time::Duration;

    pub(crate) fn committed(_took: Duration, _sets: usize, _worked: bool) {}

    pub(crate) fn went(_up: bool) {}

    pub(crate) fn copied(_worked: bool) {}
}
