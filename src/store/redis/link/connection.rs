//! One open connection to one server, and what is known of it.

use std::{
    pin::{Pin, pin},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use deadpool_redis::redis::{
    Cmd, ErrorKind, Pipeline, RedisError, RedisResult, Value, aio::ConnectionLike, cmd,
    from_redis_value,
};
use tokio::{runtime::Handle, sync::Notify};

use super::{
    super::{
        reply::{Alone, Expected, Reply},
        script::source::Script,
    },
    failure::is_of_writes,
    outage::Outage,
    sentinel::Named,
    source::{Opened, Wire},
    unless,
};
use crate::{model::clock::Monotonic, store::StoreErrorKind};

/// No sample of the server's time.
const UNKNOWN: i64 = i64::MIN;

/// After so long without a reply, in ms, a server is not merely slow.
const STALLED: i64 = 150;

/// Asks a server whether it runs scripts that write, and for its time.
static PROBE: LazyLock<Script> = LazyLock::new(|| {
    Script::of(&[
        "#!lua flags=allow-oom",
        "local time = redis.call('TIME')",
        "return { 1, time[1] * 1000 + math.floor(time[2] / 1000), ARGV[1] }",
    ])
});

/// What the server lists this client as.
const NAME: &str = env!("CARGO_PKG_NAME");

/// An open connection that answered once.
pub(in super::super) struct Connection {
    wire: Wire,
    /// What the sentinels said when it was opened.
    pub(super) named: Option<Named>,
    /// Which one it is, in the order of opening.
    pub(super) number: u64,
    /// Where its driver runs.
    pub(super) runtime: Handle,
    /// When the last reply came, in ms.
    heard: AtomicI64,
    /// When a reply came last after a while without any, in ms.
    woke: AtomicI64,
    /// The server's time less ours by the clock that does not jump, in ms, by the last reply.
    offset: AtomicI64,
    /// Whether the server knows the first line of a script. Those without (`KeyDB`, Dragonfly) are sent the rest.
    shebang: AtomicBool,
    stopped: AtomicBool,
    stop: Notify,
}

impl Connection {
    pub(super) fn new(opened: Opened) -> Self {
        static OPENED: AtomicU64 = AtomicU64::new(1);
        Self {
            wire: opened.wire,
            named: opened.named,
            number: OPENED.fetch_add(1, Ordering::Relaxed),
            runtime: Handle::current(),
            heard: AtomicI64::new(Monotonic::now().as_millis()),
            woke: AtomicI64::new(i64::MIN),
            offset: AtomicI64::new(UNKNOWN),
            shebang: AtomicBool::new(true),
            stopped: AtomicBool::new(false),
            stop: Notify::new(),
        }
    }

    /// The number of its database.
    pub(in super::super) fn database(&self) -> i64 {
        self.wire.database()
    }

    /// Sends a command and waits for the reply, or until the connection is stopped.
    pub(in super::super) async fn send(&self, command: &Cmd) -> RedisResult<Value> {
        let mut wire = self.wire.clone();
        self.unless_stopped(pin!(wire.send(command))).await
    }

    /// Sends a command about a key that moves to this node: `ASKING` stands directly before it.
    pub(super) async fn send_asking(&self, command: Cmd) -> RedisResult<Value> {
        let mut wire = self.wire.clone();
        self.unless_stopped(pin!(wire.send_asking(command))).await
    }

    /// Sends these as one, and waits for the answer to each, which may be an error.
    pub(super) async fn send_all(&self, commands: &Pipeline) -> RedisResult<Vec<Value>> {
        let count = commands.len();
        match self.wire.clone() {
            Wire::One(mut connection) => {
                let all = pin!(connection.send_packed_commands(commands, 0, count));
                self.unless_stopped(all).await
            }
            Wire::Cluster(mut connection) => {
                let all = pin!(connection.req_packed_commands(commands, 0, count));
                self.unless_stopped(all).await
            }
        }
    }

    /// Waits for this, or until the connection is stopped. The caller pins it: this future would hold it twice.
    pub(super) async fn unless_stopped<T>(
        &self,
        sent: Pin<&mut impl Future<Output = RedisResult<T>>>,
    ) -> RedisResult<T> {
        // From here on it notices a `stop`, also before it is polled.
        let stopped = pin!(self.stop.notified());
        if self.is_stopped() {
            return Err(replaced());
        }
        let answer = unless(sent, stopped).await;
        answer.unwrap_or_else(|| Err(replaced()))
    }

    /// Fails all calls in flight on it, and those that come: the handles that they hold would keep it open.
    pub(in super::super) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.stop.notify_waiters();
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    /// A reply has come.
    pub(super) fn hear(&self, now: i64) {
        let before = self.heard.swap(now, Ordering::Relaxed);
        if now.saturating_sub(before) > STALLED {
            self.woke.store(now, Ordering::Relaxed);
        }
    }

    /// Whether no reply came for a while since that moment.
    pub(super) fn stalled(&self, since: i64) -> bool {
        self.heard() < since || self.woke.load(Ordering::Relaxed) >= since
    }

    /// When the last reply came, in ms.
    pub(super) fn heard(&self) -> i64 {
        self.heard.load(Ordering::Relaxed)
    }

    /// Notes the server's time from a reply that came at `now`, to what was sent at `sent`.
    pub(super) fn note_time(&self, server: i64, sent: i64, now: i64) {
        let known = self.offset.load(Ordering::Relaxed);
        let offset = offset(known, server, sent, now);
        if offset != known {
            self.offset.store(offset, Ordering::Relaxed);
        }
    }

    /// The moment by the server's clock after which nobody waits for a call.
    ///
    /// Never later than that: the sample was taken on the server before it was noted here.
    pub(super) fn latest(&self, given_up: i64) -> Option<i64> {
        match self.offset.load(Ordering::Relaxed) {
            // Each primary of a Cluster has a clock of its own.
            _ if self.is_cluster() => None,
            UNKNOWN => None,
            offset => Some(offset.saturating_add(given_up)),
        }
    }

    pub(super) fn is_cluster(&self) -> bool {
        matches!(self.wire, Wire::Cluster(_))
    }

    /// Whether scripts are sent with their first line.
    pub(in super::super) fn shebang(&self) -> bool {
        self.shebang.load(Ordering::Relaxed)
    }

    /// Finds out whether the server answers, and takes a sample of its time.
    ///
    /// A server that is stopped accepts connections, and one that loads answers `TIME`.
    pub(in super::super) async fn probe(&self, patience: Duration) -> Result<(), Outage> {
        if self.is_cluster() {
            // Any node would answer, and the one that is stopped would not: it was asked when this was opened.
            return Ok(());
        }
        match tokio::time::timeout(patience, self.ask()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Outage::of(error)),
            Err(elapsed) => Err(Outage::new(StoreErrorKind::Timeout, elapsed)),
        }
    }

    /// Names this client to the server, where it may.
    pub(super) async fn introduce(&self, patience: Duration) {
        if !self.is_cluster() {
            let mut command = cmd("CLIENT");
            command.arg("SETNAME").arg(NAME);
            let _ = tokio::time::timeout(patience, self.send(&command)).await;
        }
    }

    async fn ask(&self) -> RedisResult<()> {
        let mut sent = Monotonic::now().as_millis();
        let mut answer = self.send(&self.question()).await;
        if let Err(error) = &answer
            && error
                .detail()
                .is_some_and(|detail| detail.contains("compiling"))
        {
            self.shebang.store(false, Ordering::Relaxed);
            sent = Monotonic::now().as_millis();
            answer = self.send(&self.question()).await;
        }
        let server = match answer {
            Ok(value) => Reply::new(value, &EXPECTED).map(|reply| reply.now()),
            // It answers, and says why it takes no writes for now; calls that read still work.
            Err(error) if is_of_writes(&error) => {
                sent = Monotonic::now().as_millis();
                self.time().await?
            }
            Err(error) => return Err(error),
        };
        let server = server.ok_or_else(|| {
            RedisError::from((ErrorKind::UnexpectedReturnType, "the probe has no answer"))
        })?;
        let now = Monotonic::now().as_millis();
        self.hear(now);
        self.note_time(server, sent, now);
        Ok(())
    }

    /// The server's time, in ms.
    pub(in super::super) async fn time(&self) -> RedisResult<Option<i64>> {
        self.send(&cmd("TIME")).await.map(time)
    }

    fn question(&self) -> Cmd {
        let mut command = cmd("EVAL");
        command
            .arg(PROBE.text(self.shebang()))
            .arg(0)
            .arg(&EXPECTED.of[..]);
        command
    }
}

