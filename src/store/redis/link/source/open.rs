//! Opens connections.

use std::{
    any::Any,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

use deadpool::managed::Manager;
use deadpool_redis::{
    PoolError, cluster,
    redis::{
        AsyncConnectionConfig, Client, ConnectionInfo, ProtocolVersion, PushInfo, RedisResult,
        aio::{MultiplexedConnection, SendError},
        io::tcp::{TcpSettings, socket2::TcpKeepalive},
    },
};

use super::{super::sentinel::Named, Kind, Opened, Outage, RedisSource, Wire, names};
use crate::store::StoreErrorKind;

/// As many calls as may be in flight: they must not wait a second time, out of sight.
const QUEUE: usize = 2_048;

const NO_PROVIDER: &str = "TLS has no crypto provider: add the crate `rustls` to your app with its feature `ring`, and call \
     `rustls::crypto::ring::default_provider().install_default()` first in `main`";

impl RedisSource {
    /// Opens a connection. A panic of what the app brings for that is an error, too.
    pub(in super::super::super) async fn open(&self, patience: Duration) -> Result<Opened, Outage> {
        unless_it_panics(pin!(self.open_now(patience))).await
    }

    /// Opens a connection that speaks RESP3, and calls `push` in its driver for all that the server pushes.
    pub(in super::super::super) async fn listen(
        &self,
        patience: Duration,
        push: impl Fn(PushInfo) + Send + Sync + 'static,
    ) -> Result<MultiplexedConnection, Outage> {
        unless_it_panics(pin!(async {
            let (info, config, _named) = self.target(patience).await?;
            let settings = info.redis_settings().clone();
            let info = info.set_redis_settings(settings.set_protocol(ProtocolVersion::RESP3));
            let config = config.set_push_sender(move |info| {
                push(info);
                Ok::<_, SendError>(())
            });
            connect(info, config, patience).await.map_err(Outage::of)
        }))
        .await
    }

    /// Where to connect now, with which settings, and what the sentinels said.
    async fn target(
        &self,
        patience: Duration,
    ) -> Result<(ConnectionInfo, AsyncConnectionConfig, Option<Named>), Outage> {
        let mut named = None;
        let info = match &self.0 {
            Kind::Client(info, config) => {
                return Ok(((**info).clone(), (**config).clone(), None));
            }
            Kind::Asked(ask) => ask()
                .await
                .map_err(|error| Outage::new(StoreErrorKind::Unavailable, error))?,
            Kind::Seeds(seeds) => seeds.first.clone(),
            Kind::Sentinels(sentinels) => {
                let master = named.insert(sentinels.ask(patience).await?.master);
                sentinels.server(master).ok_or_else(|| {
                    Outage::new(StoreErrorKind::Unavailable, "there are no sentinels")
                })?
            }
            Kind::SentinelClient(client) => {
                let found = client.lock().await.async_get_client().await;
                found.map_err(Outage::of)?.get_connection_info().clone()
            }
            Kind::Node(_) | Kind::SentinelPool(_) | Kind::Cluster(_) => {
                let cause = "a pool does not say where it leads";
                return Err(Outage::new(StoreErrorKind::Unavailable, cause));
            }
        };
        Ok((ours(info), names::config(), named))
    }

    async fn open_now(&self, patience: Duration) -> Result<Opened, Outage> {
        let (opened, named) = match &self.0 {
            Kind::Node(pool) => (pool.manager().create().await, None),
            Kind::SentinelPool(pool) => (pool.manager().create().await, None),
            Kind::Cluster(pool) => {
                return match pool.get().await {
                    Ok(taken) => Ok(Opened {
                        wire: Wire::Cluster(cluster::Connection::take(taken)),
                        named: None,
                    }),
                    Err(PoolError::Backend(error)) => Err(Outage::of(error)),
                    Err(error @ PoolError::Timeout(_)) => {
                        Err(Outage::new(StoreErrorKind::Timeout, error))
                    }
                    Err(error) => Err(Outage::new(StoreErrorKind::Unavailable, error)),
                };
            }
            _ => {
                let (info, config, named) = self.target(patience).await?;
                (connect(info, config, patience).await, named)
            }
        };
        let mut connection = opened.map_err(Outage::of)?;
        // The deadline of the call decides. A timeout in here would hide that the call is still in flight.
        connection.set_response_timeout(Duration::MAX);
        Ok(Opened {
            wire: Wire::One(connection),
            named,
        })
    }
}

/// What an attempt to connect came to. What the app brings for it may panic, and so may TLS.
pub(in super::super) async fn unless_it_panics<T>(
    mut attempt: Pin<&mut impl Future<Output = Result<T, Outage>>>,
) -> Result<T, Outage> {
    poll_fn(|cx| {
        let polled = catch_unwind(AssertUnwindSafe(|| attempt.as_mut().poll(cx)));
        polled.unwrap_or_else(|payload| Poll::Ready(Err(panicked(&*payload))))
    })
    .await
}

/// The text of a panic was reported already. It may have a password, so no error repeats it.
fn panicked(payload: &(dyn Any + Send)) -> Outage {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
    // So rustls says that no feature and no call chose one.
    let is_of_tls = text.is_some_and(|text| text.contains("CryptoProvider"));
    let cause = if is_of_tls {
        NO_PROVIDER
    } else {
        "what the app passed to the store for connecting panicked"
    };
    Outage::new(StoreErrorKind::Unavailable, cause)
}

async fn connect(
    info: ConnectionInfo,
    config: AsyncConnectionConfig,
    patience: Duration,
) -> RedisResult<MultiplexedConnection> {
    let config = config
        .set_connection_timeout(Some(patience))
        .set_response_timeout(None)
        .set_pipeline_buffer_size(QUEUE);
    Client::open(info)?
        .get_multiplexed_async_connection_with_config(&config)
        .await
}

/// The same server, with the settings of sockets and the name that this store uses.
pub(super) fn ours(info: ConnectionInfo) -> ConnectionInfo {
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(10))
        .with_interval(Duration::from_secs(2));
    let tcp = TcpSettings::default()
        .set_nodelay(true)
        .set_keepalive(keepalive);
    let redis = info
        .redis_settings()
        .clone()
        .set_lib_name(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    info.set_tcp_settings(lost_after(tcp, Duration::from_secs(5)))
        .set_redis_settings(redis)
}

/// A connection whose bytes are not acknowledged for so long is lost.
#[cfg(target_os = "linux")]
fn lost_after(tcp: TcpSettings, patience: Duration) -> TcpSettings {
    tcp.set_user_timeout(patience)
}

#[cfg(not(target_os = "linux"))]
fn lost_after(tcp: TcpSettings, _patience: Duration) -> TcpSettings {
    tcp
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn cause(text: &str) -> String {
        let attempt = async {
            if text.is_empty() {
                return Ok(());
            }
            panic!("{text}")
        };
        let outage = unless_it_panics(pin!(attempt)).await.unwrap_err();
        assert_eq!(outage.kind, StoreErrorKind::Unavailable);
        outage.cause().to_string()
    }

    #[tokio::test]
    async fn a_panic_of_tls_says_what_to_add_and_no_panic_is_repeated() {
        let rustls = "Could not automatically determine the process-level CryptoProvider";
        assert_eq!(cause(rustls).await, NO_PROVIDER);

        let other = cause("redis://:password@host is no URL").await;
        assert!(other.contains("what the app passed"), "{other}");
        assert!(!other.contains("password"), "{other}");
    }
}
