//! The URLs of servers.

use std::{error::Error, fmt};

use deadpool_redis::redis::{Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo};

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
    const TLS: Self = Self(
        "the URLs or clients do not ask for the same TLS: use rediss://, /#insecure and certificates for all of them or for none",
    );
}

pub(super) fn parse(url: &str) -> Result<ConnectionInfo, RedisUrlError> {
    url.into_connection_info()
        .map_err(|_may_repeat_the_password| {
            let wants_tls = url.starts_with("rediss://") || url.starts_with("valkeys://");
            RedisUrlError(if wants_tls { NO_TLS } else { NOT_A_URL })
        })
}

/// The servers that these URLs name. All ask for TLS or none does: one of them stands for servers that are found later, and
/// what goes there must not be readable because another URL was the first.
pub(super) fn parse_all<S: AsRef<str>>(
    urls: impl IntoIterator<Item = S>,
) -> Result<Vec<ConnectionInfo>, RedisUrlError> {
    let infos = urls.into_iter().map(|url| parse(url.as_ref()));
    alike(infos.collect::<Result<_, _>>()?)
}

/// The servers of these clients, likewise.
pub(super) fn infos(
    clients: impl IntoIterator<Item = Client>,
) -> Result<Vec<ConnectionInfo>, RedisUrlError> {
    let info = |client: Client| client.get_connection_info().clone();
    alike(clients.into_iter().map(info).collect())
}

fn alike(infos: Vec<ConnectionInfo>) -> Result<Vec<ConnectionInfo>, RedisUrlError> {
    let first = infos.first().ok_or(RedisUrlError::NO_URL)?;
    if infos.iter().any(|info| tls(info) != tls(first)) {
        return Err(RedisUrlError::TLS);
    }
    Ok(infos)
}

/// If the server is asked for TLS: whether that checks no certificate, and whether there are certificates of the app.
fn tls(info: &ConnectionInfo) -> Option<(bool, bool)> {
    match info.addr() {
        ConnectionAddr::TcpTls {
            insecure,
            tls_params,
            ..
        } => Some((*insecure, tls_params.is_some())),
        _ => None,
    }
}

/// Another server, with the settings of this one: its login, and TLS with its certificates.
pub(in super::super::super) fn elsewhere(
    info: &ConnectionInfo,
    host: String,
    port: u16,
) -> ConnectionInfo {
    let addr = match info.addr() {
        ConnectionAddr::TcpTls {
            insecure,
            tls_params,
            ..
        } => ConnectionAddr::TcpTls {
            host,
            port,
            insecure: *insecure,
            tls_params: tls_params.clone(),
        },
        _ => ConnectionAddr::Tcp(host, port),
    };
    info.clone().set_addr(addr)
}

impl fmt::Display for RedisUrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for RedisUrlError {}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use deadpool_redis::redis::RedisConnectionInfo;

    use super::{super::RedisSource, *};

    fn of(tls: &[Option<bool>]) -> Vec<ConnectionInfo> {
        let info = |(at, &tls): (u16, &Option<bool>)| {
            let (host, port) = ("redis".to_owned(), 6379 + at);
            let addr = match tls {
                None => ConnectionAddr::Tcp(host, port),
                Some(insecure) => ConnectionAddr::TcpTls {
                    host,
                    port,
                    insecure,
                    tls_params: None,
                },
            };
            parse("redis://redis").unwrap().set_addr(addr)
        };
        (0..).zip(tls).map(info).collect()
    }

    #[test]
    fn servers_that_are_asked_for_tls_beside_others_that_are_not_are_refused() {
        let refused = |tls: &[Option<bool>]| {
            let clients = || of(tls).into_iter().map(|info| Client::open(info).unwrap());
            let login = RedisConnectionInfo::default();
            let both = [
                RedisSource::cluster_from_clients(clients()),
                RedisSource::sentinel_from_clients(clients(), "mymaster", login),
            ];
            both.map(|made| made.map(drop).map_err(|error| error.0))
        };
        let (plain, checked, unchecked) = (None, Some(false), Some(true));

        for same in [plain, checked, unchecked] {
            assert_eq!(refused(&[same; 3]), [Ok(()); 2]);
        }
        for mixed in [[plain, checked], [checked, plain], [checked, unchecked]] {
            assert_eq!(refused(&mixed), [Err(RedisUrlError::TLS.0); 2], "{mixed:?}");
        }
        assert_eq!(refused(&[]), [Err(RedisUrlError::NO_URL.0); 2]);
    }

    #[test]
    fn no_server_at_all_is_refused() {
        let login = RedisConnectionInfo::default();
        let made = [
            RedisSource::cluster::<&str>([]),
            RedisSource::sentinel([""; 0], "mymaster", login),
        ];

        let refused = made.map(|made| made.map(drop).map_err(|error| error.0));

        assert_eq!(refused, [Err(RedisUrlError::NO_URL.0); 2]);
    }

    fn clients(urls: &[&str]) -> Vec<Client> {
        urls.iter().map(|&url| Client::open(url).unwrap()).collect()
    }

    #[test]
    fn clients_lead_where_their_urls_lead() {
        let urls = ["redis://a:b@n1:7001", "redis://n2:7002"];
        let led = |source: RedisSource| {
            let seeds = Arc::clone(source.seeds().unwrap());
            let led = |info: &ConnectionInfo| {
                (
                    info.addr().to_string(),
                    info.redis_settings().password().map(str::to_owned),
                )
            };
            seeds.iter().map(led).collect::<Vec<_>>()
        };

        let by_clients = led(RedisSource::cluster_from_clients(clients(&urls)).unwrap());

        assert_eq!(by_clients, led(RedisSource::cluster(urls).unwrap()));
        let password = Some("b".to_owned());
        assert_eq!(
            by_clients,
            [
                ("n1:7001".to_owned(), password),
                ("n2:7002".to_owned(), None)
            ]
        );
    }

    #[test]
    fn nodes_with_two_logins_are_refused() {
        let urls = ["redis://a:b@n1:7001", "redis://a:c@n2:7002"];
        let refused = RedisSource::cluster(urls).map(drop).unwrap_err();
        let by_clients = RedisSource::cluster_from_clients(clients(&urls))
            .map(drop)
            .unwrap_err();

        assert_eq!([refused.0, by_clients.0], [RedisUrlError::LOGINS.0; 2]);
    }

    #[test]
    fn an_error_of_a_url_for_tls_names_the_feature_that_it_needs() {
        let message = |url| parse(url).unwrap_err().to_string();

        assert!(message("rediss://[").contains("tokio-rustls-comp"));
        assert!(!message("redis://[").contains("tokio-rustls-comp"));
    }
}
