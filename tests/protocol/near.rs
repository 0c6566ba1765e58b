//! The near cache of one node: a feed that loses, delays and falls silent, fills that are overtaken, own writes.
//!
//! One session, in one entry. Another node writes it once and ends it once. This node fills, hits, writes, pings and
//! reads its feed, in any order and at any pace.

use stateright::{Model, Property};

use super::near_rules::Rules;

/// For so many ticks an answer counts, from when its question was sent.
const LEASE: u8 = 2;
/// A feed is trusted if it was heard at most so many ticks ago.
const HEARD: u8 = 1;
const TICKS: u8 = 4;

/// T73: whatever message is lost or late.
pub(super) const LEASE_BOUNDS: &str = "no answer is later than the lease";
/// No message was lost without a sign of it.
pub(super) const FEED_BOUNDS: &str = "no answer is later than what was heard";
/// On one node a browser sees what it wrote.
pub(super) const OWN_WRITES: &str = "an answer has what this node wrote";

#[derive(Clone, Debug)]
pub(super) struct Near {
    pub(super) rules: Rules,
    pub(super) scope: Scope,
}

/// What happens beside the end of the session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Scope {
    /// The connection breaks, and the permission to publish is lost.
    Faults,
    /// Two messages are lost while the feed looks healthy.
    Losses,
    /// This node and another one write.
    Writes,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Message {
    /// The session ended, or another node wrote it.
    Changed,
    Pong(u8),
    Number(u8),
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Entry {
    from: u8,
    epoch: u8,
    version: u8,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Fill {
    sent: u8,
    count: u8,
    epoch: u8,
    /// What the store answered, if it did: `None` if the session had ended.
    #[expect(
        clippy::option_option,
        reason = "no answer yet, and an answer without a session"
    )]
    answer: Option<Option<u8>>,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Write {
    No,
    Sent,
    Stored(u8),
    Done(u8),
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct State {
    tick: u8,
    // The store.
    version: u8,
    /// When another node wrote first, and when it ended the session.
    wrote: Option<u8>,
    ended: Option<u8>,
    /// The scripts may publish, and the node is subscribed.
    publishes: bool,
    subscribed: bool,
    wire: Vec<Message>,
    lost: bool,
    losses: u8,
    // The node.
    cut: bool,
    epoch: u8,
    count: u8,
    heard: Option<u8>,
    number: Option<u8>,
    pinged: Option<u8>,
    fill: Option<Fill>,
    entry: Option<Entry>,
    write: Write,
    // What the last answer was.
    hit: bool,
    past_lease: bool,
    past_heard: bool,
    misses_own: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Act {
    Tick,
    /// Another node writes, or ends the session.
    OtherWrites,
    OtherEnds,
    /// A message is lost, and nothing shows it.
    Lose,
    /// The connection breaks. The node learns it when it has heard nothing.
    Cut,
    Connect,
    /// The user of the data connection may not publish any more.
    Deny,
    Ping,
    /// The node processes what came at this place.
    Read(usize),
    Ask,
    Serve,
    Keep,
    Hit,
    Write,
    Store,
    Done,
}

impl State {
    fn publish(&mut self, message: Message) {
        if self.subscribed {
            self.wire.push(message);
        }
    }

    fn changed(&mut self) {
        if self.publishes {
            self.publish(Message::Changed);
        }
    }

    fn is_trusted(&self, rules: Rules) -> bool {
        let young = |at: Option<u8>| at.is_some_and(|at| self.tick - at <= HEARD);
        young(self.heard) && (!rules.loop_back || young(self.number))
    }

    fn removes(&mut self) {
        self.count += 1;
        self.entry = None;
    }

    /// Whether the entry answers now.
    fn answers(&self, rules: Rules) -> Option<Entry> {
        let entry = self.entry?;
        let valid = self.is_trusted(rules)
            && (!rules.epoch || entry.epoch == self.epoch)
            && self.tick - entry.from <= LEASE;
        valid.then_some(entry)
    }

    fn hits(&mut self, entry: Entry) {
        self.hit = true;
        let older = |moment: Option<u8>| moment.map_or(0, |moment| self.tick - moment);
        let mut late = older(self.ended);
        if entry.version & 1 == 0 {
            late = late.max(older(self.wrote));
        }
        self.past_lease = late > LEASE;
        self.past_heard = late > HEARD && !self.lost;
        self.misses_own = matches!(self.write, Write::Done(own) if entry.version & own != own);
    }
}

impl Model for Near {
    type State = State;
    type Action = Act;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            tick: 0,
            version: 0,
            wrote: None,
            ended: None,
            publishes: true,
            subscribed: true,
            wire: Vec::new(),
            lost: false,
            losses: if self.scope == Scope::Losses { 2 } else { 0 },
            cut: false,
            epoch: 0,
            count: 0,
            heard: Some(0),
            number: Some(0),
            pinged: Some(0),
            fill: None,
            entry: None,
            write: Write::No,
            hit: false,
            past_lease: false,
            past_heard: false,
            misses_own: false,
        }]
    }

    fn actions(&self, state: &State, acts: &mut Vec<Act>) {
        if state.tick < TICKS {
            acts.push(Act::Tick);
        }
        if state.ended.is_none() {
            if state.wrote.is_none() && self.scope != Scope::Faults {
                acts.push(Act::OtherWrites);
            }
            if self.scope != Scope::Writes {
                acts.push(Act::OtherEnds);
            }
        }
        if state.losses > 0 && state.wire.contains(&Message::Changed) {
            acts.push(Act::Lose);
        }
        if self.scope == Scope::Faults {
            if !state.cut && state.publishes {
                acts.extend([Act::Cut, Act::Deny]);
            }
            if !state.subscribed {
                acts.push(Act::Connect);
            }
        }
        if state.pinged < Some(state.tick) && state.subscribed {
            acts.push(Act::Ping);
        }
        match state.wire.first() {
            None => {}
            Some(_) if self.rules.in_order => acts.push(Act::Read(0)),
            Some(_) => {
                acts.push(Act::Read(0));
                let mut wire = state.wire.iter();
                let number = wire.position(|message| *message != Message::Changed);
                acts.extend(number.filter(|at| *at > 0).map(Act::Read));
            }
        }
        acts.push(match state.fill {
            None => Act::Ask,
            Some(Fill { answer: None, .. }) => Act::Serve,
            Some(_) => Act::Keep,
        });
        if state.answers(self.rules).is_some() {
            acts.push(Act::Hit);
        }
        match state.write {
            Write::No if self.scope != Scope::Writes => {}
            Write::No => acts.push(Act::Write),
            Write::Sent => acts.push(Act::Store),
            Write::Stored(_) => acts.push(Act::Done),
            Write::Done(_) => {}
        }
    }

    fn next_state(&self, before: &State, act: Act) -> Option<State> {
        let mut state = before.clone();
        (state.hit, state.past_lease) = (false, false);
        (state.past_heard, state.misses_own) = (false, false);
        match act {
            Act::Tick => state.tick += 1,
            Act::OtherWrites => {
                state.version |= 1;
                state.wrote = Some(state.tick);
                state.changed();
            }
            Act::OtherEnds => {
                state.ended = Some(state.tick);
                state.changed();
            }
            Act::Lose => {
                let at = state.wire.iter().position(|it| *it == Message::Changed)?;
                state.wire.remove(at);
                (state.losses, state.lost) = (state.losses - 1, true);
            }
            Act::Cut => {
                (state.cut, state.subscribed) = (true, false);
                state.wire.clear();
            }
            Act::Connect => {
                state.subscribed = true;
                state.epoch += 1;
                (state.heard, state.number) = (None, None);
            }
            Act::Deny => state.publishes = false,
            Act::Ping => {
                state.pinged = Some(state.tick);
                if state.publishes {
                    state.publish(Message::Number(state.tick));
                }
                state.publish(Message::Pong(state.tick));
            }
            Act::Read(at) => {
                let message = state.wire.remove(at);
                let since = |sent| {
                    if self.rules.from_ping {
                        sent
                    } else {
                        before.tick
                    }
                };
                match message {
                    Message::Changed => state.removes(),
                    Message::Pong(sent) => state.heard = Some(since(sent)),
                    Message::Number(sent) => state.number = Some(since(sent)),
                }
            }
            Act::Ask => {
                state.fill = Some(Fill {
                    sent: state.tick,
                    count: state.count,
                    epoch: state.epoch,
                    answer: None,
                });
            }
            Act::Serve => {
                let answer = state.ended.is_none().then_some(state.version);
                state.fill.as_mut()?.answer = Some(answer);
            }
            Act::Keep => {
                let fill = state.fill.take()?;
                let unchanged = (!self.rules.count || fill.count == state.count)
                    && (!self.rules.epoch || fill.epoch == state.epoch);
                if unchanged && state.is_trusted(self.rules) {
                    state.entry = fill.answer?.map(|version| Entry {
                        from: if self.rules.from_question {
                            fill.sent
                        } else {
                            state.tick
                        },
                        epoch: fill.epoch,
                        version,
                    });
                }
            }
            Act::Hit => state.hits(state.answers(self.rules)?),
            Act::Write => {
                state.write = Write::Sent;
                if self.rules.own {
                    state.removes();
                }
            }
            Act::Store => {
                if state.ended.is_none() {
                    state.version |= 2;
                    state.write = Write::Stored(2);
                    state.changed();
                } else {
                    state.write = Write::Stored(0);
                }
            }
            Act::Done => {
                let Write::Stored(own) = state.write else {
                    return None;
                };
                state.write = Write::Done(own);
                if self.rules.own {
                    state.removes();
                }
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(LEASE_BOUNDS, |_, state: &State| !state.past_lease),
            Property::always(FEED_BOUNDS, |_, state: &State| !state.past_heard),
            Property::always(OWN_WRITES, |_, state: &State| !state.misses_own),
            Property::sometimes("a late answer", |_, state: &State| {
                let changed = state.ended.or(state.wrote);
                state.hit && changed.is_some_and(|changed| changed < state.tick)
            }),
        ];
        if self.scope == Scope::Writes {
            properties.push(Property::sometimes(
                "an answer after an own write",
                |_, state: &State| state.hit && matches!(state.write, Write::Done(_)),
            ));
        }
        properties
    }
}
