//! This build has no Redis: the first one is quicker without.

use super::settings::Sessions;

/// Refuses `REDIS_URL`.
pub(crate) fn store(_urls: &str) -> Result<Sessions, String> {
    Err(
        "REDIS_URL is set, and this build has no Redis: run it with `--features redis`, or unset \
         REDIS_URL"
            .to_owned(),
    )
}
