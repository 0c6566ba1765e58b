//! The options of guest sessions.

use std::time::Duration;

use super::layer::SessionLayer;

impl<R> SessionLayer<R> {
    /// How many bytes of data a guest session may keep, counted as in [`data_limit`](Self::data_limit).
    ///
    /// Beyond that, [`Session::insert`](crate::Session::insert) returns an error of the kind
    /// [`TooLarge`](crate::SessionErrorKind::TooLarge), which is 413 as a response.
    ///
    /// Defaults to 4 KiB, and is at most the [`data_limit`](Self::data_limit) of users: a sign-in may carry over all that
    /// a guest keeps.
    pub fn guest_data_limit(mut self, bytes: usize) -> Self {
        self.rules().guests.data_limit = bytes;
        self
    }

    /// How long a guest session lives without activity.
    ///
    /// It also ends at the layer's absolute [`lifetime`](Self::lifetime). Until a second request uses it, a guest
    /// session lives for 15 minutes at most.
    ///
    /// Defaults to 1 day.
    pub fn guest_idle(mut self, idle: Duration) -> Self {
        self.rules().guests.idle = idle;
        self
    }

    /// Whether guests may keep data at all.
    ///
    /// With `false`, [`Session::insert`](crate::Session::insert) and [`update`](crate::Session::update) return an error
    /// of the kind [`GuestsOff`](crate::SessionErrorKind::GuestsOff) for guests, which is 401 as a response. Guests can
    /// still sign in, and users keep data. A handler that signs in inserts after `log_in`, not before.
    ///
    /// Guest sessions that exist go on. Their data can be read and removed, and [`Login::carry`](crate::Login::carry)
    /// takes it along.
    ///
    /// Defaults to yes.
    pub fn guests(mut self, allowed: bool) -> Self {
        self.rules().guests.allowed = allowed;
        self
    }
}
