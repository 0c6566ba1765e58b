//! One call of a script, from its place to its reply.

use std::{
    pin::Pin,
    sync::{Arc, atomic::AtomicU32},
    time::Duration,
};

use deadpool_redis::redis::{Cmd, RedisError};

use super::{
    Inner, Link,
    confirm::Confirm,
    connection::Shared,
    failure::Failure,
    flight::{Flight, Landed, Order},
    limit::Lane,
    outage::Outage,
    patience::Patience,
    progress::{Came, Elsewhere, Next, NotHere, Progress, Waited, over},
    unless,
};
use crate::{
    model::clock::Monotonic,
    store::{
        StoreError, StoreErrorKind, meter,
        redis::{
            reply::{Alone, Expected, Reply},
            script::source::Script,
        },
    },
};

/// How often a call of unknown outcome is sent in all.
pub(super) const SENDS: u32 = 5;

/// What a call usually takes: how many arguments, and how many bytes beside the script.
const ARGUMENTS: usize = 10;
const ARGUMENTS_SIZE: usize = 448;

/// Whether a call of unknown outcome may be sent again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in super::super) enum Resend {
    /// Running it twice is the same as once.
    Harmless,
    /// It may have happened, and must not happen twice.
    Never,
}

/// What is asked of a server.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Call<'a> {
    pub(in super::super) script: &'a Script,
    pub(in super::super) key: &'a str,
    pub(in super::super) resend: Resend,
    pub(in super::super) lane: Lane,
    /// Whether it waits for its turn longer than other calls: it is rare, and must not fail because others come.
    pub(in super::super) patient: bool,
    pub(in super::super) expected: Expected,
    /// How many replicas have to confirm it, if any.
    pub(in super::super) confirm: Option<Confirm>,
    /// When its time began to count, if that was before it is run.
    pub(in super::super) began: Option<Monotonic>,
    /// Whether the caller must know that it may have run.
    pub(in super::super) says_uncertain: bool,
    /// Counts how often it is sent, for a caller who must know that an earlier sending may run yet.
    pub(in super::super) sends: Option<&'a AtomicU32>,
    /// What the replicas of this store have beside the deadline, for other calls of the same commit.
    pub(in super::super) within: Duration,
}

impl<'a> Call<'a> {
    /// A call that may be sent again, waits for no replica, and is answered by an array with these bytes of its request.
    pub(in super::super) fn new(script: &'a Script, key: &'a str, of: [u8; 8]) -> Self {
        Self {
            script,
            key,
            resend: Resend::Harmless,
            lane: Lane::Others,
            patient: false,
            expected: Expected {
                of,
                alone: Alone::Never,
            },
            confirm: None,
            began: None,
            says_uncertain: false,
            sends: None,
            within: Duration::ZERO,
        }
    }

    /// How long it may take, with the time that replicas have.
    pub(in super::super) fn time(&self, deadline: Duration) -> Duration {
        let within = self.confirm.map(|confirm| confirm.within);
        deadline.saturating_add(within.unwrap_or_default())
    }
}

impl Link {
    /// Runs a script on the key, in one round trip unless something goes wrong.
    ///
    /// `arguments` writes what comes after the key, again each time it is sent. It gets the moment by the server's clock
    /// after which nobody waits for the answer. Says also whether it may have run.
    pub(in super::super) async fn run(
        &self,
        call: &Call<'_>,
        arguments: &impl Fn(&mut Cmd, Option<i64>),
    ) -> (Result<Reply, StoreError>, bool) {
        let mut patience = std::pin::pin!(Patience::of(call, self.0.deadline));
        if patience.is_over() {
            return over();
        }
        let mut progress = Progress {
            now: call.began.is_none().then(|| patience.began()),
            losses: self.losses(),
            ..Progress::default()
        };
        let came = self
            .attempts(call, &mut progress, patience.as_mut(), arguments)
            .await;
        let may_run = progress.may_run();
        let answer = match came {
            Some(Came::Answer(answer)) => answer,
            // Only links of a Cluster say so.
            Some(Came::Elsewhere(_)) => {
                Err(StoreError::new(StoreErrorKind::Unavailable).with_source(NotHere))
            }
            None => Err(self.timed_out(call, &mut progress, patience.as_ref())),
        };
        (progress.judge(call, answer), may_run)
    }

    /// Sends a call until it is answered, goes elsewhere or the deadline has passed, which is `None`.
    pub(in super::super) fn attempts(
        &self,
        call: &Call<'_>,
        progress: &mut Progress,
        patience: Pin<&mut Patience>,
        arguments: &impl Fn(&mut Cmd, Option<i64>),
    ) -> impl Future<Output = Option<Came>> {
        self.0.attempts(call, progress, patience, arguments)
    }

