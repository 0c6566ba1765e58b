//! The URLs of servers.

use std::{error::Error, fmt};

use deadpool_redis::redis::{ConnectionInfo, IntoConnectionInfo};

/// Returned for a text that is not the URL of a Redis server. It does not repeat the text, which may have a password.
#[derive(Debug)]
pub struct RedisUrlError(());

impl RedisUrlError {
    pub(super) const NO_URL: Self = Self(());
}

pub(super) fn parse(url: &str) -> Result<ConnectionInfo, RedisUrlError> {
    url.into_connection_info()
        .map_err(|_may_repeat_the_password| RedisUrlError(()))
}

impl fmt::Display for RedisUrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "not a Redis URL: write redis://user:password@host:port/db, and in the password `#` as %23 and `@` as %40",
        )
    }
}

impl Error for RedisUrlError {}
