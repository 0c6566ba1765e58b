//! What is asked on a connection that listens, and its answers.
//!
//! When a slot of a Cluster goes elsewhere, the server ends the subscriptions in it, and says so in the form of an answer.
//! The client library takes that for the answer to what was sent last. From then on each command would get the
//! answer of the one before. So one thing is asked at a time. If something else comes in the place of its answer, nothing is
//! asked until the answers are in step again.

use std::time::Duration;

use deadpool_redis::redis::{Cmd, Pipeline, PushKind, Value, aio::MultiplexedConnection, cmd};
use tokio::sync::Mutex;

use super::{super::link::Outage, ear::HEARD};
use crate::store::StoreErrorKind;

/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_millis(HEARD.unsigned_abs());

/// How long late answers may take at first. Each time that they took longer, it is doubled.
const LATE: Duration = Duration::from_millis(5);

pub(super) struct Answers {
    wire: MultiplexedConnection,
    /// Held while an answer is due. How often the answers were brought into step.
    turn: Mutex<u64>,
}

impl Answers {
    pub(super) fn new(wire: MultiplexedConnection) -> Self {
        Self {
            wire,
            turn: Mutex::default(),
        }
    }

    /// Asks until what comes `fits`.
    pub(super) async fn to(
        &self,
        command: &Cmd,
        fits: impl Fn(&Value) -> bool,
    ) -> Result<Value, Outage> {
        let one = one(command);
        loop {
            let answers = self.to_all(&one, |_, answer| fits(answer)).await?;
            if let Some(answer) = answers.and_then(|mut answers| answers.pop()) {
                return answer.extract_error().map_err(Outage::of);
            }
        }
    }

    /// Asks all of this at once. `None` if the server ended a subscription meanwhile: what did not fit was no answer.
    pub(super) async fn to_all(
        &self,
        all: &Pipeline,
        fits: impl Fn(usize, &Value) -> bool,
    ) -> Result<Option<Vec<Value>>, Outage> {
        let mut turn = self.turn.lock().await;
        let answers = self.send(all).await?;
        let mut odd = answers
            .iter()
            .enumerate()
            // An error names no command, so it counts as the answer to any. Most end the connection. If it was that of another
            // command, the next answer is out of order, which ends it too.
            .filter(|(at, answer)| !matches!(answer, Value::ServerError(_)) && !fits(*at, answer));
        match odd.next() {
            None => Ok(Some(answers)),
            Some((_, Value::Push { kind, .. })) if *kind == PushKind::SUnsubscribe => {
                self.step(&mut turn).await?;
                Ok(None)
            }
            Some(_) => Err(out_of_order()),
        }
    }

    /// Waits until an answer comes to its own question. The server has answered all earlier ones then.
    async fn step(&self, times: &mut u64) -> Result<(), Outage> {
        let mut late = LATE;
        while late < PATIENCE {
            // What comes meanwhile is passed over, because nothing waits for an answer.
            tokio::time::sleep(late).await;
            *times += 1;
            let text = format!("step {times}");
            let answers = self.send(&one(cmd("PING").arg(&text))).await?;
            if answers.first().is_some_and(|answer| is_text(answer, &text)) {
                return Ok(());
            }
            late *= 2;
        }
        Err(out_of_order())
    }

    async fn send(&self, all: &Pipeline) -> Result<Vec<Value>, Outage> {
        let (mut wire, count) = (self.wire.clone(), all.len());
        let sent = wire.send_packed_commands(all, 0, count);
        match tokio::time::timeout(PATIENCE, sent).await {
            Ok(answers) => answers.map_err(Outage::of),
            Err(elapsed) => Err(Outage::new(StoreErrorKind::Timeout, elapsed)),
        }
    }
}

fn one(command: &Cmd) -> Pipeline {
    let mut one = Pipeline::with_capacity(1);
    one.add_command(command.clone());
    one
}

/// Whether this is the answer to a PING with that text.
pub(super) fn is_text(answer: &Value, text: &str) -> bool {
    matches!(answer, Value::BulkString(of) if of == text.as_bytes())
}

/// An answer to something else.
pub(super) fn out_of_order() -> Outage {
    Outage::new(
        StoreErrorKind::Unavailable,
        "an answer came in the place of another one",
    )
}
