//! Whether a link is up, and what it is up with.

mod down;

use std::time::Duration;

use self::down::Down;
use super::{connection::Shared, outage::Outage};

/// How long callers wait for an outage to pass before they share its error, in ms.
pub(super) const GRACE: i64 = 300;

/// How long after one replacement of a silent connection there is no other, in ms.
const REPLACED_FOR: i64 = 2_000;

/// How long after a password was refused it is not tried again for a spare, in ms.
pub(super) const DENIED: i64 = 5_000;

/// For how long a server may answer that it is not ready before the link counts as down, in ms.
const UNREADY: i64 = 500;

/// How long a server counts as not ready after it last answered so, in ms.
const UNREADY_FOR: i64 = 5_000;

/// How many connections without an answer are kept for their late replies: those of the newest outage. A server that
/// refuses all calls and passes each probe leaves one at a time.
const DOUBTED: usize = 2;

/// How often sentinels are asked, in ms: at rest, and while most of them or the new master do not answer.
const ASKED: i64 = 2_000;
const ASKED_SOON: i64 = 1_000;

/// How often an idle connection is used, in ms.
const PROBED: i64 = 15_000;

/// The circuit breaker: up with a connection, or down since a moment and for a reason.
#[derive(Debug)]
pub(super) struct State {
    /// Carries the calls.
    active: Option<Shared>,
    /// Takes over when that one breaks, and decides whether it or the server is silent.
    spare: Option<Shared>,
    /// Without an answer when the link went down. Calls wait on them until another one answers.
    /// The oldest is the first.
    doubted: Vec<Shared>,
    /// When the link went up last.
    up: i64,
    down: Option<Down>,
    /// A connection that was silent for too long, and since when.
    suspect: Option<(u64, i64)>,
    /// When a silent connection was replaced last.
    replaced: i64,
    /// Since when the server answers that it is not ready, and nothing else; and when it did so last.
    unready: Option<(i64, i64)>,
    probed: i64,
    /// Calls wait on other connections, and want to know whether the server answers.
    look: bool,
    spare_tried: i64,
    /// Whether the server refused the password of the last one that was tried as a spare.
    spare_denied: bool,
    /// How many came to nothing since there was a spare, for other reasons.
    spares_failed: u32,
    /// Another master may have been named.
    ask: bool,
    /// When the sentinels are asked again.
    ask_due: i64,
    closed: bool,
}

/// What a caller finds.
pub(super) enum Found {
    Up(Shared),
    Down(Outage),
    /// It may pass soon; an error is shared after so long.
    Soon(Duration),
    /// Nobody connects any more.
    Closed,
}

/// What a link has beside its first connection.
#[derive(Clone, Copy)]
pub(super) struct Wants {
    pub(super) spare: bool,
    /// Whether it leads to the master that sentinels name.
    pub(super) master: bool,
    /// How long after the link is up again those without an answer are stopped, in ms.
    pub(super) patience: i64,
}

/// What the keeper does next.
pub(super) enum Task {
    Connect,
    /// Finds out which is silent, the first connection or the server, since when.
    Judge(Shared, Option<Shared>, i64),
    OpenSpare,
    /// Finds out whether the server answers on it.
    Look(Shared),
    Probe(Shared, Option<Shared>),
    Bury(Vec<Shared>),
    /// Opens a connection to the master of now.
    Ask,
    Wait(Duration),
}

impl State {
    pub(super) fn new(now: i64) -> Self {
        Self {
            active: None,
            spare: None,
            doubted: Vec::new(),
            up: now,
            // An outage begins with the first call.
            down: None,
            suspect: None,
            replaced: i64::MIN,
            unready: None,
            probed: now,
            look: false,
            spare_tried: i64::MIN,
            spare_denied: false,
            spares_failed: 0,
            ask: false,
            ask_due: now.saturating_add(ASKED),
            closed: false,
        }
    }

    pub(super) fn find(&mut self, now: i64) -> Found {
        if let Some(active) = &self.active {
            return Found::Up(active.clone());
        }
        if self.closed {
            return Found::Closed;
        }
        let down = self.down.get_or_insert_with(|| Down::new(now, None));
        let left = down.waited.saturating_add(GRACE).saturating_sub(now);
        match &down.outage {
            _ if down.forgiven => Found::Soon(Duration::MAX),
            // A password does not become right by waiting.
            Some(outage) if left <= 0 || outage.is_denied() => Found::Down(outage.clone()),
            Some(_) => Found::Soon(Duration::from_millis(left.unsigned_abs())),
            None => Found::Soon(Duration::MAX),
        }
    }

