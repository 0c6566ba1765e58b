//! Sessions in a file.

use tower_user_sessions::store::{FileStore, SharedStore};

/// A store in this file, or what is wrong with it.
pub(crate) fn store(path: &str) -> Result<SharedStore, String> {
    match FileStore::open(path) {
        Ok(store) => Ok(store.into()),
        Err(error) => Err(format!("SESSIONS_FILE: {error}")),
    }
}
