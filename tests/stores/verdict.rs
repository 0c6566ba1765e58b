//! What the conformance suite says of a store or a storage.

use std::panic::{self, AssertUnwindSafe};

/// The message of the suite, if it fails.
pub(crate) fn verdict(suite: impl Future<Output = ()>) -> Option<String> {
    let run = AssertUnwindSafe(|| tokio_test::block_on(suite));
    let failed = panic::catch_unwind(run).err()?;
    let text = failed.downcast_ref::<String>().cloned();
    Some(text.unwrap_or_else(|| "another panic".to_owned()))
}

/// Runs this without what panics print.
pub(crate) fn quietly<T>(run: impl FnOnce() -> T) -> T {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let done = run();
    panic::set_hook(hook);
    done
}