    pub(super) fn active(&self) -> Option<&Shared> {
        self.active.as_ref()
    }

    pub(super) fn doubted(&self) -> Vec<Shared> {
        self.doubted.clone()
    }

    pub(super) fn is_active(&self, connection: &Shared) -> bool {
        let is = |active: &Shared| active.number == connection.number;
        self.active.as_ref().is_some_and(is)
    }

    /// A connection broke. Says whether the link went down by that.
    pub(super) fn broke(&mut self, connection: &Shared, outage: Outage, now: i64) -> bool {
        let is = |other: &Shared| other.number == connection.number;
        if self.spare.as_ref().is_some_and(is) {
            self.spare = None;
        }
        if !self.is_active(connection) {
            return false;
        }
        self.active = self.spare.take().filter(|spare| !spare.is_stopped());
        self.suspect = None;
        if self.active.is_none() {
            self.down = Some(Down::new(now, Some(outage)));
        }
        self.down.is_some()
    }

    /// All connections lead to a server that does not serve, since then.
    pub(super) fn go_down(&mut self, outage: Outage, since: i64) {
        self.doubted.extend(self.active.take());
        self.doubted.extend(self.spare.take());
        self.suspect = None;
        self.unready = None;
        self.down = Some(Down::new(since, Some(outage)));
    }

    /// The newest error of an outage.
    ///
    /// It may be the first error of all: a link of a Cluster connects before a call needs it.
    pub(super) fn still_down(&mut self, outage: Outage, now: i64) {
        if self.active.is_none() {
            let down = self.down.get_or_insert_with(|| Down::new(now, None));
            (down.outage, down.forgiven) = (Some(outage), false);
        }
    }

    /// A connection answered. Says how long the link was down, if it was.
    pub(super) fn go_up(&mut self, connection: Shared, now: i64) -> Option<i64> {
        let is_other = |doubted: &Shared| doubted.number != connection.number;
        self.doubted.retain(is_other);
        self.doubted.extend(self.active.replace(connection));
        self.doubted.extend(self.spare.take());
        self.suspect = None;
        self.unready = None;
        self.ask = false;
        self.look = false;
        self.up = now;
        self.probed = now;
        self.spare_tried = i64::MIN;
        self.down.take()?.lasted(now)
    }

    /// How long the link has been down, if it is.
    pub(super) fn down_for(&self, now: i64) -> Option<i64> {
        self.down.as_ref()?.lasted(now)
    }

    /// Callers wait again for an outage to pass. Says whether there is one, and no attempt that may end it.
    pub(super) fn forgive(&mut self, now: i64) -> bool {
        match &mut self.down {
            // Without an error, or once forgiven, it is being connected to: a server to which one slot after the other comes
            // would never be reached.
            Some(down) if self.active.is_none() && down.outage.is_some() && !down.forgiven => {
                (down.waited, down.forgiven) = (now, true);
                true
            }
            _ => false,
        }
    }

    pub(super) fn outage(&self) -> Option<&Outage> {
        self.down.as_ref().and_then(|down| down.outage.as_ref())
    }

    /// The spare takes the place of the silent one, which is handed back.
    pub(super) fn promote(&mut self, now: i64) -> Option<Shared> {
        self.suspect = None;
        self.replaced = now;
        let spare = self.spare.take()?;
        self.active.replace(spare)
    }

    /// It is not silent after all, or there is nothing better for now.
    pub(super) fn acquit(&mut self, now: i64) {
        self.suspect = None;
        self.replaced = now;
    }

    /// No reply came for too long. Says whether that is news.
    pub(super) fn suspect(&mut self, connection: &Shared, since: i64, now: i64) -> bool {
        let is_news = self.suspect.is_none() && self.is_active(connection) && self.may_replace(now);
        if is_news {
            self.suspect = Some((connection.number, since));
        }
        is_news
    }

    /// At most one connection in two seconds is replaced because it seems to be silent.
    fn may_replace(&self, now: i64) -> bool {
        now.saturating_sub(self.replaced) >= REPLACED_FOR
    }

    /// The server answered that it is not ready. Says since when, if that is for too long.
    pub(super) fn not_ready(&mut self, now: i64) -> Option<i64> {
        let (mut since, last) = self.unready.unwrap_or((now, now));
        if now.saturating_sub(last) >= UNREADY {
            // Nobody asked meanwhile.
            since = now;
        }
        self.unready = Some((since, now));
        (now.saturating_sub(since) >= UNREADY).then_some(since)
    }

