//! Which sessions have streams, and when the store is asked for each. It reads no clock and asks no store.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use super::{
    LiveEnd,
    set::{Member, Queue, Set},
    watched::Watched,
    wheel::Wheel,
};
use crate::{
    model::{Digest, EndNotice, EndReason, SessionId, Tag, Timestamp},
    store::{FeedMessage, FeedNews, Looked},
};

/// How long a session is not asked for again after a look, in ms.
pub(super) const PAUSE: u64 = 1_000;

/// The most that the wheel spans, in ms.
const WHEEL: u64 = 75_000;

/// Sessions that have streams. All moments are milliseconds of the registry's stopwatch.
#[derive(Debug)]
pub(super) struct Book {
    sets: HashMap<Tag, Set>,
    wheel: Wheel,
    /// Sets of which something is due now: a message, an opening, a deadline.
    urgent: VecDeque<Tag>,
    /// Sets whose lease is over, or whose epoch changed.
    background: VecDeque<Tag>,
    lease: u64,
    /// Makes the leases of sets that opened together end apart.
    spread: u64,
}

/// One question to the store.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) tag: Tag,
    pub(super) ids: Vec<SessionId>,
}

/// A session whose streams end.
pub(super) type Finished = (Arc<Watched>, LiveEnd);

/// When a session that opens is asked for first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum First {
    /// At once.
    Now,
    /// After [`PAUSE`], unless a message arrives before.
    Later,
    /// With its lease: nothing can have happened since it was resolved.
    Known,
}

impl Book {
    pub(super) fn new(lease: u64) -> Self {
        Self {
            sets: HashMap::new(),
            // Later moments are planned again: a coarse wheel would be late.
            wheel: Wheel::new((lease.saturating_mul(5) / 4).min(WHEEL)),
            urgent: VecDeque::new(),
            background: VecDeque::new(),
            lease,
            spread: 0,
        }
    }

    /// Every session that has streams.
    pub(super) fn all(&self) -> Vec<Arc<Watched>> {
        let members = self.sets.values().flat_map(|set| &set.members);
        members.map(|member| Arc::clone(&member.watched)).collect()
    }

    /// Every session set that has streams.
    pub(super) fn tags(&self) -> impl Iterator<Item = Tag> {
        self.sets.keys().copied()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }

