//! The session sets under one lock.

use std::{
    collections::{HashMap, HashSet},
    mem,
    time::Duration,
};

use super::{
    disk::Parts,
    entry::{Entry, Landed, Step},
    log::{Activity, Group},
};
use crate::{
    model::{SessionId, Tag, Timestamp},
    store::{End, Ended, SessionSet, due::Due, memory::agents::Agents, parts},
};

/// When to look again at a set that is over, but not on the disk yet.
const UNSETTLED: Duration = Duration::from_secs(1);

/// What requests did that has to be written within the second.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Seen {
    /// It changed nothing else.
    Activity(Activity),
    /// The whole set has to be written, or it is gone.
    Set(Tag),
}

impl Seen {
    fn tag(self) -> Tag {
        match self {
            Self::Activity(activity) => activity.tag,
            Self::Set(tag) => tag,
        }
    }

    /// The same set was seen later.
    fn and(self, later: Self) -> Self {
        match (self, later) {
            (Self::Activity(before), Self::Activity(after)) if before.id == after.id => later,
            _ => Self::Set(later.tag()),
        }
    }
}

#[derive(Default)]
pub(super) struct Shard {
    sets: HashMap<Tag, Entry>,
    due: Due,
    agents: Agents,
    /// How many of the sets began with a guest session.
    guests: usize,
    /// Each set once, and again if it is gone.
    seen: Vec<Seen>,
    /// Sets that are gone in memory, with data of sessions that may be on the disk. A commit that removes them is to come.
    left: HashSet<Tag>,
}

impl Shard {
    pub(super) fn sets(&self) -> usize {
        self.sets.len()
    }

    /// So many of the lowest tags after this one, in order.
    pub(super) fn tags(&self, after: Option<Tag>, most: usize) -> Vec<Tag> {
        parts::lowest(self.sets.keys(), after, most)
    }

    pub(super) fn guests(&self) -> usize {
        self.guests
    }

    pub(super) fn get(&mut self, tag: Tag) -> Option<&mut Entry> {
        self.sets.get_mut(&tag)
    }

    /// Puts a set here that was on the disk. If it has expired, it is swept soon.
    pub(super) fn load(&mut self, tag: Tag, mut set: SessionSet) {
        set.share_clients(|client| self.agents.share(client));
        let until = set.kept_until().unwrap_or_default();
        let guest = set.is_guest();
        self.guests += usize::from(guest);
        self.due.push(tag, until);
        let mut entry = Entry::of(set, guest);
        entry.due = Some(until);
        entry.has_parts = entry.set.parts().next().is_some();
        self.sets.insert(tag, entry);
    }

    /// Runs an operation on a copy of a set. If there is none, `make` says whether to make one, of a guest or not.
    pub(super) fn change<T>(
        &mut self,
        tag: Tag,
        make: Option<bool>,
        work: impl FnOnce(&mut SessionSet, &mut Agents) -> T,
    ) -> Option<Step<T>> {
        if let Some(entry) = self.sets.get_mut(&tag) {
            return Some(entry.change(|set| work(set, &mut self.agents)));
        }
        let mut entry = Entry::of(SessionSet::default(), make?);
        let step = entry.change(|set| work(set, &mut self.agents));
        self.add(tag, entry, &step);
        Some(step)
    }

    pub(super) fn end(
        &mut self,
        tag: Tag,
        end: &End,
        make: bool,
        run: impl Fn(&mut SessionSet, &End) -> Ended,
    ) -> Option<(Step<Ended>, Vec<SessionId>)> {
        if let Some(entry) = self.sets.get_mut(&tag) {
            return Some(entry.end(end, run));
        }
        if !make {
            return None;
        }
        let mut entry = Entry::default();
        let (step, all) = entry.end(end, run);
        self.add(tag, entry, &step);
        Some((step, all))
    }

    fn add<T>(&mut self, tag: Tag, entry: Entry, step: &Step<T>) {
        if !matches!(step, Step::Same(_)) {
            self.guests += usize::from(entry.guest);
            self.sets.insert(tag, entry);
        }
    }

    pub(super) fn note_seen(&mut self, seen: Seen) {
        let Some(entry) = self.sets.get_mut(&seen.tag()) else {
            return;
        };
        // The place may be of a set that was taken before.
        let place = usize::try_from(entry.seen).unwrap_or(usize::MAX);
        match self.seen.get_mut(place) {
            Some(before) if before.tag() == seen.tag() => *before = before.and(seen),
            _ => {
                entry.seen = u32::try_from(self.seen.len()).unwrap_or(u32::MAX);
                self.seen.push(seen);
            }
        }
    }

    pub(super) fn take_seen(&mut self) -> Vec<Seen> {
        mem::take(&mut self.seen)
    }

