//! One kept answer, and when it answers a request.

use std::time::Duration;

use super::shard::Active;
use crate::{
    model::{Digest, SessionId, Timestamp},
    store::{Found, Resolve, Resolved, feed::FeedMark},
};

/// Clocks count whole milliseconds, so an age may seem shorter by one.
const MS: Duration = Duration::from_millis(1);

/// What an entry takes beside the data: itself, the body of its record, and its places in two maps.
const ENTRY_SIZE: usize = 1_024;

/// A question, before it was sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) mark: FeedMark,
    pub(super) sent: Timestamp,
}

/// The answer of a store to one token.
#[derive(Debug)]
pub(super) struct Entry {
    found: Found,
    /// When the question was sent, by the clock of this process.
    sent: Timestamp,
    lease: Duration,
    epoch: u64,
    /// The request counted as activity.
    counted: bool,
    activity_every: Duration,
    /// The number of the fill: the lower, the older.
    pub(super) number: u64,
    /// The last activity that was answered from here and is due to be written.
    pub(super) active_at: Option<Timestamp>,
}

/// That an entry answers a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hit {
    /// The store's time.
    pub(super) at: Timestamp,
    /// When its activity has to be written at the latest, if that was not planned before.
    pub(super) due: Option<Timestamp>,
}

impl Entry {
    /// The entry of an answer, if it is one to keep: live, of a user, to the current token, which was used before.
    pub(super) fn of(
        resolve: &Resolve,
        answer: &Resolved,
        asked: Asked,
        lease: Duration,
    ) -> Option<Self> {
        let Resolved::Live(found) = answer else {
            return None;
        };
        let record = &found.record;
        let rotation = record.rotation.as_deref();
        let new = record.unused || rotation.is_some_and(|rotation| rotation.is_unused());
        if new || record.user_id().is_none() || record.digest != resolve.digest {
            return None;
        }
        let left = record.idle_expires_at().since(found.now);
        let grace = rotation.map_or(lease, |rotation| rotation.grace);
        Some(Self {
            found: found.clone(),
            sent: asked.sent,
            lease: lease.min(grace).min(record.idle / 16).min(left / 2),
            epoch: asked.mark.state.epoch,
            counted: resolve.activity,
            activity_every: resolve.activity_every,
            number: 0,
            active_at: None,
        })
    }

    pub(super) fn id(&self) -> SessionId {
        self.found.record.id
    }

    pub(super) fn digest(&self) -> &Digest {
        &self.found.record.digest
    }

    pub(super) fn size(&self) -> usize {
        ENTRY_SIZE + self.found.data.as_bytes().len()
    }

    /// Whether its question was sent before that of another one.
    pub(super) fn is_older(&self, other: &Self) -> bool {
        self.sent < other.sent
    }

    /// Whether the store recorded this activity with the question, or one that is hardly earlier.
    pub(super) fn covers(&self, active: &Active) -> bool {
        self.counted && active.at <= self.sent.plus(self.lease / 4)
    }

    /// When it can be dropped: it answers nothing any more, and its activity should have been written.
    pub(super) fn over_at(&self) -> Timestamp {
        self.sent.plus(self.lease * 2)
    }

    /// Whether it answers a request: everything has to allow it.
    pub(super) fn hit(&mut self, resolve: &Resolve, now: Timestamp, epoch: u64) -> Option<Hit> {
        // Compared in constant time.
        if self.found.record.digest != resolve.digest
            || self.epoch != epoch
            || now < self.sent
            || resolve.activity && !self.counted
        {
            return None;
        }
        let age = now.since(self.sent).saturating_add(MS);
        if age > self.lease.min(resolve.near?) {
            return None;
        }
        let at = self.found.now.plus(age);
        if !self.found.record.is_live(at, resolve.not_before) {
            return None;
        }
        let due = resolve.activity && self.is_late(age, at);
        let planned = due && self.active_at.replace(now).is_some();
        Some(Hit {
            at,
            // A request after the lease may come first, and records its own activity.
            due: (due && !planned).then(|| self.sent.plus(self.lease + self.lease / 4)),
        })
    }

    /// The answer at that time.
    #[inline]
    pub(super) fn found(&self, at: Timestamp) -> Found {
        let mut found = self.found.clone();
        (found.now, found.near) = (at, true);
        found
    }

    /// Whether the activity of a request would be missed.
    fn is_late(&self, age: Duration, at: Timestamp) -> bool {
        let is_due = |step: Duration| step.is_zero() || self.found.record.activity_is_due(at, step);
        age > self.lease / 4 && is_due(self.activity_every)
    }
}
