//! How long a session lives.

use std::time::Duration;

const HOUR: u64 = 60 * 60;
const DAY: u64 = 24 * HOUR;

/// How long a session lives: the idle time, renewed by activity, and the absolute time.
///
/// A session expires when it was idle for the first, and at the latest when the second is over. Only
/// signing in or re-authenticating begins a new absolute time. Defaults to 1 day idle, 30 days absolute.
/// The presets follow the reauthentication limits of NIST SP 800-63B-4 (ASVS 7.3.1, 7.3.2).
///
/// ```
/// use std::time::Duration;
/// use tower_user_sessions::Lifetime;
///
/// let lifetime = Lifetime::new(Duration::from_secs(1_800), Duration::from_secs(43_200));
/// assert_eq!(lifetime.idle(), Duration::from_secs(1_800));
/// assert_eq!(Lifetime::AAL3.absolute(), Duration::from_secs(12 * 3_600));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Lifetime {
    idle: Duration,
    absolute: Duration,
}

impl Lifetime {
    /// 30 days, without an idle limit (NIST SP 800-63B-4 §2.1.3).
    pub const AAL1: Self = Self::new(Duration::from_secs(30 * DAY), Duration::from_secs(30 * DAY));

    /// 24 hours, and 1 hour idle (NIST SP 800-63B-4 §2.2.3).
    pub const AAL2: Self = Self::new(Duration::from_secs(HOUR), Duration::from_secs(24 * HOUR));

    /// 12 hours, and 15 minutes idle (NIST SP 800-63B-4 §2.3.3).
    pub const AAL3: Self = Self::new(
        Duration::from_secs(HOUR / 4),
        Duration::from_secs(12 * HOUR),
    );

    /// The longest lifetime: 400 days, because a cookie lasts no longer (RFC 6265bis §5.5).
    pub const MAX: Duration = Duration::from_secs(400 * DAY);

    /// A lifetime with these two parts, in whole milliseconds.
    ///
    /// `absolute` is clamped to 1 ms at least and [`MAX`](Self::MAX) at most, `idle` to 1 ms at least and
    /// `absolute` at most.
    #[must_use]
    pub const fn new(idle: Duration, absolute: Duration) -> Self {
        let absolute = whole_millis(absolute, Self::MAX);
        Self {
            idle: whole_millis(idle, absolute),
            absolute,
        }
    }

    /// The shorter of the two idle times and the shorter of the two absolute times.
    pub(crate) fn shorter(self, other: Self) -> Self {
        Self {
            idle: self.idle.min(other.idle),
            absolute: self.absolute.min(other.absolute),
        }
    }

    /// The lifetime for a session whose activity is written at most once in each `step`.
    ///
    /// The stored activity may be older than the last request by the step. So the idle time is longer by
    /// the step, but by a sixteenth at most.
    pub(crate) fn with_activity_every(self, step: Duration) -> Self {
        let more = step.min(self.idle / 16).as_millis();
        // At most 25 days, so that no digit is lost.
        let more = Duration::from_millis(u64::try_from(more).unwrap_or_default());
        Self {
            idle: self.idle + more,
            absolute: self.absolute,
        }
    }

    /// How long the session lives without activity.
    #[must_use]
    pub const fn idle(self) -> Duration {
        self.idle
    }

    /// How long the session lives at most, with activity or without.
    #[must_use]
    pub const fn absolute(self) -> Duration {
        self.absolute
    }
}

const fn whole_millis(of: Duration, most: Duration) -> Duration {
    let (of, most) = (of.as_millis(), most.as_millis());
    let millis = if of < 1 {
        1
    } else if of > most {
        most
    } else {
        of
    };
    #[expect(clippy::cast_possible_truncation, reason = "at most 400 days")]
    Duration::from_millis(millis as u64)
}

impl Default for Lifetime {
    fn default() -> Self {
        Self::new(Duration::from_secs(DAY), Duration::from_secs(30 * DAY))
    }
}
