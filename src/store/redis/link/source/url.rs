//! The URLs of servers.

use std::{error::Error, fmt};

use deadpool_redis::redis::{ConnectionInfo, IntoConnectionInfo};

/// Returned for a text that is not the URL of a Redis server, or for URLs that do not belong together. It does not
/// repeat the text, which may have a password.
#[derive(Debug)]
pub struct RedisUrlError(&'static str);

const NOT_A_URL: &str = "not a Redis URL: write redis://user:password@host:port/db, and in the password `#` as %23 and `@` as %40";

const NO_TLS: &str = "not a Redis URL, or TLS is not built in: for rediss:// add the crate `redis` to your app, with its feature `tokio-rustls-comp`, and a crypto provider of rustls: see \"TLS\" in `guide::deploying_on_redis`";

impl RedisUrlError {
    pub(super) const NO_URL: Self = Self(NOT_A_URL);
    pub(super) const LOGINS: Self = Self(
        "the URLs of one Cluster have different logins: all nodes get the login of the first URL, so write it in that one",
    );
}

pub(super) fn parse(url: &str) -> Result<ConnectionInfo, RedisUrlError> {
    url.into_connection_info()
        .map_err(|_may_repeat_the_password| {
            let wants_tls = url.starts_with("rediss://") || url.starts_with("valkeys://");
            RedisUrlError(if wants_tls { NO_TLS } else { NOT_A_URL })
        })
}

impl fmt::Display for RedisUrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for RedisUrlError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_a_url_for_tls_names_the_feature_that_it_needs() {
        let message = |url| parse(url).unwrap_err().to_string();

        assert!(message("rediss://[").contains("tokio-rustls-comp"));
        assert!(!message("redis://[").contains("tokio-rustls-comp"));
    }
}