const EXPECTED: Expected = Expected {
    of: *b"probing.",
    alone: Alone::Never,
};

fn replaced() -> RedisError {
    RedisError::from((ErrorKind::Io, "the connection was replaced"))
}

/// The offset to go by after a reply with the server's time.
///
/// A reply that was on its way for long shows an offset that is too small. It does not replace a larger one that may still
/// be true: where replies queue, the server would refuse what comes in time.
fn offset(known: i64, server: i64, sent: i64, now: i64) -> i64 {
    let (least, most) = (server.saturating_sub(now), server.saturating_sub(sent));
    if (least..=most).contains(&known) {
        known
    } else {
        least
    }
}

/// The answer to `TIME`, in ms.
fn time(answer: Value) -> Option<i64> {
    let (seconds, micros) = from_redis_value::<(i64, i64)>(answer).ok()?;
    seconds.checked_mul(1_000)?.checked_add(micros / 1_000)
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

/// Connections are shared by calls, the keeper and the link.
pub(super) type Shared = Arc<Connection>;

#[cfg(test)]
mod tests {
    use super::{UNKNOWN, offset};

    #[test]
    fn a_late_reply_does_not_make_the_servers_clock_seem_slow() {
        assert_eq!(offset(UNKNOWN, 1_000, 10, 12), 988);
        assert_eq!(offset(988, 1_500, 510, 1_110), 988, "600 ms on its way");
        assert_eq!(offset(988, 1_500, 511, 511), 989, "a better sample");
    }

    #[test]
    fn a_clock_that_jumped_is_followed() {
        assert_eq!(offset(988, 500, 510, 512), -12, "back");
        assert_eq!(offset(988, 9_000, 510, 512), 8_488, "ahead");
        assert_eq!(offset(988, 1_400, 510, 515), 885, "a little back");
    }
}
