//! A call that counts once replicas have confirmed it.
//!
//! The script and `WAIT` go in one, on a connection that no other call uses meanwhile. `WAIT` counts only if the
//! script's own reply came, and every script that is sent here writes: what wrote nothing is confirmed at once.

use std::{
    pin::{Pin, pin},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use deadpool_redis::redis::{Cmd, Pipeline, RedisError, RedisResult, Value, cmd};

use super::{
    Inner,
    call::{Call, SENDS},
    connection::Shared,
    exclusive::{Held, NotHeld},
    failure::Failure,
    outage::Outage,
    patience::Patience,
    progress::{Came, Elsewhere, Next, Progress},
};
use crate::{
    model::clock::{Monotonic, millis},
    store::{
        StoreError, StoreErrorKind, meter,
        redis::{reply::Reply, script::LATE},
    },
};

/// So long before the caller gives up, the time of the replicas is over: a server looks at it ten times a second.
const SPARE: Duration = Duration::from_millis(120);

pub(in super::super) const NOT_WITH_POOL: &str =
    "`confirm` does not work with a Cluster pool: make the store with `connect_cluster`";
const NOT_BEHIND_PROXY: &str = "`check()` found a proxy that spreads calls, so a confirmation would mean nothing: \
    connect to the servers themselves";

/// How many replicas have to confirm a call, and how long they have.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Confirm {
    pub(in super::super) replicas: u32,
    pub(in super::super) within: Duration,
}

/// What came of one sending.
enum Sent {
    Reply(Reply),
    /// The reply to another request.
    Foreign,
    /// The server does not know the script; nothing ran.
    Unknown,
    Error(RedisError),
}

impl Inner {
    /// As `attempts`, and waits until replicas have confirmed what the script wrote.
    pub(super) async fn confirmed(
        self: &Arc<Self>,
        call: &Call<'_>,
        confirm: Confirm,
        progress: &mut Progress,
        mut patience: Pin<&mut Patience>,
        arguments: &impl Fn(&mut Cmd, Option<i64>),
    ) -> Option<Came> {
        if let Some(refused) = self.cannot_confirm() {
            return Some(Came::Answer(Err(refused)));
        }
        // After this moment the script does not run. What ran before may still be confirmed.
        let given_up = patience.given_up();
        let over = given_up.saturating_add(millis(patience.confirms().saturating_sub(SPARE)));
        let (mut pause, mut again_as_text) = (Duration::from_millis(10), false);
        loop {
            let shared = match self.now() {
                Some(shared) => shared,
                None => match self.reach(progress.losses, patience.as_mut()).await? {
                    Ok(shared) => shared,
                    Err(came) => return Some(came),
                },
            };
            let asking = std::mem::take(&mut progress.asking);
            let next = match patience.as_mut().bear(self.hold(call, &shared)).await? {
                Err(NotHeld::Busy) => return Some(Came::Answer(Err(progress.busy(call)))),
                Err(NotHeld::Outage(outage)) => self.not_opened(&outage, &shared, progress, pause),
                Ok(mut held) => {
                    let connection = Arc::clone(&held.connection);
                    // After a script that the server does not know, `WAIT` takes the time of the replicas for what others wrote.
                    let sha1 = call.script.sha1(connection.shebang());
                    let by_name = !again_as_text && self.exclusive.has_run(&shared, sha1);
                    let (name, script) = if by_name {
                        ("EVALSHA", sha1)
                    } else {
                        ("EVAL", call.script.text(connection.shebang()))
                    };
                    let mut command = Cmd::with_capacity(16, script.len() + 512);
                    command.arg(name).arg(script).arg(1).arg(call.key);
                    arguments(&mut command, connection.latest(given_up));
                    let commands = confirm.commands(asking, command, over);
                    // The text follows a digest that the server did not know, so nothing ran.
                    if !again_as_text {
                        progress.is_sent(call);
                    }
                    let answers = self.answers(&commands, &mut held, &shared);
                    let Some(answers) = patience.as_mut().bear(answers).await else {
                        progress.unknown = true;
                        self.look();
                        return None;
                    };
                    match self.landed(answers, held, call, confirm) {
                        Sent::Reply(reply) => {
                            if !by_name {
                                self.exclusive.note_run(&shared, sha1);
                            }
                            return Some(Came::Answer(Ok(reply)));
                        }
                        Sent::Unknown if by_name => {
                            (again_as_text, progress.asking) = (true, asking);
                            continue;
                        }
                        Sent::Unknown => Next::Again(pause),
                        Sent::Foreign => self.mixed_up(call, &connection, progress),
                        Sent::Error(error) => {
                            // What the server says of itself holds for its other connections, too.
                            let from = match Failure::of(&error) {
                                Failure::Broken | Failure::Silent => &connection,
                                _ => &shared,
                            };
                            self.failed(call, from, progress, error, pause)
                        }
                    }
                }
            };
            again_as_text = false;
            let again = self.again(next, progress, patience.as_mut(), &mut pause);
            if let Some(came) = again.await? {
                return Some(came);
            }
            if asking || self.losses() != progress.losses {
                return Some(Came::Elsewhere(Elsewhere::Somewhere));
            }
        }
    }

    /// Why nothing can be confirmed here.
    fn cannot_confirm(&self) -> Option<StoreError> {
        let cause = if self.source.is_cluster() {
            NOT_WITH_POOL
        } else if self.exclusive.refused.load(Ordering::Relaxed) {
            NOT_BEHIND_PROXY
        } else {
            return None;
        };
        Some(StoreError::new(StoreErrorKind::Unavailable).with_source(cause))
    }