    /// Whether it answered so a moment ago, and nothing else since.
    pub(super) fn is_unready(&self, now: i64) -> bool {
        let last = self.unready.map(|(_, last)| last);
        last.is_some_and(|last| now.saturating_sub(last) < UNREADY_FOR)
    }

    pub(super) fn ready(&mut self) {
        self.unready = None;
    }

    /// Asks for the master of now, unless that was done a moment ago. Says whether that is news.
    pub(super) fn ask(&mut self, now: i64) -> bool {
        let is_news = !self.ask && self.may_replace(now);
        if is_news {
            (self.ask, self.replaced) = (true, now);
        }
        is_news
    }

    /// It is found out soon whether the server answers.
    pub(super) fn look(&mut self) {
        self.look = true;
    }

    /// A sentinel reported that it names another master.
    pub(super) fn switched(&mut self) {
        self.ask = true;
    }

    /// The sentinels were asked at that time. It is settled for a while who is the master, or they are asked again soon.
    pub(super) fn asked(&mut self, at: i64, settled: bool) {
        let pause = if settled { ASKED } else { ASKED_SOON };
        (self.ask, self.ask_due) = (false, at.saturating_add(pause));
    }

    /// There is no spare. Says whether that is news: a refused password at once, all else if it is so for the second time.
    /// Where the server has just stopped, it is found out between the two that no connection works.
    pub(super) fn no_spare(&mut self, outage: &Outage, now: i64) -> bool {
        let was_denied = self.spare_denied;
        (self.spare_tried, self.spare_denied) = (now, outage.is_denied());
        if self.spare_denied {
            return !was_denied;
        }
        self.spares_failed = self.spares_failed.saturating_add(1);
        self.spares_failed == 2
    }

    pub(super) fn keep_spare(&mut self, spare: Option<Shared>, now: i64) {
        (self.spare_tried, self.spare_denied) = (now, false);
        if self.active.is_some() && spare.is_some() {
            self.spares_failed = 0;
            self.spare = spare;
        }
    }

    /// Whether callers wait for what the keeper does next.
    pub(super) fn is_urgent(&self) -> bool {
        self.active.is_none() || self.suspect.is_some() || self.ask || self.look
    }

    /// What the keeper does next.
    pub(super) fn task(&mut self, now: i64, wants: Wants) -> Task {
        let too_many = self.doubted.len().saturating_sub(DOUBTED);
        if too_many > 0 {
            return Task::Bury(self.doubted.drain(..too_many).collect());
        }
        let Some(active) = self.active.clone() else {
            return Task::Connect;
        };
        if !self.doubted.is_empty() {
            // The server may have woken up just now: then their replies are on the way.
            let left = self.up.saturating_add(wants.patience).saturating_sub(now);
            if left <= 0 {
                return Task::Bury(std::mem::take(&mut self.doubted));
            }
            if !self.is_urgent() {
                return Task::Wait(Duration::from_millis(left.unsigned_abs()));
            }
        }
        if let Some((number, since)) = self.suspect {
            if number == active.number {
                return Task::Judge(active, self.spare.clone(), since);
            }
            self.suspect = None;
        }
        if std::mem::take(&mut self.look) {
            return Task::Look(active);
        }
        if self.ask || wants.master && now >= self.ask_due {
            return Task::Ask;
        }
        let spare_pause = if self.spare_denied {
            DENIED
        } else {
            REPLACED_FOR
        };
        let spare_due = self.spare_tried.saturating_add(spare_pause);
        if wants.spare && self.spare.is_none() && now >= spare_due {
            return Task::OpenSpare;
        }
        let probe_due = self.probed.saturating_add(PROBED);
        if now >= probe_due {
            self.probed = now;
            return Task::Probe(active, self.spare.clone());
        }
        let mut due = probe_due;
        if wants.spare && self.spare.is_none() {
            due = due.min(spare_due);
        }
        if wants.master {
            due = due.min(self.ask_due);
        }
        Task::Wait(Duration::from_millis(
            due.saturating_sub(now).unsigned_abs(),
        ))
    }

    /// Nobody uses the link any more: all its connections.
    pub(super) fn close(&mut self) -> Vec<Shared> {
        self.closed = true;
        let mut all = std::mem::take(&mut self.doubted);
        all.extend(self.active.take());
        all.extend(self.spare.take());
        all
    }
}

#[cfg(test)]
mod tests;
