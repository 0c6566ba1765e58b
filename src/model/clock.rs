//! Time. Only this file asks the system for it.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// A moment by the store's clock: whole milliseconds since the Unix epoch.
///
/// `Display` writes RFC 3339 in UTC, always with three digits of fraction. So texts of two moments sort as the
/// moments do.
///
/// ```
/// use tower_user_sessions::Timestamp;
///
/// let moment = Timestamp::from_millis(1_764_000_000_250);
/// assert_eq!(moment.to_string(), "2025-11-24T16:00:00.250Z");
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The moment this many milliseconds after the Unix epoch; before it, if negative.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// The moment this much later; saturates instead of overflowing.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(millis(by)))
    }

    /// The moment this much earlier; saturates instead of overflowing.
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(millis(by)))
    }

    /// How long after `earlier` this is; zero if it is not later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = i128::from(self.0) * 1_000_000;
        match time::OffsetDateTime::from_unix_timestamp_nanos(nanos) {
            Ok(at) if at.year() >= 0 => {
                let (hour, minute, second, millis) = at.to_hms_milli();
                write!(
                    f,
                    "{:04}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z",
                    at.year(),
                    u8::from(at.month()),
                    at.day(),
                )
            }
            // Before the year 0 and beyond 9999, where RFC 3339 ends.
            _ => write!(f, "@{}ms", self.0),
        }
    }
}

impl From<Timestamp> for SystemTime {
    /// Moments that `SystemTime` cannot express become the Unix epoch.
    fn from(at: Timestamp) -> Self {
        let by = Duration::from_millis(at.0.unsigned_abs());
        let moment = if at.0 < 0 {
            UNIX_EPOCH.checked_sub(by)
        } else {
            UNIX_EPOCH.checked_add(by)
        };
        moment.unwrap_or(UNIX_EPOCH)
    }
}

impl From<SystemTime> for Timestamp {
    fn from(at: SystemTime) -> Self {
        match at.duration_since(UNIX_EPOCH) {
            Ok(since) => Self(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)),
            Err(before) => Self(-millis(before.duration())),
        }
    }
}

/// A duration in whole milliseconds, rounded up, so that an age is never understated.
pub(crate) fn millis(duration: Duration) -> i64 {
    // Without `as_nanos`: a division of 128 bits takes ten times as long.
    let part = i64::from(duration.subsec_nanos().div_ceil(1_000_000));
    i64::try_from(duration.as_secs())
        .unwrap_or(i64::MAX)
        .saturating_mul(1_000)
        .saturating_add(part)
}

/// A moment on a clock that never jumps and that counts suspended time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Monotonic(Duration);

impl Monotonic {
    /// `CLOCK_BOOTTIME`: unlike `Instant`, it goes on while the machine is suspended.
    #[cfg(target_os = "linux")]
    pub(crate) fn now() -> Self {
        let at = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Self(Duration::new(
            u64::try_from(at.tv_sec).unwrap_or(0),
            u32::try_from(at.tv_nsec).unwrap_or(0),
        ))
    }

    /// `Instant`, counted from the first call.
    #[cfg(not(target_os = "linux"))]
    #[expect(clippy::disallowed_methods, reason = "this is where the clock is read")]
    pub(crate) fn now() -> Self {
        static START: std::sync::LazyLock<std::time::Instant> =
            std::sync::LazyLock::new(std::time::Instant::now);
        Self(START.elapsed())
    }

    pub(crate) fn elapsed(self) -> Duration {
        Self::now().0.saturating_sub(self.0)
    }

    /// Nanoseconds on this clock.
    pub(crate) fn as_nanos(self) -> i64 {
        i64::try_from(self.0.as_nanos()).unwrap_or(i64::MAX)
    }

    /// Whole milliseconds on this clock.
    pub(crate) fn as_millis(self) -> i64 {
        i64::try_from(self.0.as_millis()).unwrap_or(i64::MAX)
    }
}

/// Counts milliseconds for timers that run on tokio.
///
/// tokio's time does not count suspended time, and a test with paused time moves only tokio's. So the greater of
/// both counts.
#[cfg(feature = "live")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch {
    since: Monotonic,
    tokio: tokio::time::Instant,
}

#[cfg(feature = "live")]
impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self {
            since: Monotonic::now(),
            tokio: tokio::time::Instant::now(),
        }
    }

    pub(crate) fn millis(self) -> u64 {
        let elapsed = self.since.elapsed().max(self.tokio.elapsed());
        u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
    }
}

/// How far the wall clock is ahead of [`Monotonic`], in ms. It changes when the wall clock is set, and when a virtual
/// machine was stopped without noticing it.
#[cfg(any(feature = "postgres", feature = "redis"))]
pub(crate) fn wall_ahead() -> i64 {
    wall_ahead_at(Monotonic::now())
}

/// The same, if it is now this moment.
#[cfg(any(feature = "postgres", feature = "redis"))]
#[expect(clippy::disallowed_methods, reason = "this is where the clock is read")]
pub(crate) fn wall_ahead_at(now: Monotonic) -> i64 {
    let wall = Timestamp::from(SystemTime::now());
    wall.as_millis().saturating_sub(now.as_millis())
}

/// The wall clock may be set by so much, in ms.
#[cfg(any(feature = "postgres", feature = "redis"))]
pub(crate) const JUMP: i64 = 1_000;

