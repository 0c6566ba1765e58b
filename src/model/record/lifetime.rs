//! How long a session lives: as it was made, or as it was shortened.

use std::time::Duration;

use super::Record;
use crate::model::{clock::Timestamp, lifetime::Lifetime};

impl Record {
    /// Shortens the lifetime from `now` on. Never makes it longer.
    #[must_use]
    pub fn shortened(mut self, to: Lifetime, now: Timestamp) -> Self {
        let longest = to.absolute();
        if longest < self.deadline.since(self.lifetime_begins()) {
            let before = self.shortened_to().unwrap_or(longest);
            self.change(|body| body.shortened_to = Some(Box::new(longest.min(before))));
        }
        self.idle = self.idle.min(to.idle());
        self.deadline = self.deadline.min(now.plus(to.absolute()));
        self
    }

    /// How long the session lives after the user authenticates again: idle time and absolute time.
    ///
    /// That is as long as when it was made, or as it was [shortened](Self::shortened) to.
    #[must_use]
    pub fn lifetime(&self) -> Lifetime {
        let made = self.deadline.since(self.lifetime_begins());
        let longest = self.shortened_to().unwrap_or(made);
        Lifetime::new(self.idle, made.min(longest))
    }

    /// The absolute time that the lifetime was [shortened](Self::shortened) to, if it was.
    #[must_use]
    pub fn shortened_to(&self) -> Option<Duration> {
        self.body.shortened_to.as_deref().copied()
    }

    /// A sign-in authenticates before the session is created, a re-authentication after that.
    fn lifetime_begins(&self) -> Timestamp {
        self.authenticated_at.max(self.created_at)
    }
}
