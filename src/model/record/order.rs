//! How long a session lives, and which one goes first.

use std::time::Duration;

use super::Record;
use crate::model::{client::Client, clock::Timestamp, era::Era};

/// How long an unused guest session lives.
const UNUSED_GUEST: Duration = Duration::from_secs(15 * 60);

/// An unused session is evicted first from then on.
const UNUSED_FOR: Duration = Duration::from_secs(20);

/// As [`Record::began_at`], of a session with these times.
#[inline]
pub(crate) fn began_at(created: Timestamp, authenticated: Timestamp, era: Era) -> Timestamp {
    created.min(authenticated).in_era(era)
}

impl Record {
    /// When the session expires if there is no further activity. Never later than the deadline.
    ///
    /// An unused guest session lives for 15 minutes at most.
    #[must_use]
    pub fn idle_expires_at(&self) -> Timestamp {
        let idle = if self.unused && self.user_id().is_none() {
            self.idle.min(UNUSED_GUEST)
        } else {
            self.idle
        };
        self.last_activity.plus(idle).min(self.deadline)
    }

    /// When the session began: when it was created, or when its user authenticated if that was earlier.
    ///
    /// `not_before` is compared with it. So a sign-in that was proven before that moment, and whose session was created
    /// after it, is not live.
    ///
    /// The moment has its era. A store begins a new era if all sessions were ended while its clock was ahead, see
    /// [`EndEveryone::kept`](crate::store::EndEveryone::kept). So this is a moment to compare, not to show.
    #[must_use]
    #[inline]
    pub fn began_at(&self) -> Timestamp {
        began_at(self.created_at, self.authenticated_at, self.era)
    }

    pub(crate) const fn era(&self) -> Era {
        self.era
    }

    /// The time of that moment, if the session began before it.
    #[inline]
    pub(crate) fn ended_with_all(&self, not_before: Option<Timestamp>) -> Option<Timestamp> {
        let moment = not_before.filter(|moment| self.began_at() < *moment);
        moment.map(Timestamp::time)
    }

    /// Whether the session is live: it has reached neither deadline, and did not [begin](Self::began_at) before
    /// `not_before`.
    #[must_use]
    #[inline]
    pub fn is_live(&self, now: Timestamp, not_before: Option<Timestamp>) -> bool {
        now < self.idle_expires_at() && self.ended_with_all(not_before).is_none()
    }

    /// The order of activity: the least recently active first, then the oldest, then the lowest id.
    ///
    /// Lists use it. The order of eviction is [`eviction_order`](Self::eviction_order).
    #[must_use]
    pub fn activity_order(&self) -> (Timestamp, Timestamp, [u8; 16]) {
        // The id as text, as scripts compare it.
        (self.last_activity, self.created_at, self.id.encode())
    }

    /// The order in which sessions are evicted for a sign-in of `client` at `now`.
    ///
    /// First come sessions that were [unused for long](Self::is_unused_for_long), then unused ones of the
    /// same address and user agent, then the others. Among each the order is that of activity.
    #[must_use]
    pub fn eviction_order(
        &self,
        client: &Client,
        now: Timestamp,
    ) -> (u8, Timestamp, Timestamp, [u8; 16]) {
        let own = self.client();
        let turn = if self.is_unused_for_long(now) {
            0
        } else if self.unused
            && own.address() == client.address()
            && own.user_agent() == client.user_agent()
        {
            1
        } else {
            2
        };
        let (active, created, id) = self.activity_order();
        (turn, active, created, id)
    }

    /// Whether the session was made more than 20 s before `now`, and no request has sent its token.
    ///
    /// Such a session is evicted first, and does not count for a limit that refuses.
    #[must_use]
    pub fn is_unused_for_long(&self, now: Timestamp) -> bool {
        self.unused && now.since(self.created_at) > UNUSED_FOR
    }
}
