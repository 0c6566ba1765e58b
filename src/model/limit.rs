//! How many sessions one user may have.

use super::class::ClientClass;

/// How many sessions one user may have, and what happens to the excess (ASVS 7.1.2).
///
/// Set it for the whole layer, or for one sign-in, for example by the user's plan. The limit is checked
/// only when a user signs in, and the limit of that sign-in is the one that counts. Lowering it ends
/// no session before the next sign-in.
///
/// Defaults to at most 100 sessions; the next sign-in ends the least recently active one.
///
/// ```
/// use tower_user_sessions::Limit;
///
/// let limit = Limit::at_most(3).refuse();
/// assert_eq!(limit.sessions(), 3);
/// assert_eq!(Limit::at_most(0).sessions(), 1);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limit {
    sessions: u16,
    excess: Excess,
    /// The limit of each class; 0 if it has none.
    classes: [u16; ClientClass::COUNT],
}

/// What happens when a sign-in exceeds the limit.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Excess {
    /// Other sessions end. First come unused sessions, whose token no request ever sent, if they are older than 20 s. Then
    /// come younger unused ones with the address and the user agent of this sign-in. At last come all others, the least
    /// recently active first. On a tie the oldest ends first, then the lowest id.
    Evict,
    /// The new sign-in is refused and no session changes. Never used sessions that are older than 20 s do not
    /// count: they end if that makes room.
    Refuse,
}

impl Limit {
    /// The highest possible limit.
    pub const MAX: u16 = 1_000;

    /// At most this many sessions per user. A sign-in beyond it ends others, in the order of [`Excess::Evict`].
    ///
    /// Values below 1 count as 1, values above [`MAX`](Self::MAX) as `MAX`.
    #[must_use]
    pub const fn at_most(sessions: u16) -> Self {
        let sessions = if sessions < 1 {
            1
        } else if sessions > Self::MAX {
            Self::MAX
        } else {
            sessions
        };
        Self {
            sessions,
            excess: Excess::Evict,
            classes: [0; ClientClass::COUNT],
        }
    }

    /// At most this many of the sessions may be of this class, between 1 and [`MAX`](Self::MAX).
    ///
    /// A sign-in of the class first ends the least recently active sessions of its class until it fits
    /// there. Then it ends the least recently active of all until it fits into the whole limit.
    ///
    /// Defaults to no limit for any class.
    #[must_use]
    pub const fn of_class(mut self, class: ClientClass, sessions: u16) -> Self {
        #[expect(
            clippy::indexing_slicing,
            reason = "a class is below the count of classes"
        )]
        {
            self.classes[class.index()] = Self::at_most(sessions).sessions;
        }
        self
    }

    /// Refuses a sign-in that exceeds the limit, instead of ending other sessions.
    #[must_use]
    pub const fn refuse(mut self) -> Self {
        self.excess = Excess::Refuse;
        self
    }

    /// How many sessions the user may have.
    #[must_use]
    pub const fn sessions(self) -> u16 {
        self.sessions
    }

    /// How many sessions of this class the user may have, if the class has a limit.
    #[must_use]
    pub fn class_sessions(self, class: ClientClass) -> Option<u16> {
        let limit = self.classes.get(class.index()).copied().unwrap_or(0);
        (limit > 0).then_some(limit)
    }

    /// The classes that have a limit, by number.
    pub(super) fn of_classes(&self) -> impl Iterator<Item = (u8, u16)> {
        let all = (0..).zip(self.classes);
        all.filter(|(_, sessions)| *sessions > 0)
    }

    /// What happens when a sign-in exceeds the limit.
    #[must_use]
    pub const fn excess(self) -> Excess {
        self.excess
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self::at_most(100)
    }
}
