//! How many sessions one user may have.

use super::class::ClientClass;

/// How many sessions one user may have, and what happens to the excess (ASVS 7.1.2).
///
/// Defaults to at most 100, evict: a safety bound that keeps every operation small. What counts is
/// what the login that is under way states.
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
    /// By class; 0 where a class has no limit of its own.
    classes: [u16; ClientClass::COUNT],
}

/// What happens to the excess.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Excess {
    /// The least recently active sessions end; ties by creation, then by id.
    Evict,
    /// The new sign-in is refused; nothing changes.
    Refuse,
}

impl Limit {
    /// The most that a limit can be.
    pub const MAX: u16 = 1_000;

    /// At most so many sessions; the least recently active ones end when there would be more.
    ///
    /// Held between 1 and [`MAX`](Self::MAX): 0 means 1.
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

    /// How many of these may be of this class: held between 1 and [`MAX`](Self::MAX).
    ///
    /// A sign-in of the class first ends the least recently active of the class until there is room
    /// in it, then of all.
    ///
    /// Defaults to no limit of its own for any class.
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

    /// Refuses a sign-in over the limit instead of ending others.
    #[must_use]
    pub const fn refuse(mut self) -> Self {
        self.excess = Excess::Refuse;
        self
    }

    /// How many sessions.
    #[must_use]
    pub const fn sessions(self) -> u16 {
        self.sessions
    }

    /// How many sessions of this class, where it has a limit of its own.
    #[must_use]
    pub fn class_sessions(self, class: ClientClass) -> Option<u16> {
        let limit = self.classes.get(class.index()).copied().unwrap_or(0);
        (limit > 0).then_some(limit)
    }

    /// What happens to the excess.
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
