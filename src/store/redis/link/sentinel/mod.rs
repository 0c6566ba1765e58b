//! Asks sentinels which server is the master.

mod belief;
mod listen;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use deadpool_redis::redis::{
    ConnectionAddr, ConnectionInfo, RedisConnectionInfo, RedisResult, aio::MultiplexedConnection,
    pipe,
};
use tokio::{sync::watch, task::JoinSet};

use self::belief::Belief;
use super::outage::Outage;
use crate::{model::clock::Monotonic, store::StoreErrorKind};

pub(super) use self::belief::Named;

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
    belief: Mutex<Belief>,
    /// Changes when a sentinel reports that it names another master.
    switched: Arc<watch::Sender<()>>,
}

/// What the sentinels say.
pub(super) struct Answer {
    pub(super) master: Named,
    /// Whether most of them answered.
    pub(super) most: bool,
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
            belief: Mutex::default(),
            switched: Arc::default(),
        }
    }

    pub(super) fn master(&self) -> &str {
        &self.master
    }

    /// Changes when a sentinel reports that it names another master.
    pub(super) fn switched(&self) -> watch::Receiver<()> {
        self.switched.subscribe()
    }

    /// The newest master that was named so far.
    pub(super) fn newest(&self) -> Option<Named> {
        self.belief().newest().cloned()
    }

    /// Asks all at once, and takes the newest answer once most have answered.
    pub(super) async fn ask(&self) -> Result<Answer, Outage> {
        let mut asked = JoinSet::new();
        for (place, info) in self.all.iter().enumerate() {
            let open = self.open().get(&place).cloned();
            let (info, master) = (info.clone(), self.master.clone());
            let switched = Arc::clone(&self.switched);
            asked.spawn(async move {
                let answer = ask(info, open, &master, &switched);
                (place, tokio::time::timeout(PATIENCE, answer).await)
            });
        }
        let (mut answers, mut outage) = (Vec::new(), None);
        let mut patience = PATIENCE;
        while let Ok(Some(joined)) = tokio::time::timeout(patience, asked.join_next()).await {
            let (place, failed) = match joined {
                Ok((place, Ok(Ok((connection, named))))) => {
                    self.open().insert(place, connection);
                    answers.push(named);
                    if answers.len() * 2 > self.all.len() {
                        // The one that led a failover knows of it first.
                        patience = THE_OTHERS;
                    }
                    continue;
                }
                Ok((place, Ok(Err(error)))) => (place, Outage::of(error)),
                Ok((place, Err(elapsed))) => (place, Outage::new(StoreErrorKind::Timeout, elapsed)),
                Err(stopped) => {
                    outage = Some(Outage::new(StoreErrorKind::Unavailable, stopped));
                    continue;
                }
            };
            self.open().remove(&place);
            outage = Some(failed);
        }
        let most = answers.len() * 2 > self.all.len();
        let now = Monotonic::now().as_millis();
        let master = self.belief().form(answers, self.all.len(), now);
        master.map(|master| Answer { master, most }).ok_or_else(|| {
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

    fn open(&self) -> MutexGuard<'_, HashMap<usize, MultiplexedConnection>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn belief(&self) -> MutexGuard<'_, Belief> {
        self.belief.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks one sentinel, on its open connection if there is one.
async fn ask(
    info: ConnectionInfo,
    open: Option<MultiplexedConnection>,
    master: &str,
    switched: &Arc<watch::Sender<()>>,
) -> RedisResult<(MultiplexedConnection, Named)> {
    if let Some(mut connection) = open
        && let answer = tokio::time::timeout(PATIENCE / 2, master_of(&mut connection, master))
        && let Ok(Ok(named)) = answer.await
    {
        return Ok((connection, named));
    }
    let mut connection = listen::open(info, master, switched, PATIENCE).await?;
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
    let ((host, port), mut about): ((String, u16), HashMap<String, String>) =
        asks.query_async(connection).await?;
    let epoch = about.get("config-epoch").and_then(|text| text.parse().ok());
    Ok(Named {
        host,
        port,
        run_id: about.remove("runid").unwrap_or_default(),
        epoch: epoch.unwrap_or_default(),
        ..Named::default()
    })
}