    /// For how many session sets there is room in memory.
    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.sets.capacity()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.urgent.is_empty() && self.background.is_empty()
    }

    pub(super) fn next(&self) -> Option<u64> {
        self.wheel.next()
    }

    pub(super) fn find(&self, tag: Tag, id: SessionId) -> Option<&Arc<Watched>> {
        let set = self.sets.get(&tag)?;
        set.members
            .iter()
            .map(|member| &member.watched)
            .find(|watched| watched.id == id)
    }

    /// Adds a session. Its streams are registered before it is asked for, so that no end falls between.
    pub(super) fn add(&mut self, watched: Arc<Watched>, times: Times, first: First, now: u64) {
        let tag = watched.tag;
        let due = match first {
            First::Now | First::Later => now + PAUSE,
            First::Known => now + self.some_lease(),
        };
        let set = self.sets.entry(tag).or_default();
        set.members.reserve_exact(1);
        set.members.push(Member {
            watched,
            began: times.began,
            expires: times.expires,
            expires_at: now.saturating_add(times.left).saturating_add(1),
            due,
            free: now,
            seen: now,
            dirty: first == First::Now,
        });
        self.plan(tag, now, Queue::Urgent);
    }

    /// Another stream of a session that has one.
    pub(super) fn open_again(&mut self, tag: Tag, id: SessionId, first: First, now: u64) {
        let Some(set) = self.sets.get_mut(&tag) else {
            return;
        };
        for member in set.members.iter_mut().filter(|member| member.id() == id) {
            match first {
                First::Now => member.dirty = true,
                First::Later => member.due = member.due.min(now + PAUSE),
                First::Known => {}
            }
        }
        self.plan(tag, now, Queue::Urgent);
    }

    pub(super) fn remove(&mut self, watched: &Arc<Watched>) {
        let Some(set) = self.sets.get_mut(&watched.tag) else {
            return;
        };
        set.members
            .retain(|member| !Arc::ptr_eq(&member.watched, watched));
        if set.members.is_empty() && !set.looking {
            self.sets.remove(&watched.tag);
            self.make_smaller();
        }
    }

    /// A message never ends a stream. It makes the store be asked.
    pub(super) fn message(&mut self, message: &FeedMessage, now: u64) {
        let Some(set) = self.sets.get_mut(&message.tag) else {
            return;
        };
        for member in &mut set.members {
            member.dirty |= match &message.news {
                FeedNews::Ended(all) => all.iter().any(|(id, _)| *id == member.id()),
                FeedNews::EndedAllBut(id, _) => member.id() != *id,
                FeedNews::LookAgain => true,
                // It lives on. What these change is asked for at the deadline or with the lease.
                FeedNews::Renewed(_) | FeedNews::Written(_) | FeedNews::Everyone(_) => false,
            };
            // A message came, so the store can be reached again.
            member.free = member.free.min(now + PAUSE);
        }
        self.plan(message.tag, now, Queue::Urgent);
    }

    /// Messages may have been lost: every session of another epoch is asked for.
    pub(super) fn doubt(&mut self, epoch: impl Fn(Tag) -> Option<u64>, now: u64) {
        let tags: Vec<Tag> = self.sets.keys().copied().collect();
        for tag in tags {
            let epoch = epoch(tag);
            if let Some(set) = self.sets.get_mut(&tag)
                && (epoch.is_none() || set.epoch != epoch)
            {
                set.epoch = epoch;
                for member in &mut set.members {
                    member.dirty = true;
                    member.free = member.free.min(now + PAUSE);
                }
                self.plan(tag, now, Queue::Background);
            }
        }
    }

    /// The epoch of the feed when the set was opened.
    pub(super) fn note_epoch(&mut self, tag: Tag, epoch: Option<u64>) {
        if let Some(set) = self.sets.get_mut(&tag) {
            set.epoch = set.epoch.or(epoch);
        }
    }

    /// All sessions that began before this moment ended. No store is asked.
    pub(super) fn everyone(&mut self, moment: Timestamp) -> Vec<Finished> {
        let mut finished = Vec::new();
        self.sets.retain(|_, set| {
            set.members.retain(|member| {
                let lives = member.began >= moment;
                if !lives {
                    finished.push((Arc::clone(&member.watched), ended_with_all(moment)));
                }
                lives
            });
            !set.members.is_empty() || set.looking
        });
        self.make_smaller();
        finished
    }

    /// The task that looks was stopped: no answer to what it asked will come.
    pub(super) fn restart(&mut self, now: u64) {
        let tags: Vec<Tag> = self.sets.keys().copied().collect();
        self.urgent.clear();
        self.background.clear();
        for tag in tags {
            if let Some(set) = self.sets.get_mut(&tag) {
                if set.members.is_empty() {
                    self.sets.remove(&tag);
                    continue;
                }
                if std::mem::take(&mut set.looking) {
                    set.members
                        .iter_mut()
                        .for_each(|member| member.dirty = true);
                }
                set.queue = Queue::None;
                self.plan(tag, now, Queue::Background);
            }
        }
    }

    /// Turns the wheel, and takes at most `most` questions to ask now.
    pub(super) fn turn(&mut self, now: u64, most: usize) -> Vec<Asked> {
        for (place, tag) in self.wheel.turn(now) {
            let Some(set) = self.sets.get(&tag).filter(|set| set.place == place) else {
                continue;
            };
            let queue = if set.members.iter().any(|member| member.is_urgent(now)) {
                Queue::Urgent
            } else {
                Queue::Background
            };
            self.plan(tag, now, queue);
        }
        let mut asked = Vec::new();
        while asked.len() < most {
            let (tag, queue) = if let Some(tag) = self.urgent.pop_front() {
                (tag, Queue::Urgent)
            } else if let Some(tag) = self.background.pop_front() {
                (tag, Queue::Background)
            } else {
                break;
            };
            let Some(set) = self.sets.get_mut(&tag).filter(|set| set.queue == queue) else {
                continue;
            };
            // None that is asked for now is in a queue.
            set.queue = Queue::None;
            let ids = set.take_due(now);
            if ids.is_empty() {
                self.plan(tag, now, Queue::Urgent);
            } else {
                asked.push(Asked { tag, ids });
            }
        }
        asked
    }

    /// Takes what the store answered; `None` if it could not be asked.
    pub(super) fn answered(
        &mut self,
        asked: &Asked,
        answer: Option<Looked>,
        now: u64,
    ) -> Vec<Finished> {
        let lease = self.some_lease();
        let Some(set) = self.sets.get_mut(&asked.tag) else {
            return Vec::new();
        };
        set.looking = false;
        let finished = match answer {
            Some(looked) => set.take_answer(asked, looked, now, lease),
            None => set.take_silence(asked, now, self.lease),
        };
        if set.members.is_empty() {
            self.sets.remove(&asked.tag);
            self.make_smaller();
        } else {
            self.plan(asked.tag, now, Queue::Urgent);
        }
        finished
    }

    /// Puts a set where it is looked at next.
    fn plan(&mut self, tag: Tag, now: u64, queue: Queue) {
        let Some(set) = self.sets.get_mut(&tag) else {
            return;
        };
        let Some(at) = set.next().filter(|_| !set.looking) else {
            return;
        };
        if at > now {
            let place = self.wheel.place(at);
            // A set that stands in an earlier place is planned again there.
            if !self.wheel.is_ahead(set.place) || place < set.place {
                set.place = place;
                self.wheel.put(place, tag);
            }
        } else if set.queue < queue {
            set.queue = queue;
            match queue {
                Queue::Urgent => self.urgent.push_back(tag),
                Queue::Background | Queue::None => self.background.push_back(tag),
            }
        }
    }

    /// The lease, 20 % more or less.
    fn some_lease(&mut self) -> u64 {
        // The golden ratio spreads consecutive numbers evenly.
        self.spread = self.spread.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let part = ((self.spread >> 32) * (self.lease * 2 / 5)) >> 32;
        self.lease * 4 / 5 + part
    }

    fn make_smaller(&mut self) {
        if self.sets.capacity() > 1_024 && self.sets.len() < self.sets.capacity() / 8 {
            self.sets.shrink_to(self.sets.len() * 2);
        }
    }
}

/// The notice that the store would give, as far as it is known here.
fn ended_with_all(moment: Timestamp) -> LiveEnd {
    let digest = Digest::from_bytes([0; 32]);
    let at = moment.time();
    let notice = EndNotice::new(digest, EndReason::Everyone, at, None, at);
    LiveEnd::Ended(Some(notice))
}

/// The times of a session that opens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// The earlier one of creation and authentication.
    pub(super) began: Timestamp,
    /// When it expires, by the store's clock.
    pub(super) expires: Timestamp,
    /// How long that is away, in ms.
    pub(super) left: u64,
}

impl Times {
    /// Of a session that has ended: only the store knows more.
    pub(super) const UNKNOWN: Self = Self {
        began: Timestamp::from_millis(i64::MAX),
        expires: Timestamp::from_millis(i64::MAX),
        left: u64::MAX,
    };
}
