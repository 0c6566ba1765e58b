//! One call of a script, from its place to its reply.

use std::{
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use deadpool_redis::redis::{Cmd, RedisError};

use super::{
    Inner, Link,
    connection::Shared,
    failure::Failure,
    flight::{Flight, Landed},
    limit::{Lane, Place},
    outage::Outage,
    patience::Patience,
};
use crate::{
    model::clock::{Monotonic, millis},
    store::{
        StoreError, StoreErrorKind, meter,
        redis::{
            reply::{Expected, Reply},
            script::source::Script,
        },
    },
};

/// How often a call of unknown outcome is sent in all.
const SENDS: u32 = 5;

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
    pub(in super::super) expected: Expected,
}

/// How far a call has come, for the error that ends it.
#[derive(Default)]
struct Progress {
    /// The connection whose answer is being waited for.
    waits_on: Option<Shared>,
    place: Option<Place>,
    /// Whether it may have run, by what is known.
    unknown: bool,
    mixed_up: u32,
    sends: u32,
}

/// What follows a call that did not come to its reply.
enum Next {
    Again(Duration),
    Fail(StoreError),
}

impl Link {
    /// Runs a script on the key, in one round trip unless something goes wrong.
    ///
    /// `arguments` writes what comes after the key, again each time it is sent. It gets the moment by the server's
    /// clock after which nobody waits for the answer. `sent` says at the end whether anything was.
    pub(in super::super) async fn run(
        &self,
        call: &Call<'_>,
        arguments: impl Fn(&mut Cmd, Option<i64>),
    ) -> (Result<Reply, StoreError>, bool) {
        let link = &self.0;
        let mut progress = Progress::default();
        let mut patience = std::pin::pin!(Patience::new(link));
        let answer = link
            .attempts(call, &mut progress, patience.as_mut(), arguments)
            .await;
        let was_sent = progress.sends > 0;
        if let Some(answer) = answer {
            return (answer, was_sent);
        }
        if let Some(connection) = progress.waits_on.take() {
            link.timed_out(&connection, patience.began);
            progress.unknown = true;
        }
        let kind = if progress.unknown && call.resend == Resend::Never {
            StoreErrorKind::Uncertain
        } else {
            StoreErrorKind::Timeout
        };
        (Err(StoreError::new(kind)), was_sent)
    }
}

impl Inner {
    /// `None` once the deadline has passed.
    async fn attempts(
        self: &Arc<Self>,
        call: &Call<'_>,
        progress: &mut Progress,
        mut patience: Pin<&mut Patience<'_>>,
        arguments: impl Fn(&mut Cmd, Option<i64>),
    ) -> Option<Result<Reply, StoreError>> {
        let given_up = patience.began.saturating_add(millis(self.deadline));
        let mut pause = Duration::from_millis(10);
        loop {
            let connection = match self.now() {
                Some(connection) => connection,
                // Boxed: this is rare, and its future large.
                None => match patience.as_mut().bear(Box::pin(self.connection())).await? {
                    Ok(connection) => connection,
                    Err(error) => return Some(Err(error)),
                },
            };
            let place = match progress.place.take() {
                Some(place) => place,
                None => match self.limit.try_take(call.lane) {
                    Some(place) => place,
                    None => match patience
                        .as_mut()
                        .bear(Box::pin(self.wait(call.lane)))
                        .await?
                    {
                        // What it was given may have broken meanwhile.
                        Some(place) => {
                            progress.place = Some(place);
                            continue;
                        }
                        None => return Some(Err(busy(progress, call))),
                    },
                },
            };
            let latest = connection.latest(given_up);
            let command = |name: &str, script: &str| {
                let mut cmd = Cmd::with_capacity(ARGUMENTS, script.len() + ARGUMENTS_SIZE);
                cmd.arg(name).arg(script).arg(1).arg(call.key);
                arguments(&mut cmd, latest);
                cmd
            };
            progress.sends += 1;
            progress.waits_on = Some(Arc::clone(&connection));
            let sha1 = call.script.sha1(connection.shebang());
            let mut flight = self.fly(&connection, place, command("EVALSHA", sha1), call);
            let mut landed = patience.as_mut().watch(&mut flight, &connection).await?;
            if let Landed::Error(error) = &landed
                && Failure::of(error) == Failure::NoScript
                && let Some(place) = flight.give_place()
            {
                // By its key, to the one node that holds it.
                let text = call.script.text(connection.shebang());
                flight = self.fly(&connection, place, command("EVAL", text), call);
                landed = patience.as_mut().watch(&mut flight, &connection).await?;
            }
            progress.waits_on = None;
            progress.place = flight.give_place();
            let next = match landed {
                Landed::Reply(reply) => {
                    if self.unready.load(Ordering::Relaxed) {
                        self.ready();
                    }
                    return Some(Ok(reply));
                }
                Landed::Foreign => self.mixed_up(call, &connection, progress),
                Landed::Error(error) => self.failed(call, &connection, progress, error, pause),
            };
            match next {
                Next::Fail(error) => return Some(Err(error)),
                Next::Again(time) => {
                    tracing::debug!("call sent again");
                    meter::link::resent();
                    if time > Duration::ZERO {
                        patience.as_mut().bear(tokio::time::sleep(time)).await?;
                        pause = (pause * 2).min(Duration::from_millis(160));
                    }
                }
            }
        }
    }

    fn fly(
        self: &Arc<Self>,
        connection: &Shared,
        place: Place,
        command: Cmd,
        call: &Call<'_>,
    ) -> Flight {
        Flight::new(connection, &self.limit, place, command, call.expected)
    }

    /// Waits for a place: a call that waits longer would be answered too late to be of use.
    async fn wait(self: &Arc<Self>, lane: Lane) -> Option<Place> {
        tokio::time::timeout(self.quarter, self.limit.take(lane))
            .await
            .ok()
    }

    fn mixed_up(&self, call: &Call<'_>, connection: &Shared, progress: &mut Progress) -> Next {
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

    fn failed(
        &self,
        call: &Call<'_>,
        connection: &Shared,
        progress: &mut Progress,
        error: RedisError,
        pause: Duration,
    ) -> Next {
        let failure = Failure::of(&error);
        match failure {
            Failure::Demoted => {
                self.down(&Outage::of(error), Monotonic::now().as_millis());
                return Next::Again(Duration::ZERO);
            }
            Failure::NotNow => {
                self.not_ready(error);
                return Next::Again(pause);
            }
            // The driver reports a timeout of its socket.
            Failure::Broken | Failure::Silent => {
                progress.unknown = true;
                let again = call.resend == Resend::Harmless && progress.sends < SENDS;
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
            Failure::Fenced if self.source.is_sentinel() => self.ask(),
            Failure::Fenced | Failure::NoScript | Failure::Final(_) => {}
        }
        Next::Fail(StoreError::new(failure.kind(false)).with_source(error))
    }
}

/// No place came free in time.
fn busy(progress: &Progress, call: &Call<'_>) -> StoreError {
    meter::link::busy();
    let uncertain = progress.unknown && call.resend == Resend::Never;
    StoreError::new(if uncertain {
        StoreErrorKind::Uncertain
    } else {
        StoreErrorKind::Busy
    })
}
