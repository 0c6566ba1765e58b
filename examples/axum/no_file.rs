//! This build has no store in a file: the first one is quicker without.

use tower_user_sessions::store::SharedStore;

/// Refuses `SESSIONS_FILE`.
pub(crate) fn store(_path: &str) -> Result<SharedStore, String> {
    Err(
        "SESSIONS_FILE is set, and this build cannot open it: run it with `--features file`, or \
         unset SESSIONS_FILE"
            .to_owned(),
    )
}
