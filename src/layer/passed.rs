//! Remembers, while a service is polled, that `resolve_if` let its request pass: so that an extractor
//! can say why there is no session, and passing costs no allocation.

use std::cell::Cell;

thread_local! {
    static PASSED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `f`, in which [`is_set`] answers true.
pub(crate) fn scope<T>(f: impl FnOnce() -> T) -> T {
    /// Puts back what was there, also when `f` panics.
    struct Before(bool);

    impl Drop for Before {
        fn drop(&mut self) {
            PASSED.set(self.0);
        }
    }

    let _before = Before(PASSED.replace(true));
    f()
}

/// Whether `resolve_if` let the request pass whose service is being polled.
#[cfg(feature = "axum")]
pub(crate) fn is_set() -> bool {
    PASSED.get()
}
