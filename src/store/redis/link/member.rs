//! What a link has that is one of several of a Cluster.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use deadpool_redis::redis::{Cmd, ErrorKind, RedisError, ServerErrorKind, Value};
use tokio::sync::Notify;

use super::{
    Inner, Link, RedisSource,
    outage::Outage,
    progress::{Elsewhere, Next},
};
use crate::{
    model::clock::Monotonic,
    store::{StoreError, StoreErrorKind, meter},
};

/// One of the links of a Cluster.
pub(super) struct Member {
    /// Wakes the task that reads the map, when the link goes down.
    pub(super) map: Arc<Notify>,
    /// Wakes callers of the Cluster, when the link is up again.
    pub(super) up: Arc<Notify>,
    /// How often slots of it went elsewhere: who waits here looks again then.
    losses: AtomicU64,
}

impl Link {
    /// The link to one primary of a Cluster. It wakes `map` when it goes down, and `up` when it is up again.
    pub(in super::super) fn of_cluster(
        source: RedisSource,
        deadline: Duration,
        map: Arc<Notify>,
        up: Arc<Notify>,
    ) -> Self {
        let losses = AtomicU64::new(0);
        Self::with(source, deadline, Some(Member { map, up, losses }))
    }

    /// Whether it is one of the links of a Cluster.
    pub(in super::super) fn is_member(&self) -> bool {
        self.0.member.is_some()
    }

    /// Connects without waiting for a call.
    pub(in super::super) fn start(&self) {
        self.0.wake_keeper();
    }

    /// Connects again at once if it is down: the server serves now what others served.
    pub(in super::super) fn retry(&self) {
        if !self.0.state().forgive(Monotonic::now().as_millis()) {
            return;
        }
        self.0.keeper().stop();
        self.start();
    }

    /// Whether the server does not serve, by what is known.
    pub(in super::super) fn is_down(&self) -> bool {
        self.0.state().outage().is_some()
    }

    /// Whether the server answered calls a moment ago that it is not ready: others may know better who serves its slots.
    pub(in super::super) fn is_unready(&self) -> bool {
        let now = Monotonic::now().as_millis();
        self.0.unready.load(Ordering::Relaxed) && self.0.state().is_unready(now)
    }

    /// Whether no call is in flight.
    pub(in super::super) fn is_idle(&self) -> bool {
        // Each call in flight holds its place, and each place the limit.
        Arc::strong_count(&self.0.limit) == 1
    }

    /// How often slots of it went elsewhere.
    pub(in super::super) fn losses(&self) -> u64 {
        self.0.losses()
    }

    /// Slots of it are served elsewhere now. Calls that wait here go there.
    pub(in super::super) fn lose(&self) {
        if let Some(member) = &self.0.member {
            member.losses.fetch_add(1, Ordering::AcqRel);
        }
        self.0.changed.notify_waiters();
    }

    /// It is not used any more, because other nodes serve all of its slots. If it is down, that ends its outage.
    pub(in super::super) fn report_gone(&self, now: i64) {
        let lasted = self.0.state().down_for(now);
        if let Some(after) = lasted {
            meter::link::went(true);
            tracing::info!(
                server = %self.server(),
                after_ms = after,
                "other nodes of the Redis Cluster serve what this one served"
            );
        }
    }

    /// Asks the server something besides calls, if it is not down.
    pub(in super::super) async fn ask(&self, command: &Cmd, patience: Duration) -> Option<Value> {
        let link = &self.0;
        let (connection, began) = (link.now()?, Monotonic::now().as_millis());
        match tokio::time::timeout(patience, connection.send(command)).await {
            Ok(Ok(value)) => {
                connection.hear(Monotonic::now().as_millis());
                Some(value)
            }
            Ok(Err(error)) => {
                if error.is_io_error() {
                    link.broke(&connection, &Outage::of(error));
                }
                None
            }
            Err(_elapsed) => {
                link.overdue(&connection, began);
                None
            }
        }
    }

    /// Stops its task, and fails the calls that are still in flight. Those that come later go elsewhere.
    pub(in super::super) fn close(&self) {
        self.0.keeper().close();
        let connections = self.0.state().close();
        connections.iter().for_each(|connection| connection.stop());
        self.0.changed.notify_waiters();
    }
}

impl Inner {
    /// The server is not ready, or does not serve the key.
    pub(super) fn not_now(&self, error: RedisError, pause: Duration) -> Next {
        if self.member.is_none() {
            self.not_ready(error);
            return Next::Again(pause);
        }
        match error.redirect_node() {
            Some((node, _)) if error.kind() == ErrorKind::Server(ServerErrorKind::Ask) => {
                Next::Elsewhere(Elsewhere::Asked(node.into()))
            }
            Some((node, _)) => Next::Elsewhere(Elsewhere::Moved(node.into())),
            // The node answers at once, so it is asked by each call: nobody waits for long.
            None if self.stays_unready() => {
                Next::Fail(StoreError::new(StoreErrorKind::Unavailable).with_source(error))
            }
            None => Next::Again(pause),
        }
    }

    /// Notes that the server answered that it is not ready. Says whether that is so for too long.
    fn stays_unready(&self) -> bool {
        let now = Monotonic::now().as_millis();
        let (is_news, since) = {
            let mut state = self.state();
            (!state.is_unready(now), state.not_ready(now))
        };
        self.unready.store(true, Ordering::Relaxed);
        // Its slots may be served elsewhere, and no redirection says so.
        if let Some(member) = self.member.as_ref().filter(|_| is_news) {
            member.map.notify_one();
        }
        since.is_some()
    }

    pub(super) fn losses(&self) -> u64 {
        let member = self.member.as_ref();
        member.map_or(0, |member| member.losses.load(Ordering::Acquire))
    }

    /// Waits until slots went elsewhere since there were so many losses.
    pub(super) async fn loses(&self, losses: u64) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.losses() != losses {
                return;
            }
            changed.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Call, NotHere},
        *,
    };
    use crate::store::redis::script::source::Script;

    #[tokio::test]
    async fn a_call_to_one_server_goes_nowhere_else_for_slots_that_it_lost_before() {
        let source = RedisSource::url("redis://127.0.0.1:1").unwrap();
        let (map, up) = (Arc::default(), Arc::default());
        let link = Link::of_cluster(source, Duration::from_secs(60), map, up);
        link.lose();
        let script = Script::of(&["return 1"]);

        let call = Call::new(&script, "key", *b"8 bytes.");
        let (answer, may_run) = link.run(&call, &|_, _| {}).await;

        let error = answer.unwrap_err();
        let cause = std::error::Error::source(&error).unwrap();
        assert!(!cause.is::<NotHere>() && !may_run, "{cause}");
    }

    #[tokio::test]
    async fn a_call_on_a_link_that_is_closed_goes_elsewhere_at_once() {
        let source = RedisSource::url("redis://127.0.0.1:1").unwrap();
        let (map, up) = (Arc::default(), Arc::default());
        let link = Link::of_cluster(source, Duration::from_secs(1), map, up);
        link.lose();
        link.close();
        let script = Script::of(&["return 1"]);

        let call = Call::new(&script, "key", *b"8 bytes.");
        let (answer, may_run) = link.run(&call, &|_, _| {}).await;

        let error = answer.unwrap_err();
        let is_elsewhere =
            std::error::Error::source(&error).is_some_and(|cause| cause.is::<NotHere>());
        assert!(is_elsewhere && !may_run, "{error:?}");
    }
}