    /// The deadline has passed.
    pub(in super::super) fn timed_out(
        &self,
        call: &Call<'_>,
        progress: &mut Progress,
        patience: Pin<&Patience>,
    ) -> StoreError {
        if let Some(connection) = progress.waits_on.take() {
            if !patience.is_short() {
                self.0.timed_out(&connection, patience.began());
            }
            progress.unknown = true;
        }
        StoreError::new(if progress.unknown && call.resend == Resend::Never {
            StoreErrorKind::Uncertain
        } else {
            StoreErrorKind::Timeout
        })
    }
}

impl Inner {
    async fn attempts(
        self: &Arc<Self>,
        call: &Call<'_>,
        progress: &mut Progress,
        mut patience: Pin<&mut Patience>,
        arguments: &impl Fn(&mut Cmd, Option<i64>),
    ) -> Option<Came> {
        if let Some(confirm) = call.confirm {
            let confirmed = self.confirmed(call, confirm, progress, patience, arguments);
            return Box::pin(confirmed).await;
        }
        let given_up = patience.given_up();
        let mut pause = Duration::from_millis(10);
        loop {
            let connection = if let Some(connection) = self.now() {
                connection
            } else {
                progress.now = None;
                // Boxed: this is rare, and its future large.
                match Box::pin(self.reach(progress.losses, patience.as_mut())).await? {
                    Ok(connection) => connection,
                    Err(came) => return Some(came),
                }
            };
            let place = progress.place.take();
            let Some(place) = place.or_else(|| self.limit.try_take(call.lane)) else {
                progress.now = None;
                let waited = Box::pin(self.wait(call, progress.losses));
                match patience.as_mut().bear(waited).await? {
                    Waited::Place(place) => progress.place = Some(place),
                    Waited::Down => {}
                    Waited::Busy => return Some(Came::Answer(Err(progress.busy(call)))),
                    Waited::Elsewhere => return Some(Came::Elsewhere(Elsewhere::Somewhere)),
                }
                // What the call was given may have broken meanwhile.
                continue;
            };
            let latest = connection.latest(given_up);
            let command = |name: &str, script: &str| {
                let mut cmd = Cmd::with_capacity(ARGUMENTS, script.len() + ARGUMENTS_SIZE);
                cmd.arg(name).arg(script).arg(1).arg(call.key);
                arguments(&mut cmd, latest);
                cmd
            };
            let asking = std::mem::take(&mut progress.asking);
            progress.is_sent(call);
            let sha1 = call.script.sha1(connection.shebang());
            let mut order = |command| Order {
                command,
                asking,
                sent: progress.now.take(),
            };
            // Also first on a new connection: mostly it leads to a server that knows the script. If not, this costs one
            // more trip, once for each script and server.
            let ordered = order(command("EVALSHA", sha1));
            let mut flight = Flight::new(&connection, place, ordered, call.expected);
            let mut landed = patience.as_mut().watch(&mut flight, self).await;
            if let Some(Landed::Error(error)) = &landed
                && Failure::of(error) == Failure::NoScript
                && let Some(place) = flight.give_place()
            {
                // By its key, to the one node that holds it.
                let text = call.script.text(connection.shebang());
                let ordered = order(command("EVAL", text));
                flight = Flight::new(&connection, place, ordered, call.expected);
                landed = patience.as_mut().watch(&mut flight, self).await;
            }
            let Some(landed) = landed else {
                progress.waits_on = Some(connection);
                return None;
            };
            progress.place = flight.give_place();
            let next = match landed {
                Landed::Reply(reply) => {
                    self.served();
                    return Some(Came::Answer(Ok(reply)));
                }
                Landed::Foreign => self.mixed_up(call, &connection, progress),
                Landed::Error(error) => self.failed(call, &connection, progress, error, pause),
            };
            // Boxed: this is rare.
            let again = Box::pin(self.again(next, progress, patience.as_mut(), &mut pause));
            if let Some(came) = again.await? {
                return Some(came);
            }
            if asking || self.losses() != progress.losses {
                return Some(Came::Elsewhere(Elsewhere::Somewhere));
            }
        }
    }

    /// The connection that carries calls, once the link is up; or what comes of the call if there is none.
    pub(super) async fn reach(
        self: &Arc<Self>,
        losses: u64,
        patience: Pin<&mut Patience>,
    ) -> Option<Result<Shared, Came>> {
        Some(match patience.bear(self.connection(losses)).await? {
            Ok(Some(connection)) => Ok(connection),
            Ok(None) => Err(Came::Elsewhere(Elsewhere::Somewhere)),
            Err(error) => Err(Came::Answer(Err(error))),
        })
    }

