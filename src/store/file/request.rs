//! What requests do. They wait for no disk.

use super::front::Front;
use crate::{
    model::{Record, Tag, Timestamp},
    store::{List, Resolve, Resolved, Save, SessionSet, Touch, feed::report},
};

impl Front {
    pub(super) fn resolve(&self, resolve: &Resolve) -> Resolved {
        let tag = resolve.token.tag();
        let mut first_use = false;
        let resolved = self.within(tag, |shard, now| {
            let Some(entry) = shard.get(tag) else {
                return Resolved::Unknown;
            };
            first_use = entry.set.is_new_token(resolve);
            let resolved = if self.clock.is_doubted(now) {
                let mut copy = entry.set.clone();
                let resolved = copy.resolve(resolve, now, self.notice_kept);
                if let Resolved::Expired(_) = resolved {
                    return resolved;
                }
                entry.set = copy;
                resolved
            } else {
                entry.set.resolve(resolve, now, self.notice_kept)
            };
            match &resolved {
                // A first use without activity looks the same as none.
                Resolved::Live(found) if resolve.activity && found.record.last_activity < now => {}
                Resolved::Reused(reused) if reused.ended => {
                    if entry.write_soon() {
                        self.queue.push(tag);
                    }
                }
                Resolved::Live(_) | Resolved::Expired(_) | Resolved::Reused(_) => {
                    shard.note_seen(tag);
                    self.queue.note_seen();
                }
                Resolved::Ended(_) | Resolved::Unknown => {}
            }
            resolved
        });
        let resolved = resolved.unwrap_or(Resolved::Unknown);
        if first_use || matches!(resolved, Resolved::Reused(_)) {
            self.report(|| report::resolved(resolve, &resolved, first_use));
        }
        resolved
    }

    /// Whether the data of a session takes more space after this.
    pub(super) fn grows(&self, save: &Save) -> bool {
        let bytes = |set: &SessionSet| set.encode_part(save.id).map_or(0, |part| part.len());
        let grows = self.read(save.tag, |set, now| {
            let mut after = set.clone();
            after.save(save, now);
            bytes(&after) > bytes(set)
        });
        grows == Some(true)
    }

    pub(super) fn touch(&self, touch: &Touch) {
        self.within(touch.tag, |shard, now| {
            if let Some(entry) = shard.get(touch.tag) {
                entry.set.touch(touch, now);
                shard.note_seen(touch.tag);
                self.queue.note_seen();
            }
        });
    }

    /// Reads a set as requests see it.
    pub(super) fn read<T>(
        &self,
        tag: Tag,
        work: impl FnOnce(&mut SessionSet, Timestamp) -> T,
    ) -> Option<T> {
        self.within(tag, |shard, now| {
            let entry = shard.get(tag)?;
            if self.clock.is_doubted(now) {
                // Reading drops what is over.
                return Some(work(&mut entry.set.clone(), now));
            }
            Some(work(&mut entry.set, now))
        })
        .flatten()
    }

    pub(super) fn list(&self, list: &List) -> Vec<Record> {
        let listed = self.within(list.tag, |shard, now| {
            let entry = shard.get(list.tag)?;
            let mut copy = entry.set.clone();
            let listed = copy.list(list, now);
            // What it dropped must not be back after a restart.
            if !self.clock.is_doubted(now) && copy != entry.set {
                entry.set = copy;
                shard.note_seen(list.tag);
                self.queue.note_seen();
            }
            Some(listed)
        });
        listed.flatten().unwrap_or_default()
    }
}
