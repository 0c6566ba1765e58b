//! Eras: a later moment of all users' end for a store whose clock was set back.
//!
//! [`Everyone`](crate::Everyone) has one moment, which only grows. If the clock was years ahead when it was made, it is in the
//! future for years, and no session could begin after it. So the store begins another era: its first moment is later than each
//! moment of the era before. All sessions of the era before have ended, also those that began in the future. Sessions that begin
//! from then on are of the new era.
//!
//! Where moments are compared, the number of the era is a part of them: era × 2⁴⁶ ms + time. So to compare the numbers is enough,
//! in each script and in each version of this crate. 2⁴⁶ ms after the Unix epoch is the year 4199. Scripts count in `f64`, which is
//! exact up to 2⁵³, so there are 128 eras.

use super::clock::Timestamp;

/// How many ms an era has.
const LENGTH: i64 = 1 << 46;

/// The last era. A store that has reached it stays in it.
const LAST: u8 = 127;

/// An era. Nearly all sessions are of the first one.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Era(u8);

impl Era {
    pub(crate) const fn next(self) -> Option<Self> {
        if self.0 < LAST {
            Some(Self(self.0 + 1))
        } else {
            None
        }
    }

    /// The era of both moments of a session, and their times. Two eras that differ are none of this version: these are times as
    /// they are, of the first era.
    pub(crate) fn of_session(moments: [Timestamp; 2]) -> (Self, [Timestamp; 2]) {
        let [era, other] = moments.map(Timestamp::era);
        if era == other {
            (era, moments.map(Timestamp::time))
        } else {
            (Self::default(), moments)
        }
    }

    fn offset(self) -> i64 {
        i64::from(self.0) * LENGTH
    }
}

impl Timestamp {
    /// The era that this moment names.
    #[inline]
    pub(crate) fn era(self) -> Era {
        let era = self.as_millis().div_euclid(LENGTH).max(0);
        Era(u8::try_from(era).map_or(LAST, |era| era.min(LAST)))
    }

    /// The time of this moment, without its era.
    #[inline]
    pub(crate) fn time(self) -> Self {
        Self::from_millis(self.as_millis().saturating_sub(self.era().offset()))
    }

    /// This time, in this era.
    #[inline]
    pub(crate) fn in_era(self, era: Era) -> Self {
        Self::from_millis(self.as_millis().saturating_add(era.offset()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_764_000_000_000);

    #[test]
    fn a_moment_of_a_later_era_is_later_whatever_its_time() {
        let years = Duration::from_secs(2_000 * 365 * 24 * 60 * 60);
        let mut era = NOW.era();
        assert_eq!((era, NOW.time()), (Era::default(), NOW));
        let mut eras = 1;
        while let Some(next) = era.next() {
            let (before, after) = (NOW.plus(years).in_era(era), NOW.in_era(next));
            assert!(before < after);
            assert_eq!((after.era(), after.time()), (next, NOW));
            // A script has no greater integers.
            assert!(after.plus(years).as_millis() < 1 << 53);
            (era, eras) = (next, eras + 1);
        }
        assert_eq!(eras, 128);
    }

    #[test]
    fn moments_before_1970_and_after_the_last_era_have_a_time() {
        for millis in [-1, i64::MIN] {
            let moment = Timestamp::from_millis(millis);
            assert_eq!((moment.era(), moment.time()), (Era::default(), moment));
        }
        assert_eq!(Timestamp::from_millis(i64::MAX).era(), Era(LAST));
    }
}