    fn not_opened(
        &self,
        outage: &Outage,
        shared: &Shared,
        progress: &mut Progress,
        pause: Duration,
    ) -> Next {
        if outage.refuses && self.state().is_active(shared) {
            self.down(outage, Monotonic::now().as_millis());
        }
        progress.lost += 1;
        if outage.is_denied() || progress.lost >= SENDS {
            return Next::Fail(outage.error());
        }
        Next::Again(pause)
    }

    /// Sends the commands, and waits for all answers; until the shared connection is replaced, because this one leads to
    /// the same server.
    async fn answers(
        self: &Arc<Self>,
        commands: &Pipeline,
        held: &mut Held,
        shared: &Shared,
    ) -> RedisResult<Vec<Value>> {
        held.waits = Some(Monotonic::now().as_millis());
        let all = pin!(held.connection.send_all(commands));
        let mut sent = pin!(shared.unless_stopped(all));
        match tokio::time::timeout(self.deadline / 2, &mut sent).await {
            Ok(answers) => answers,
            Err(_elapsed) => {
                // Replicas take their time, or the server is silent.
                if self.is_silent(shared) {
                    self.look();
                }
                sent.await
            }
        }
    }

    /// What the answers say.
    fn landed(
        &self,
        answers: RedisResult<Vec<Value>>,
        mut held: Held,
        call: &Call<'_>,
        confirm: Confirm,
    ) -> Sent {
        let mut answers = match answers {
            Ok(answers) => answers,
            Err(error) => {
                held.broke();
                return Sent::Error(error);
            }
        };
        let (sent, now) = (held.waits.take(), Monotonic::now().as_millis());
        // An error instead of a count: the role changed meanwhile, for example.
        let count = match answers.pop() {
            Some(Value::Int(count)) => u32::try_from(count).ok(),
            _ => None,
        };
        let script = answers.pop().unwrap_or(Value::Nil).extract_error();
        let reply = match script.map(|value| Reply::new(value, &call.expected)) {
            Ok(Some(reply)) => reply,
            Ok(None) => return Sent::Foreign,
            Err(error) => {
                if count.is_some() {
                    held.give_back();
                }
                return match Failure::of(&error) {
                    Failure::NoScript => Sent::Unknown,
                    _ => Sent::Error(error),
                };
            }
        };
        if reply.head().0 == LATE {
            // What was known of the server's time is wrong, on the idle connections too. A new one asks for it. Nothing ran, so there
            // is nothing to confirm, and the call comes again.
            held.broke();
            return Sent::Reply(reply);
        }
        // After a long wait it says little of the server's time.
        let quick = |sent: &i64| now.saturating_sub(*sent) <= millis(self.quarter / 4);
        if let Some(sent) = sent.filter(quick) {
            held.note_time(reply.now(), sent, now);
        }
        if count.is_some() {
            held.give_back();
        }
        let enough = count.is_some_and(|count| count >= confirm.replicas);
        self.note_confirmed(confirm, count, enough);
        Sent::Reply(if enough { reply } else { reply.unconfirmed() })
    }

    fn note_confirmed(&self, confirm: Confirm, count: Option<u32>, enough: bool) {
        meter::link::confirmed(enough);
        if !self.exclusive.note(!enough) {
            return;
        }
        if enough {
            tracing::info!(server = %self.server, "replicas of Redis confirm in time again");
        } else {
            tracing::warn!(
                server = %self.server,
                wanted = confirm.replicas,
                confirmed = count,
                "replicas of Redis do not confirm in time: a failover may undo ends of sessions"
            );
        }
    }

    /// Finds out soon whether the server answers. No call may have used the shared connection for a while, so that nothing
    /// was heard on it proves nothing.
    fn look(self: &Arc<Self>) {
        self.state().look();
        self.wake_keeper();
    }
}

impl Confirm {
    /// The script and `WAIT`, which the replicas have until `over` to answer.
    fn commands(self, asking: bool, script: Cmd, over: i64) -> Pipeline {
        let left = over.saturating_sub(Monotonic::now().as_millis());
        let within = millis(self.within).min(left);
        let mut wait = cmd("WAIT");
        // Zero is for ever.
        wait.arg(self.replicas).arg(within.max(1));
        let mut commands = Pipeline::with_capacity(3);
        if asking {
            commands.cmd("ASKING");
        }
        commands.add_command(script).add_command(wait);
        commands
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_have_no_more_time_than_the_caller_and_never_endless_time() {
        let confirm = Confirm {
            replicas: 2,
            within: Duration::from_secs(3_600),
        };
        let now = Monotonic::now().as_millis();
        let time_until = |over: i64| {
            let commands = confirm.commands(false, cmd("PING"), over);
            let packed = String::from_utf8(commands.get_packed_pipeline()).unwrap();
            let (_, wait) = packed.split_once("WAIT\r\n").unwrap();
            let words: Vec<&str> = wait.lines().collect();
            assert_eq!(words[1], "2");
            words[3].parse::<i64>().unwrap()
        };

        assert_eq!(time_until(i64::MAX), 3_600_000);
        let minute = time_until(now + 60_000);
        assert!((1..=60_000).contains(&minute), "{minute}");
        assert_eq!(time_until(now), 1, "zero is for ever");
        assert_eq!(time_until(i64::MIN), 1);
    }
}
