//! Asks sentinels which server is the master.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use deadpool_redis::redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, RedisConnectionInfo,
    RedisResult, aio::MultiplexedConnection, pipe,
};
use tokio::task::JoinSet;

use super::outage::Outage;
use crate::store::StoreErrorKind;

/// How long one sentinel may take.
const PATIENCE: Duration = Duration::from_millis(500);

/// How long the others may take once most have answered.
const THE_OTHERS: Duration = Duration::from_millis(50);

/// The sentinels of a master.
pub(super) struct Sentinels {
    all: Vec<ConnectionInfo>,
    master: String,
    /// Who signs in to the servers themselves.
    login: RedisConnectionInfo,
    /// Open connections, by the place of the sentinel.
    open: Mutex<HashMap<usize, MultiplexedConnection>>,
}

/// What a sentinel says.
#[derive(Clone, Debug)]
pub(super) struct Named {
    host: String,
    port: u16,
    /// Of two answers the one with the higher epoch is the newer.
    epoch: u64,
}

impl Sentinels {
    pub(super) fn new(
        all: Vec<ConnectionInfo>,
        master: String,
        login: RedisConnectionInfo,
    ) -> Self {
        Self {
            all,
            master,
            login,
            open: Mutex::default(),
        }
    }

    pub(super) fn master(&self) -> &str {
        &self.master
    }

    /// Asks all at once, and takes the newest answer once most have answered.
    pub(super) async fn ask(&self) -> Result<Named, Outage> {
        let mut asked = JoinSet::new();
        for (place, info) in self.all.iter().enumerate() {
            let open = self.open().remove(&place);
            let (info, master) = (info.clone(), self.master.clone());
            asked.spawn(async move {
                let answer = tokio::time::timeout(PATIENCE, ask(info, open, &master)).await;
                (place, answer)
            });
        }
        let (mut answers, mut newest, mut outage) = (0, None::<Named>, None);
        let mut patience = PATIENCE;
        while let Ok(Some(joined)) = tokio::time::timeout(patience, asked.join_next()).await {
            match joined {
                Ok((place, Ok(Ok((connection, named))))) => {
                    self.open().insert(place, connection);
                    answers += 1;
                    let is_newer = |known: &Named| named.epoch > known.epoch;
                    if newest.as_ref().is_none_or(is_newer) {
                        newest = Some(named);
                    }
                    if answers * 2 > self.all.len() {
                        // The one that led a failover knows of it first.
                        patience = THE_OTHERS;
                    }
                }
                Ok((_, Ok(Err(error)))) => outage = Some(Outage::of(error)),
                Ok((_, Err(elapsed))) => {
                    outage = Some(Outage::new(StoreErrorKind::Timeout, elapsed));
                }
                Err(stopped) => outage = Some(Outage::new(StoreErrorKind::Unavailable, stopped)),
            }
        }
        newest.ok_or_else(|| {
            outage.unwrap_or_else(|| {
                Outage::new(StoreErrorKind::Unavailable, "there are no sentinels")
            })
        })
    }

    /// How to connect to a server: as to the sentinels (TLS), under the login of the servers.
    pub(super) fn server(&self, named: &Named) -> Option<ConnectionInfo> {
        let sentinel = self.all.first()?;
        let addr = match sentinel.addr() {
            ConnectionAddr::TcpTls {
                insecure,
                tls_params,
                ..
            } => ConnectionAddr::TcpTls {
                host: named.host.clone(),
                port: named.port,
                insecure: *insecure,
                tls_params: tls_params.clone(),
            },
            _ => ConnectionAddr::Tcp(named.host.clone(), named.port),
        };
        let info = sentinel.clone().set_addr(addr);
        Some(info.set_redis_settings(self.login.clone()))
    }

    fn open(&self) -> std::sync::MutexGuard<'_, HashMap<usize, MultiplexedConnection>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Named {
    /// Whether this one takes the place of the other.
    pub(super) fn replaces(&self, other: &Self) -> bool {
        self.epoch >= other.epoch && (&self.host, self.port) != (&other.host, other.port)
    }
}

/// Asks one sentinel, on its open connection if there is one.
async fn ask(
    info: ConnectionInfo,
    open: Option<MultiplexedConnection>,
    master: &str,
) -> RedisResult<(MultiplexedConnection, Named)> {
    if let Some(mut connection) = open
        && let Ok(named) = master_of(&mut connection, master).await
    {
        return Ok((connection, named));
    }
    let config = AsyncConnectionConfig::new().set_connection_timeout(Some(PATIENCE));
    let mut connection = Client::open(info)?
        .get_multiplexed_async_connection_with_config(&config)
        .await?;
    let named = master_of(&mut connection, master).await?;
    Ok((connection, named))
}

async fn master_of(connection: &mut MultiplexedConnection, master: &str) -> RedisResult<Named> {
    // The address as soon as one is promoted: `MASTER` has the previous one until all replicas follow.
    let mut asks = pipe();
    asks.cmd("SENTINEL")
        .arg("GET-MASTER-ADDR-BY-NAME")
        .arg(master);
    asks.cmd("SENTINEL").arg("MASTER").arg(master);
    let ((host, port), about): ((String, u16), HashMap<String, String>) =
        asks.query_async(connection).await?;
    let epoch = about.get("config-epoch").and_then(|text| text.parse().ok());
    Ok(Named {
        host,
        port,
        epoch: epoch.unwrap_or_default(),
    })
}