    /// Adds what a commit that begins now has to write of this set.
    pub(super) fn take_off(&mut self, tag: Tag, group: &mut Group) {
        let left = self.left.remove(&tag);
        if let Some(entry) = self.sets.get_mut(&tag) {
            if left {
                entry.write_all();
            }
            entry.take_off(tag, group);
        } else {
            // After a commit that failed it is not known what is on the disk.
            group.put(tag, None, Parts::All, true);
        }
    }

    /// The commit of this set is on the disk, or failed.
    pub(super) fn land(
        &mut self,
        tag: Tag,
        written: bool,
        is_read: bool,
        now: Timestamp,
    ) -> Option<Landed> {
        let Some(entry) = self.sets.get_mut(&tag) else {
            if !written {
                self.left.insert(tag);
            }
            return None;
        };
        let landed = entry.land(written, is_read, now);
        // Of a user whose only sign-in failed there is nothing, or a mark that is over. The thread that writes undoes it on
        // the disk, also if the user signs in again before.
        let until = entry.set.kept_until().unwrap_or(now);
        if !written && until <= now && entry.is_idle() {
            self.left.insert(tag);
            self.remove(tag);
        } else if entry.due.is_none_or(|due| until < due) {
            // The session may have ended, or live shorter.
            entry.due = Some(until);
            self.due.push(tag, until);
        }
        Some(landed)
    }

    fn remove(&mut self, tag: Tag) {
        if let Some(Entry { guest: true, .. }) = self.sets.remove(&tag) {
            self.guests -= 1;
        }
    }

    /// Looks at so many session sets that are due, removes the expired ones, and gives memory back.
    pub(super) fn sweep(&mut self, now: Timestamp, most: usize) -> bool {
        let before = self.seen.len();
        for _ in 0..most {
            let Some((tag, at)) = self.due.take(now) else {
                break;
            };
            let entry = self.sets.get_mut(&tag);
            let Some(entry) = entry.filter(|entry| entry.due == Some(at)) else {
                continue;
            };
            if entry.is_over(now) {
                if entry.has_parts {
                    self.left.insert(tag);
                }
                self.remove(tag);
                self.seen.push(Seen::Set(tag));
            } else {
                let until = entry.set.kept_until().filter(|until| *until > now);
                let until = until.unwrap_or_else(|| now.plus(UNSETTLED));
                entry.due = Some(until);
                self.due.push(tag, until);
            }
        }
        let is_due = |entry: &Entry, at| entry.due == Some(at);
        self.due.shrink(&mut self.sets, is_due);
        self.seen.len() > before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{Token, UserId},
        store::{Authenticated, Create},
    };

    const NOW: Timestamp = Timestamp::from_millis(1_764_000_000_000);

    fn tag() -> Tag {
        Tag::from_bytes([7; 12])
    }

    /// Queues a sign-in, whose session has data or not.
    fn signs_in(shard: &mut Shard, has_data: bool) {
        let token = Token::random(tag()).unwrap();
        let user = UserId::new("alice").ok();
        let mut create = Create::new(&token, user, Authenticated::At(NOW));
        if has_data {
            create.changes.set("theme", "dark");
        }
        let kept = Duration::ZERO;
        let step = shard.change(tag(), Some(false), |set, _| set.create(&create, NOW, kept));
        assert!(matches!(step, Some(Step::Changed(_, _, true))));
    }

    /// A commit of the set. Returns whether it removes data that it does not know of.
    fn commits(shard: &mut Shard, written: bool) -> bool {
        let mut group = Group::new(1);
        shard.take_off(tag(), &mut group);
        shard.land(tag(), written, false, NOW);
        group
            .parts
            .iter()
            .any(|parts| parts.tag == tag() && parts.all)
    }

    #[test]
    fn after_a_first_sign_in_that_failed_the_next_one_of_that_user_removes_its_data() {
        // The commit that undoes it may fail too.
        for undone in 0..3 {
            let mut shard = Shard::default();
            signs_in(&mut shard, true);
            commits(&mut shard, false);
            for _ in 0..undone {
                assert!(commits(&mut shard, false), "{undone}");
            }
            assert_eq!(shard.sets(), 0);

            signs_in(&mut shard, false);

            assert!(commits(&mut shard, true), "{undone}");
            signs_in(&mut shard, false);
            assert!(!commits(&mut shard, true), "{undone}");
        }
    }

    #[test]
    fn what_a_commit_removed_is_not_remembered() {
        let mut shard = Shard::default();
        signs_in(&mut shard, true);
        commits(&mut shard, false);
        assert_eq!(shard.left.len(), 1);

        assert!(commits(&mut shard, true));

        assert!(shard.left.is_empty());
    }
}
