//! Remembers, while a service is polled, that `resolve_if` let its request pass.
//!
//! An extractor can then say why there is no session, and such a request costs no allocation.

use std::cell::Cell;

thread_local! {
    static PASSED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `f`; inside of it [`is_set`] returns true.
pub(crate) fn scope<T>(f: impl FnOnce() -> T) -> T {
    /// Restores the earlier value, also when `f` panics.
    struct Before(bool);

    impl Drop for Before {
        fn drop(&mut self) {
            PASSED.set(self.0);
        }
    }

    let _before = Before(PASSED.replace(true));
    f()
}

/// Whether the service that is being polled serves a request that `resolve_if` let pass.
pub(crate) fn is_set() -> bool {
    PASSED.get()
}
