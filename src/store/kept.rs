//! How long and how many: what every store keeps in the same way.

use std::time::Duration;

/// How long a cutoff is kept: 24 hours. A cutoff is the moment of an end of all sessions of a user. A sign-in whose first step
/// is as old is [`Created::TooOld`](super::Created::TooOld).
pub const CUTOFF_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// 100 ms. A cutoff that is further in the future is moved to now: the clock stepped back. Cutoffs in one millisecond
/// are each a millisecond later than the one before, so a cutoff may be ahead of the clock a little.
pub const CUTOFF_AHEAD: Duration = Duration::from_millis(100);

/// How long an end notice is kept by default: 1 hour.
pub const NOTICE_KEPT: Duration = Duration::from_secs(60 * 60);

/// How long a ticket works: 5 minutes from the first refusal on, also if it is refused again.
pub const TICKET_KEPT: Duration = Duration::from_secs(5 * 60);

/// The most tickets of one user.
pub const TICKETS_MAX: usize = 4;

/// The most remembered devices of one user.
pub const DEVICES_MAX: usize = 32;

/// The most end notices of one user after a sign-in.
pub const NOTICES_MAX: usize = 64;

/// The most remembered sessions of other session sets that were replaced by one of this set.
pub const MARKERS_MAX: usize = 8;

/// With so many end notices and remembered ids a session set remembers no more ids of given-up sign-ins.
pub const MARKS_MAX: usize = 20_000;

/// How long the id of a session that ended before its `create` ran is remembered: 60 s.
pub const TOMBSTONE_KEPT: Duration = Duration::from_secs(60);
