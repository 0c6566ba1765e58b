//! One connection that listens, from its first SUBSCRIBE until it is lost.

use std::{
    future::{Future, pending, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use deadpool_redis::redis::{Cmd, Pipeline, PushKind, Value, cmd};

use super::{
    super::link::{Outage, RedisSource},
    answers::{Answers, is_text},
    channel,
    ear::Ear,
    hearing::Hearing,
    listen::Said,
    shards::{AT_ONCE, Shards},
    slots::Slots,
    source::Server,
};
use crate::{
    model::clock::Monotonic,
    store::{StoreErrorKind, redis::link::Sentinels},
};

/// How often the server is asked whether it answers.
const PINGED: Duration = Duration::from_millis(500);

/// How often the node publishes to itself, and looks which slots there are.
pub(super) const LOOPED: Duration = Duration::from_secs(1);

/// How soon it tries again where it found no place for that.
const SOON: Duration = Duration::from_millis(100);

/// How many messages to itself must be missing, one after the other.
const MISSING: u32 = 2;

/// A connection that listens.
pub(super) struct Line<'a> {
    pub(super) hearing: &'a Arc<Hearing>,
    pub(super) ear: &'a Arc<Ear>,
    answers: Answers,
    source: &'a RedisSource,
}

impl<'a> Line<'a> {
    /// Connects. On a single node it also subscribes; the slots of a Cluster, and what readers hold, follow.
    pub(super) async fn open(
        hearing: &'a Arc<Hearing>,
        ear: &'a Arc<Ear>,
        server: &'a Server,
    ) -> Result<Self, Outage> {
        let patience = server.source.patience(Duration::from_secs(1));
        let (hears, by) = (Arc::clone(hearing), Arc::clone(ear));
        let opened = server
            .source
            .listen(patience, move |push| hears.hear(&by, push));
        let wire = match tokio::time::timeout(patience, opened).await {
            Ok(opened) => opened?,
            Err(elapsed) => return Err(Outage::new(StoreErrorKind::Timeout, elapsed)),
        };
        let line = Self {
            hearing,
            ear,
            answers: Answers::new(wire),
            source: &server.source,
        };
        if !hearing.publish.has_slots() {
            for channel in [hearing.own(0), hearing.publish.of_all("")] {
                line.subscribe("SUBSCRIBE", &channel).await?;
            }
            if hearing.held.is_none() {
                hearing.open(ear, [0]);
            }
        }
        Ok(line)
    }

    /// Subscribes to one channel.
    pub(super) async fn subscribe(&self, name: &str, channel: &str) -> Result<(), Outage> {
        let is_said = |answer: &Value| is_said(answer, name, channel);
        let said = self.answers.to(cmd(name).arg(channel), is_said).await;
        said.map(drop)
    }

    /// Sends a command and waits for its answer.
    pub(super) async fn ask(&self, command: &Cmd) -> Result<Value, Outage> {
        let is_answer = |answer: &Value| !matches!(answer, Value::Push { .. });
        self.answers.to(command, is_answer).await
    }

    /// Sends this command for each of these places, many as one, and returns whether the server did it. A slot that is
    /// elsewhere is no error.
    pub(super) async fn ask_each(&self, name: &str, places: &[u16]) -> Result<Vec<bool>, Outage> {
        let (mut done, mut most) = (Vec::with_capacity(places.len()), AT_ONCE);
        let part = |done: usize, most| places.get(done..).and_then(|rest| rest.chunks(most).next());
        while let Some(part) = part(done.len(), most) {
            match self.ask_part(name, part).await? {
                Some(did) => done.extend(did),
                // While many slots go elsewhere, few can be asked for between two of them.
                None => most = (most / 4).max(1),
            }
        }
        Ok(done)
    }

    /// `None` if a slot went elsewhere meanwhile.
    async fn ask_part(&self, name: &str, places: &[u16]) -> Result<Option<Vec<bool>>, Outage> {
        let channels: Vec<String> = places
            .iter()
            .map(|place| self.hearing.publish.at(*place))
            .collect();
        let mut all = Pipeline::with_capacity(channels.len());
        for channel in &channels {
            // One command each: those of several slots are refused.
            all.cmd(name).arg(channel);
        }
        let is_said = |at: usize, answer: &Value| {
            let channel = channels.get(at);
            channel.is_some_and(|channel| is_said(answer, name, channel))
        };
        let Some(answers) = self.answers.to_all(&all, is_said).await? else {
            return Ok(None);
        };
        let did = |answer| match answer {
            // It has gone elsewhere meanwhile, which the next look shows.
            Value::ServerError(error) if error.code() == "MOVED" => Ok(false),
            Value::ServerError(error) => Err(Outage::of(error.into())),
            _ => Ok(true),
        };
        let did = answers.into_iter().map(did).collect::<Result<_, _>>();
        did.map(Some)
    }

    /// Listens until the connection is lost, or what comes on it cannot be trusted.
    pub(super) async fn stays(&self, said: &mut Said) -> Outage {
        let mut pings = pin!(self.pings(said));
        let mut loops = pin!(self.loops());
        let mut places = pin!(self.places());
        let mut switched = pin!(switched(self.source.sentinels()));
        poll_fn(|cx| {
            // First: what else goes wrong with a lost connection is a consequence.
            if let Poll::Ready(outage) = pings.as_mut().poll(cx) {
                return Poll::Ready(outage);
            }
            if let Poll::Ready(outage) = places.as_mut().poll(cx) {
                return Poll::Ready(outage);
            }
            if let Poll::Ready(outage) = loops.as_mut().poll(cx) {
                return Poll::Ready(outage);
            }
            switched.as_mut().poll(cx)
        })
        .await
    }

    /// Subscribes to what the server serves or readers hold, as far as that changes.
    async fn places(&self) -> Outage {
        match &self.hearing.held {
            _ if self.hearing.publish.has_slots() => Slots::default().follow(self).await,
            Some(held) => Shards::default().follow(self, held).await,
            // The one channel is subscribed to from the beginning.
            None => pending().await,
        }
    }

    /// Finds out again and again whether all messages until a moment have arrived.
    async fn pings(&self, said: &mut Said) -> Outage {
        let mut number = 0_u64;
        loop {
            number += 1;
            let (sent, text) = (Monotonic::now().as_millis(), number.to_string());
            let is_pong = |answer: &Value| is_text(answer, &text);
            if let Err(outage) = self.answers.to(cmd("PING").arg(&text), is_pong).await {
                return outage;
            }
            if self.ear.hear(sent) {
                self.hearing.renew(self.ear);
            }
            if self.ear.hears() {
                said.trusted();
            } else if said.is_trusted() {
                said.lost(&silent());
            }
            tokio::time::sleep(PINGED).await;
        }
    }

    /// Publishes to itself on the way that calls take, and finds out whether that arrives.
    async fn loops(&self) -> Outage {
        let mut missing = 0;
        loop {
            let Some(slot) = self.slot() else {
                tokio::time::sleep(PINGED).await;
                continue;
            };
            let Some(store) = self.hearing.store() else {
                return silent();
            };
            let (channel, name) = (self.hearing.own(slot), channel::text(slot).to_string());
            let sent = Monotonic::now().as_millis();
            let answer = store.publish(&name, &channel, &sent.to_be_bytes()).await;
            drop(store);
            let (answered, mut pause) = (answer.is_ok(), LOOPED);
            match answer {
                Ok(now) if self.ear.note_time(now.as_millis(), sent) => {
                    self.hearing.renew(self.ear);
                }
                Err(error) if error.kind() == StoreErrorKind::Denied => {
                    return Outage::new(StoreErrorKind::Denied, error);
                }
                Err(error) if error.kind() == StoreErrorKind::Busy => pause = SOON,
                // The way of calls is interrupted. What comes on this connection may be right.
                Ok(_) | Err(_) => {}
            }
            tokio::time::sleep(pause).await;
            if answered && !self.ear.has_heard_itself(sent) {
                missing += 1;
            } else {
                missing = 0;
            }
            if missing >= MISSING {
                return silent();
            }
        }
    }

    /// A slot that it hears; `None` if there is none yet.
    fn slot(&self) -> Option<u16> {
        if !self.hearing.publish.has_slots() {
            return Some(0);
        }
        self.ear.own_slot()
    }
}

/// Waits until a sentinel reports that it names another master; for ever if there are none.
async fn switched(sentinels: Option<&Arc<Sentinels>>) -> Outage {
    if let Some(mut switched) = sentinels.map(|all| all.switched())
        && switched.changed().await.is_ok()
    {
        return Outage::new(
            StoreErrorKind::Unavailable,
            "the sentinels name another master",
        );
    }
    pending().await
}

/// Whether this is what the server says after that command about that channel.
fn is_said(answer: &Value, name: &str, channel: &str) -> bool {
    let Value::Push { kind, data } = answer else {
        return false;
    };
    let is_kind = match name {
        "SUBSCRIBE" => *kind == PushKind::Subscribe,
        "SSUBSCRIBE" => *kind == PushKind::SSubscribe,
        "UNSUBSCRIBE" => *kind == PushKind::Unsubscribe,
        "SUNSUBSCRIBE" => *kind == PushKind::SUnsubscribe,
        _ => false,
    };
    is_kind && matches!(data.first(), Some(Value::BulkString(of)) if of == channel.as_bytes())
}

/// Messages of the node to itself do not arrive.
fn silent() -> Outage {
    Outage::new(
        StoreErrorKind::Unavailable,
        "messages that this node publishes do not reach it",
    )
}