/// Whether the wall clock was set by more between these two, or the machine was stopped.
#[cfg(any(feature = "postgres", feature = "redis"))]
pub(crate) const fn has_jumped(before: i64, now: i64) -> bool {
    now.abs_diff(before) > JUMP.unsigned_abs()
}

/// When a request arrived at this node. A store receives only its age.
///
/// The age comes from a clock that never jumps. So a node whose wall clock is wrong decides nothing
/// wrongly.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    noted: Monotonic,
    before: Duration,
}

impl Arrival {
    /// A request that arrives now.
    #[must_use]
    pub fn now() -> Self {
        Self::ago(Duration::ZERO)
    }

    /// A request that arrived this long ago.
    #[must_use]
    pub fn ago(before: Duration) -> Self {
        Self {
            noted: Monotonic::now(),
            before,
        }
    }

    /// Nanoseconds on the clock that [`Monotonic`] reads.
    pub(crate) fn as_nanos(&self) -> i64 {
        Monotonic(self.noted.0.saturating_sub(self.before)).as_nanos()
    }

    /// What the clock read when this was made.
    pub(crate) const fn noted(&self) -> Monotonic {
        self.noted
    }

    /// How long ago the request arrived.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.noted.elapsed().saturating_add(self.before)
    }
}

/// Where a store takes the time from.
///
/// [`Clock::system`] reads the wall clock once, and from then on adds the time that has passed. If the
/// wall clock is set later, no session ends or lives longer because of it. Tests use a
/// [`ManualClock`].
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System { wall: Timestamp, since: Monotonic },
    Manual(ManualClock),
}

impl Clock {
    /// The machine's time.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is where the clock is read")]
    pub fn system() -> Self {
        Self(Source::System {
            wall: SystemTime::now().into(),
            since: Monotonic::now(),
        })
    }

    /// The present moment on this clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System { .. } => self.at(Monotonic::now()),
            Source::Manual(clock) => clock.now(),
        }
    }

    /// The moment on this clock when the other one read `now`. A manual one reads its own.
    pub(crate) fn at(&self, now: Monotonic) -> Timestamp {
        match &self.0 {
            Source::System { wall, since } => {
                let passed = now.0.saturating_sub(since.0).as_millis();
                Timestamp(
                    wall.0
                        .saturating_add(i64::try_from(passed).unwrap_or(i64::MAX)),
                )
            }
            Source::Manual(clock) => clock.now(),
        }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

impl From<ManualClock> for Clock {
    fn from(clock: ManualClock) -> Self {
        Self(Source::Manual(clock))
    }
}

/// A clock that stands still until a test moves it. Clones share the same time.
///
/// The builders of `MemoryStore`, `FileStore`, `RedisStore` and `PostgresStore` take one. Requests, lists and limits
/// follow it at once. An open stream measures time by itself. It learns the store's time when it asks the store next,
/// within [`look_every`](crate::SessionLayer::look_every). Once a `FileStore` is opened again, its time is not before its
/// last write.
///
/// ```
/// use std::time::Duration;
/// use tower_user_sessions::{MemoryStore, store::{ManualClock, Timestamp}};
///
/// let clock = ManualClock::at(Timestamp::from_millis(1_000));
/// let store = MemoryStore::builder().clock(clock.clone()).build();
/// clock.advance(Duration::from_secs(86_400));
/// # let _ = store;
/// ```
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// A clock that stands at this moment.
    #[must_use]
    pub fn at(moment: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(moment.0)))
    }

    /// The present moment on this clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }

    /// Moves the clock forwards.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(millis(by), Ordering::SeqCst);
    }

    /// Sets the clock, forwards or backwards: a server's clock may step back too.
    pub fn set(&self, moment: Timestamp) {
        self.0.store(moment.0, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_with_three_digits_of_fraction() {
        let written =
            [117, 120, 200, 0, -1].map(|ms| Timestamp(1_764_000_000_000 + ms).to_string());

        assert_eq!(
            written,
            [
                "2025-11-24T16:00:00.117Z",
                "2025-11-24T16:00:00.120Z",
                "2025-11-24T16:00:00.200Z",
                "2025-11-24T16:00:00.000Z",
                "2025-11-24T15:59:59.999Z",
            ]
        );
    }

    // T52
    #[test]
    fn a_system_clock_goes_on_from_what_it_read_first_wherever_the_wall_clock_is() {
        let since = Monotonic::now();
        let wall = Timestamp(1_000);
        let clock = Clock(Source::System { wall, since });

        let (now, later) = (clock.now(), Monotonic(since.0 + Duration::from_secs(5)));

        assert_eq!(clock.at(later), Timestamp(6_000));
        // Generous, because this machine may be busy. The wall clock is decades ahead.
        assert!(wall <= now && now < wall.plus(Duration::from_secs(3_600)));
    }

    #[test]
    fn a_moment_that_rfc_3339_cannot_write_is_its_milliseconds() {
        for (ms, text) in [
            (-62_167_219_200_000, "0000-01-01T00:00:00.000Z"),
            (-62_167_219_200_001, "@-62167219200001ms"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
            (253_402_300_800_000, "@253402300800000ms"),
            (i64::MIN, "@-9223372036854775808ms"),
        ] {
            assert_eq!(Timestamp(ms).to_string(), text);
        }
    }
}
