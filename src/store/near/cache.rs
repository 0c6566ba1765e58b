//! The kept answers of all sessions, by their tags.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{
    entry::{Asked, Entry},
    own::What,
    shard::{Active, Shard},
};
use crate::{
    model::{Clock, EndReason, SessionId, Tag, Timestamp},
    store::{
        Feed, FeedMessage, FeedNews, Found, Resolve, Resolved, StoreError,
        feed::{FeedReader, HELD},
    },
};

/// How many locks there are; each protects a share of the users.
const SHARDS: usize = 64;

pub(super) struct Cache {
    feed: Feed,
    lease: Duration,
    /// The most entries and bytes of one shard.
    most: (usize, usize),
    clock: Clock,
    shards: Box<[Mutex<Shard>]>,
}

/// An answer from here.
pub(super) struct Answer {
    pub(super) found: Found,
    /// When the activity of which fill has to be written, if that was not planned before.
    pub(super) late: Option<LateFill>,
}

/// A fill whose activity has to be written.
#[derive(Clone, Copy, Debug)]
pub(super) struct LateFill {
    pub(super) due: Timestamp,
    pub(super) tag: Tag,
    pub(super) id: SessionId,
    pub(super) number: u64,
}

impl Cache {
    pub(super) fn new(
        feed: Feed,
        lease: Duration,
        entries: usize,
        bytes: usize,
        clock: Clock,
    ) -> Self {
        Self {
            feed,
            lease,
            most: (entries.div_ceil(SHARDS), bytes.div_ceil(SHARDS)),
            clock,
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
        }
    }

    pub(super) fn feed(&self) -> &Feed {
        &self.feed
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn entries(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).entries()).sum()
    }

    /// How many entries there are at most: each lock has its share of what was set, rounded up.
    pub(super) fn most_entries(&self) -> usize {
        self.most.0.saturating_mul(SHARDS)
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).bytes()).sum()
    }

    /// How many users have entries, and for how many there is room in memory.
    #[cfg(test)]
    pub(super) fn places(&self) -> (usize, usize) {
        let places = self.shards.iter().map(|shard| lock(shard).places());
        places.fold((0, 0), |all, each| (all.0 + each.0, all.1 + each.1))
    }

    /// Answers a request from here, if everything allows it.
    // Inlined, because the answer is copied on its way.
    #[inline]
    pub(super) fn hit(&self, resolve: &Resolve) -> Option<Answer> {
        resolve.near?;
        let (tag, id) = (resolve.token.tag(), resolve.token.session_id());
        let state = self.feed.state(tag);
        if !state.trusted {
            return None;
        }
        let now = match resolve.read_at {
            Some(now) => self.clock.at(now),
            None => self.now(),
        };
        let mut shard = self.shard(tag)?;
        let (entry, hit) = shard.hit(resolve, now, state.epoch)?;
        let late = hit.due.map(|due| LateFill {
            due,
            tag,
            id,
            number: entry.number,
        });
        Some(Answer {
            found: entry.found(hit.at),
            late,
        })
    }

    /// Call it before the question is sent.
    pub(super) fn asks(&self, resolve: &Resolve) -> Asked {
        Asked {
            mark: self.feed.mark(resolve.token.tag()),
            sent: self.now(),
        }
    }

    /// Keeps the answer of the store, if it is one to keep and nothing overtook it. Returns activity that is not
    /// written yet of entries that make room or go.
    pub(super) fn keep(
        &self,
        resolve: &Resolve,
        answer: &Result<Resolved, StoreError>,
        asked: Asked,
    ) -> Vec<Active> {
        let (tag, id) = (resolve.token.tag(), resolve.token.session_id());
        let Ok(answer) = answer else {
            return Vec::new();
        };
        let Some(mut shard) = self.shard(tag) else {
            return Vec::new();
        };
        let same_token = shard.digest(tag, id).map(|kept| *kept == resolve.digest);
        if resolve.near.is_none() && same_token.is_none() {
            return Vec::new();
        }
        let Some(entry) = Entry::of(resolve, answer, asked, self.lease) else {
            let mut active = shard.remove(tag, What::One(id));
            match answer {
                Resolved::Live(_) => {
                    let recorded = asked.sent.plus(self.lease / 4);
                    active.retain(|active| !(resolve.activity && active.at <= recorded));
                }
                _ if is_over(answer, same_token == Some(true)) => active.clear(),
                _ => {}
            }
            return active;
        };
        self.feed.hold(tag, HELD);
        // Under the lock: a message that counts after this also removes the entry after this.
        if !self.feed.is_unchanged(tag, &asked.mark) {
            return Vec::new();
        }
        shard.fill(tag, entry, asked.sent, self.most)
    }

    /// Removes what is kept of these sessions. Returns their activity that is not written yet.
    pub(super) fn remove(&self, tag: Tag, what: What) -> Vec<Active> {
        let shard = self.shard(tag);
        shard.map_or_else(Vec::new, |mut shard| shard.remove(tag, what))
    }

    /// The activity of a fill that is not written yet. Its entry goes.
    pub(super) fn take(&self, late: &LateFill) -> Option<Active> {
        self.shard(late.tag)?.take(late.tag, late.id, late.number)
    }

    fn shard(&self, tag: Tag) -> Option<MutexGuard<'_, Shard>> {
        // The last byte: the first two name the count of the feed.
        let at = usize::from(tag.as_bytes()[11]) % SHARDS;
        self.shards.get(at).map(lock)
    }
}

/// Whether this answer says that the session is not live. `same_token`: it is about the token of the kept answer.
fn is_over(answer: &Resolved, same_token: bool) -> bool {
    match answer {
        Resolved::Live(_) => false,
        // A re-authentication replaces the token only.
        Resolved::Ended(notice) => notice.reason != EndReason::Replaced,
        Resolved::Expired(_) => true,
        Resolved::Reused(reused) => reused.ended,
        // Else the secret may be wrong: everybody can send a token with this tag and id.
        Resolved::Unknown => same_token,
    }
}

impl FeedReader for Cache {
    fn message(&self, message: &FeedMessage) {
        // Their activity is not written any more: another node took over, or the session ended.
        let removes = |what| drop(self.remove(message.tag, what));
        match &message.news {
            FeedNews::Ended(all) => all.iter().for_each(|(id, _)| removes(What::One(*id))),
            FeedNews::EndedAllBut(keep, _) => removes(What::AllBut(*keep)),
            FeedNews::LookAgain => removes(What::All),
            FeedNews::Renewed(id) | FeedNews::Written(id) => removes(What::One(*id)),
            // Each request compares the moment.
            FeedNews::Everyone(_) => {}
        }
    }

    fn epoch_changed(&self) {
        // Each request compares the epoch. Entries of another one stay until their activity is written.
    }
}

// After a panic under a lock the entries are still valid: every step leaves plain values behind.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
