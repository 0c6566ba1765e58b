//! Large futures that are made where they stay.

use std::pin::Pin;

/// Boxes what `make` makes. `Box::pin` makes a future on the stack and then copies all of it, also the part that it needs
/// later only: 1.6 KB for each call of Redis.
#[inline]
pub(crate) fn boxed<T>(make: impl FnOnce() -> T) -> Pin<Box<T>> {
    // First: between what is made and its place nothing may fail, or it is copied again.
    let place = Box::new_uninit();
    Box::into_pin(Box::write(place, make()))
}