    /// Waits until the call may be sent again; or says what comes of it if it may not.
    pub(super) async fn again(
        &self,
        next: Next,
        progress: &mut Progress,
        patience: Pin<&mut Patience>,
        pause: &mut Duration,
    ) -> Option<Option<Came>> {
        let time = match next {
            Next::Fail(error) => return Some(Some(Came::Answer(Err(error)))),
            Next::Elsewhere(elsewhere) => return Some(Some(Came::Elsewhere(elsewhere))),
            Next::Again(time) => time,
        };
        tracing::debug!("call sent again");
        meter::link::resent();
        if time > Duration::ZERO {
            // The server has answered, and works for others meanwhile.
            progress.leave();
            patience.bear(tokio::time::sleep(time)).await?;
            *pause = (*pause * 2).min(Duration::from_millis(160));
        }
        Some(None)
    }

    /// Waits for a place, or until slots went elsewhere: a call that waits longer would be answered too late to be of use.
    /// A patient one leaves a quarter of its time for the answer.
    async fn wait(self: &Arc<Self>, call: &Call<'_>, losses: u64) -> Waited {
        let began = Monotonic::now().as_millis();
        let place = std::pin::pin!(self.limit.take(call.lane));
        let elsewhere = std::pin::pin!(self.loses(losses));
        let mut waited = std::pin::pin!(unless(place, elsewhere));
        if let Ok(waited) = tokio::time::timeout(self.quarter, &mut waited).await {
            return waited.map_or(Waited::Elsewhere, Waited::Place);
        }
        // A server that answers nobody is not busy. It may be about to hand over, or to fail.
        let few = self.stalled.try_acquire();
        if few.is_err() && !call.patient {
            return Waited::Busy;
        }
        for _ in 0..2 {
            match self.now() {
                None => return Waited::Down,
                Some(connection) if connection.stalled(began) => self.overdue(&connection, began),
                Some(_) if call.patient => {}
                Some(_) => break,
            }
            if let Ok(waited) = tokio::time::timeout(self.quarter, &mut waited).await {
                return waited.map_or(Waited::Elsewhere, Waited::Place);
            }
        }
        Waited::Busy
    }

    pub(super) fn mixed_up(
        &self,
        call: &Call<'_>,
        connection: &Shared,
        progress: &mut Progress,
    ) -> Next {
        let cause = "the reply was to another request";
        self.broke(connection, &Outage::new(StoreErrorKind::Unavailable, cause));
        progress.mixed_up += 1;
        progress.unknown = true;
        if call.resend == Resend::Never {
            return Next::Fail(StoreError::new(StoreErrorKind::Uncertain).with_source(cause));
        }
        if progress.mixed_up > 1 {
            return Next::Fail(StoreError::new(StoreErrorKind::Corrupt).with_source(cause));
        }
        Next::Again(Duration::ZERO)
    }

    pub(super) fn failed(
        &self,
        call: &Call<'_>,
        connection: &Shared,
        progress: &mut Progress,
        error: RedisError,
        pause: Duration,
    ) -> Next {
        let failure = Failure::of(&error);
        match failure {
            _ if progress.is_odd(call, connection, failure) => return Next::Again(Duration::ZERO),
            Failure::Demoted | Failure::SignedOut => {
                // A late answer of the server of before says nothing of the one of now.
                if self.state().is_active(connection) {
                    let outage = match failure {
                        // Another connection may be allowed to, with a password of now.
                        Failure::SignedOut => Outage::refusing(error),
                        _ => Outage::of(error),
                    };
                    self.down(&outage, Monotonic::now().as_millis());
                }
                return Next::Again(Duration::ZERO);
            }
            Failure::NotNow => return self.not_now(error, pause),
            // The driver reports a timeout of its socket.
            Failure::Broken | Failure::Silent => {
                progress.unknown = true;
                progress.lost += 1;
                let again = call.resend == Resend::Harmless && progress.lost < SENDS;
                if again {
                    self.broke(connection, &Outage::of(error));
                    return Next::Again(Duration::ZERO);
                }
                let kind = Failure::Broken.kind(call.resend == Resend::Never);
                let outage = Outage::of(error);
                let error = outage.error_as(kind);
                self.broke(connection, &outage);
                return Next::Fail(error);
            }
            Failure::Strange => progress.unknown = true,
            // A server that is full refuses it before it runs, if it knows the script's first line. The client of a Cluster
            // pool may have sent it before.
            Failure::Final(StoreErrorKind::Full) => {
                let whole = connection.shebang() && !connection.is_cluster();
                progress.refused = whole && !progress.unknown;
            }
            Failure::Fenced if self.source.is_sentinel() => self.ask(),
            Failure::Fenced | Failure::NoScript | Failure::Final(_) => {}
        }
        let kind = failure.kind(call.resend == Resend::Never);
        Next::Fail(StoreError::new(kind).with_source(error))
    }
}
