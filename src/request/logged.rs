//! What was logged already.

use std::sync::{Mutex, PoisonError};

/// Mistakes and the like that are worth one line in the log each.
pub(crate) struct Logged<T>(Mutex<Vec<T>>);

impl<T: PartialEq> Logged<T> {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// Whether this is asked for the first time.
    pub(crate) fn is_new(&self, what: T) -> bool {
        // Every push is a whole entry.
        let mut logged = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = !logged.contains(&what);
        if is_new {
            logged.push(what);
        }
        is_new
    }
}
