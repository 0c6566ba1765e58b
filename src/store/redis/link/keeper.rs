//! The one background task of a link: it opens connections, and looks after those that there are.

use std::{future::Future, pin::pin, sync::Arc, time::Duration};

use tokio::{sync::watch, task::JoinSet};

use super::{
    Inner, backoff,
    connection::{Connection, Shared},
    outage::Outage,
    state::{Task, Wants},
    unless,
};
use crate::{
    model::clock::{Monotonic, millis},
    store::{StoreErrorKind, meter},
};

/// A connection that breaks so soon after it was opened, in ms, is not opened again at once.
const FLAPPED: i64 = 100;

/// A server that refuses all calls or breaks connections so soon after the link went up, in ms, is tried again later each
/// time.
const SETTLED: i64 = 2_000;

/// How long calls wait at most on connections without an answer, once another one answers.
const LATE_REPLIES: Duration = Duration::from_secs(1);

/// While the master of before does not answer, sentinels are asked again after this.
const RENAMED: Duration = Duration::from_millis(200);

/// Looks after a link until it is dropped, which stops this task.
pub(super) async fn keep(link: Arc<Inner>) {
    let (mut failed, mut refused, mut broken, mut up_since) = (0, 0, 0, i64::MIN);
    let mut switched = link.source.sentinels().map(|all| all.switched());
    loop {
        let nudged = link.nudge.notified();
        let now = Monotonic::now().as_millis();
        let task = link.state().task(now, link.wants());
        match task {
            Task::Connect => {
                let lasted = now.saturating_sub(up_since);
                if let Some(outage) = link.refusal() {
                    // At once the first time. A server whose probe does not find out that it refuses comes up again.
                    if failed == 0 {
                        refused = if lasted < SETTLED { refused + 1 } else { 0 };
                        if refused > 1 {
                            tokio::time::sleep(backoff::pause(refused - 1, &outage)).await;
                        }
                    }
                } else if lasted >= SETTLED {
                    broken = 0;
                } else if lasted < FLAPPED && failed == 0 {
                    broken += 1;
                    tokio::time::sleep(backoff::broken(broken)).await;
                }
                let began = Monotonic::now();
                let probes = link.probes();
                match link.attempt(link.patience).await {
                    Ok(connection) => {
                        (failed, up_since) = (0, Monotonic::now().as_millis());
                        link.up(connection);
                    }
                    Err(outage) => {
                        failed += 1;
                        let mut pause = backoff::pause(failed, &outage);
                        if link.source.is_sentinel() && !outage.is_denied() {
                            pause = pause.min(RENAMED);
                        }
                        // A full backlog of a Unix socket counts as a timeout, and is found out at once.
                        pause = pause.max(backoff::STEP.saturating_sub(began.elapsed()));
                        link.still_down(&outage);
                        if let Some(connection) = link.resumed(probes, &outage, pause).await {
                            (failed, up_since) = (0, Monotonic::now().as_millis());
                            link.up(connection);
                        }
                    }
                }
            }
            Task::Judge(suspect, spare, since) => link.judge(&suspect, spare, since).await,
            Task::OpenSpare => {
                let opened = link.unless_urgent(link.attempt(link.patience)).await;
                link.keep_spare(opened);
            }
            Task::Look(active) => link.asks(&active, link.deadline / 2).await,
            Task::Probe(active, spare) => {
                link.unless_urgent(link.probe(&active, spare)).await;
            }
            Task::Bury(doubted) => {
                doubted.iter().for_each(|connection| connection.stop());
            }
            Task::Ask => link.follow().await,
            Task::Wait(time) => {
                let (switched, nudged) = (pin!(changed(&mut switched)), pin!(nudged));
                let switched = tokio::time::timeout(time, unless(switched, nudged));
                if switched.await == Ok(Some(())) {
                    link.state().switched();
                }
            }
        }
    }
}

/// Waits until a sentinel reports that it names another master; for ever if there is none.
async fn changed(switched: &mut Option<watch::Receiver<()>>) {
    if let Some(switched) = switched
        && switched.changed().await.is_ok()
    {
        return;
    }
    std::future::pending::<()>().await;
}

