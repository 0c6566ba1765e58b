//! Functions of the app, among settings that can be printed.

use std::{fmt, ops::Deref, sync::Arc};

/// A function of the app, behind one pointer. [`Debug`](fmt::Debug) prints two dots for it.
pub(crate) struct Hidden<F: ?Sized>(pub(crate) Arc<F>);

impl<F: ?Sized> Clone for Hidden<F> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<F: ?Sized> Deref for Hidden<F> {
    type Target = F;

    #[inline]
    fn deref(&self) -> &F {
        &self.0
    }
}

impl<F: ?Sized> fmt::Debug for Hidden<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}
