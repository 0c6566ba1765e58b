//! This build has no PostgreSQL: the first one is quicker without.

use super::settings::Sessions;

/// Refuses `DATABASE_URL`.
pub(crate) fn store(_url: &str) -> std::future::Ready<Result<Sessions, String>> {
    std::future::ready(Err(
        "DATABASE_URL is set, and this build has no PostgreSQL: run it with `--features postgres`, or \
         unset DATABASE_URL"
            .to_owned(),
    ))
}