impl Inner {
    /// Opens a connection, and finds out whether the server answers.
    pub(super) async fn attempt(&self, patience: Duration) -> Result<Shared, Outage> {
        let opened = tokio::time::timeout(patience, async {
            let connection = Connection::new(self.source.open(patience).await?);
            connection.probe(patience).await?;
            Ok(Arc::new(connection))
        });
        let opened = match self.unless_renamed(opened).await {
            Some(Ok(opened)) => opened,
            Some(Err(elapsed)) => Err(Outage::new(StoreErrorKind::Timeout, elapsed)),
            None => Err(Outage::new(
                StoreErrorKind::Timeout,
                "the sentinels named another master meanwhile",
            )),
        };
        meter::link::connected(opened.is_ok());
        if let Ok(connection) = &opened {
            let (connection, patience) = (Arc::clone(connection), self.quarter);
            tokio::spawn(async move { connection.introduce(patience).await });
        }
        opened
    }

    /// Asks the connections that were silent whether they answer again, beside the attempt to open another one. They are of no
    /// use where that leads to another server, perhaps.
    fn probes(&self) -> JoinSet<Option<Shared>> {
        if !self.source.leads_to_one() {
            return JoinSet::new();
        }
        let (doubted, patience) = (self.state().doubted(), self.patience);
        let probe = |connection: Shared| async move {
            let probed = connection.probe(patience).await;
            probed.is_ok().then_some(connection)
        };
        doubted.into_iter().map(probe).collect()
    }

    /// A connection that answers again, where no other one can be opened; `None` once the pause is over.
    ///
    /// The server may have another password by now. Or it has no place for one more connection, and would have none as long as
    /// the silent ones are kept.
    async fn resumed(
        &self,
        mut probes: JoinSet<Option<Shared>>,
        outage: &Outage,
        pause: Duration,
    ) -> Option<Shared> {
        if outage.refuses || outage.not_ready {
            // The attempt may have met another server than they lead to.
            probes = JoinSet::new();
        }
        let resumed = async {
            while let Some(probed) = probes.join_next().await {
                if let Ok(Some(connection)) = probed
                    && self.is_to_master(&connection).await
                {
                    return connection;
                }
            }
            std::future::pending().await
        };
        unless(pin!(resumed), pin!(tokio::time::sleep(pause))).await
    }

    /// Whether most sentinels answer, and none names a newer master than the server of this connection; true where there are
    /// no sentinels.
    async fn is_to_master(&self, connection: &Connection) -> bool {
        let Some(sentinels) = self.source.sentinels() else {
            return true;
        };
        match (sentinels.ask(self.patience).await, &connection.named) {
            (Ok(now), Some(before)) => now.most && !now.master.replaces(before),
            _ => false,
        }
    }

