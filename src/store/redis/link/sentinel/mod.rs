//! Asks sentinels which server is the master.

mod belief;
mod listen;

use std::{
    collections::HashMap,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use deadpool_redis::redis::{
    ConnectionInfo, RedisConnectionInfo, RedisResult, aio::MultiplexedConnection, pipe,
};
use tokio::{sync::watch, task::JoinSet};

use self::belief::Belief;
use super::{
    outage::Outage,
    source::{elsewhere, unless_it_panics},
};
use crate::{model::clock::Monotonic, store::StoreErrorKind};

pub(super) use self::belief::Named;

/// How long one sentinel may take at most: one that is silent holds up who asks.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long the others may take once most have answered.
const THE_OTHERS: Duration = Duration::from_millis(50);

/// The sentinels of a master.
pub(in super::super) struct Sentinels {
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

    /// The number of the database.
    pub(super) fn database(&self) -> i64 {
        self.login.db()
    }

    pub(super) fn master(&self) -> &str {
        &self.master
    }

    /// Changes when a sentinel reports that it names another master.
    pub(in super::super) fn switched(&self) -> watch::Receiver<()> {
        self.switched.subscribe()
    }

    /// The newest master that was named so far.
    pub(super) fn newest(&self) -> Option<Named> {
        self.belief().newest().cloned()
    }

    /// Asks all at once, and takes the newest answer once most have answered. They may take half of the time that an attempt
    /// to connect to the master may take.
    pub(super) async fn ask(self: &Arc<Self>, attempt: Duration) -> Result<Answer, Outage> {
        let patience = PATIENCE.min(attempt / 2);
        let (began, mut time) = (Monotonic::now(), patience);
        let mut asked = JoinSet::new();
        for place in 0..self.all.len() {
            let sentinels = Arc::clone(self);
            asked.spawn(
                async move { unless_it_panics(pin!(sentinels.ask_one(place, patience))).await },
            );
        }
        let (mut answers, mut outage) = (Vec::new(), None);
        loop {
            let left = time.saturating_sub(began.elapsed());
            let Ok(Some(joined)) = tokio::time::timeout(left, asked.join_next()).await else {
                break;
            };
            match joined {
                Ok(Ok(named)) => answers.push(named),
                Ok(Err(error)) => outage = Some(error),
                Err(stopped) => {
                    outage = Some(Outage::new(StoreErrorKind::Unavailable, stopped));
                }
            }
            if self.are_most(answers.len()) {
                // The one that led a failover knows of it first.
                time = time.min(began.elapsed() + THE_OTHERS);
            }
        }
        // The others go on for a moment: their connections are open then for the next time.
        asked.detach_all();
        let (most, now) = (self.are_most(answers.len()), Monotonic::now().as_millis());
        let master = self.belief().form(answers, self.all.len(), now);
        master
            .map(|master| Answer { master, most })
            .ok_or_else(|| outage.unwrap_or_else(|| self.silence()))
    }

    /// None of them answered, nor failed.
    fn silence(&self) -> Outage {
        if self.all.is_empty() {
            Outage::new(StoreErrorKind::Unavailable, "there are no sentinels")
        } else {
            Outage::new(StoreErrorKind::Timeout, "no sentinel answered in time")
        }
    }

    fn are_most(&self, sentinels: usize) -> bool {
        sentinels * 2 > self.all.len()
    }

    /// A connection may take twice as long to open as who asks waits: through TLS from far away each one would be given up
    /// shortly before it is open, and none would ever be used.
    async fn ask_one(&self, place: usize, patience: Duration) -> Result<Named, Outage> {
        let none = || Outage::new(StoreErrorKind::Unavailable, "there is no such sentinel");
        let info = self.all.get(place).cloned().ok_or_else(none)?;
        let open = self.open().get(&place).cloned();
        let was_open = open.is_some();
        let answer = ask(info, open, &self.master, &self.switched, patience);
        let failed = match tokio::time::timeout(2 * patience, answer).await {
            Ok(Ok((connection, named))) => {
                self.open().insert(place, connection);
                return Ok(named);
            }
            Ok(Err(error)) => Outage::of(error),
            Err(elapsed) => Outage::new(StoreErrorKind::Timeout, elapsed),
        };
        // Else it is the one of another question, which began meanwhile.
        if was_open {
            self.open().remove(&place);
        }
        Err(failed)
    }

    /// How to connect to a server: as to the sentinels (TLS), under the login of the servers.
    pub(super) fn server(&self, named: &Named) -> Option<ConnectionInfo> {
        let sentinel = self.all.first()?;
        let info = elsewhere(sentinel, named.host.clone(), named.port);
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
    patience: Duration,
) -> RedisResult<(MultiplexedConnection, Named)> {
    if let Some(mut connection) = open
        && let answer = tokio::time::timeout(patience / 2, master_of(&mut connection, master))
        && let Ok(Ok(named)) = answer.await
    {
        return Ok((connection, named));
    }
    let mut connection = listen::open(info, master, switched, 2 * patience).await?;
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

#[cfg(test)]
mod tests {
    use deadpool_redis::redis::IntoConnectionInfo;

    use super::*;

    #[test]
    fn most_sentinels_are_more_than_half_of_them() {
        let info = || "redis://127.0.0.1:1".into_connection_info().unwrap();
        let are_most = |sentinels, answers| {
            let all = (0..sentinels).map(|_| info()).collect();
            let login = RedisConnectionInfo::default();
            Sentinels::new(all, "main".to_owned(), login).are_most(answers)
        };
        for (sentinels, most) in [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3)] {
            assert!(are_most(sentinels, most) && !are_most(sentinels, most - 1));
        }
    }
}