    /// Goes on with what can wait, unless something comes up that cannot.
    async fn unless_urgent<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        loop {
            if let Some(done) = unless(work.as_mut(), pin!(self.nudge.notified())).await {
                return Some(done);
            }
            if self.state().is_urgent() {
                return None;
            }
        }
    }

    /// Waits for an attempt, unless the sentinels come to name another master: the one of before may never answer.
    async fn unless_renamed<T>(&self, attempt: impl Future<Output = T>) -> Option<T> {
        let Some(sentinels) = self.source.sentinels() else {
            return Some(attempt.await);
        };
        let renamed = async {
            let mut before = None;
            loop {
                tokio::time::sleep(RENAMED).await;
                before = before.or_else(|| sentinels.newest());
                match (sentinels.ask(self.patience).await, &before) {
                    (Ok(now), Some(before)) if now.master.replaces(before) => return,
                    (Ok(now), _) => before = Some(now.master),
                    (Err(_), _) => {}
                }
            }
        };
        unless(pin!(attempt), pin!(renamed)).await
    }

    /// Keeps the spare that was opened; `None` if something more urgent came up.
    fn keep_spare(&self, opened: Option<Result<Shared, Outage>>) {
        let now = Monotonic::now().as_millis();
        let Some(Err(outage)) = opened else {
            self.state().keep_spare(opened.and_then(Result::ok), now);
            return;
        };
        let is_news = self.state().no_spare(&outage, now);
        if is_news && outage.is_denied() {
            tracing::warn!(
                server = %self.server,
                error = outage.cause(),
                "Redis refuses the password, and only connections that are open still work"
            );
        } else if is_news {
            tracing::warn!(
                server = %self.server,
                kind = ?outage.kind,
                error = outage.cause(),
                "no second connection to Redis can be opened, and only the one that is open still works"
            );
        }
    }

    /// Why the link is down, if its server answers and refuses all calls.
    fn refusal(&self) -> Option<Outage> {
        let state = self.state();
        state.outage().filter(|outage| outage.refuses).cloned()
    }

    fn up(&self, connection: Shared) {
        self.limit.connected();
        let was_down = self.state().go_up(connection, Monotonic::now().as_millis());
        self.changed.notify_waiters();
        if let Some(after) = was_down {
            if let Some(member) = &self.member {
                member.up.notify_waiters();
            }
            meter::link::went(true);
            tracing::info!(server = %self.server, after_ms = after, "the link to Redis is up again");
        }
    }

    fn still_down(&self, outage: &Outage) {
        let was_known = {
            let mut state = self.state();
            let was_known = state.outage().is_some();
            state.still_down(outage.clone(), Monotonic::now().as_millis());
            was_known
        };
        self.changed.notify_waiters();
        if !was_known {
            self.log_down(outage);
        }
    }

    /// Which is silent, this connection or the server?
    async fn judge(&self, suspect: &Shared, spare: Option<Shared>, since: i64) {
        let heard = suspect.heard();
        let answer = match &spare {
            Some(spare) => spare.probe(self.quarter).await.map(|()| None),
            None if suspect.is_cluster() => self.attempt(self.patience).await.map(Some),
            None => self.attempt(self.quarter).await.map(Some),
        };
        let now = Monotonic::now().as_millis();
        // Of a Cluster one primary is silent, and the others answer on the same connection.
        let answers = suspect.heard() > heard;
        if answers && (!suspect.is_cluster() || answer.is_err()) {
            self.state().acquit(now);
            return;
        }
        match answer {
            Ok(opened) => {
                tracing::warn!(server = %self.server, "a connection to Redis fell silent and is replaced");
                meter::link::replaced("silent");
                {
                    let mut state = self.state();
                    state.keep_spare(opened, now);
                    state.promote(now);
                }
                suspect.stop();
                self.changed.notify_waiters();
            }
            // Who serves instead is found out from now on.
            Err(outage) if outage.refuses => self.down(&outage, now),
            Err(outage) => self.down(&outage, since),
        }
    }

    /// Uses connections that are idle, so that they stay open, and finds out whether they still work.
    async fn probe(self: &Arc<Self>, active: &Shared, spare: Option<Shared>) {
        let patience = self.deadline.min(self.patience);
        if let Some(spare) = spare
            && let Err(outage) = spare.probe(patience).await
        {
            spare.stop();
            self.broke(&spare, &outage);
        }
        self.asks(active, patience).await;
    }

    /// Finds out whether the server answers on the connection that calls share. If not, a second one decides.
    async fn asks(self: &Arc<Self>, active: &Shared, patience: Duration) {
        let began = Monotonic::now().as_millis();
        let (asked, longer) = (Arc::clone(active), patience.saturating_add(self.quarter));
        // In a task: an answer that comes while the judge is at work counts too.
        let probe = tokio::spawn(async move { asked.probe(longer).await });
        match tokio::time::timeout(patience, probe).await {
            Ok(Ok(Ok(()))) => self.served(),
            _ if active.heard() < began => self.suspect(active, began),
            _ => {}
        }
    }

    fn wants(&self) -> Wants {
        Wants {
            spare: !self.source.is_cluster(),
            master: self.source.sentinels().is_some(),
            patience: millis((self.quarter / 2).min(LATE_REPLIES)),
        }
    }

    /// Goes to the master of now, if that is another one than before.
    async fn follow(&self) {
        let (active, began) = (self.state().active().cloned(), Monotonic::now().as_millis());
        let mut most = true;
        if let Some(sentinels) = self.source.sentinels() {
            let before = active.and_then(|active| active.named.clone());
            let answer = sentinels.ask(self.patience).await;
            most = answer.as_ref().is_ok_and(|now| now.most);
            let replaces = match (answer, before) {
                (Ok(now), Some(before)) => now.master.replaces(&before),
                _ => false,
            };
            if !replaces {
                self.state().asked(began, most);
                return;
            }
            meter::link::replaced("master");
            tracing::warn!(server = %self.server, "the sentinels name another master");
        }
        let opened = self.attempt(self.patience).await;
        self.state().asked(began, most && opened.is_ok());
        if let Ok(connection) = opened {
            self.up(connection);
        }
    }
}
