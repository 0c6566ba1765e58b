//! What requests do. They wait for no disk.

use super::{
    front::Front,
    log::Activity,
    shard::{Seen, Shard},
};
use crate::{
    model::{Record, Tag, Timestamp},
    store::{List, Resolve, Resolved, Save, SessionSet, Touch, feed::report},
};

impl Front {
    pub(super) fn resolve(&self, resolve: &Resolve) -> Resolved {
        let (tag, id) = (resolve.token.tag(), resolve.token.session_id());
        let mut first_use = false;
        let resolved = self.within(tag, |shard, now| {
            let Some(entry) = shard.get(tag) else {
                return Resolved::Unknown;
            };
            first_use = entry.set.is_new_token(resolve);
            let is_more = first_use || entry.set.is_unsent(id);
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
                Resolved::Live(found) if !is_more => {
                    let at = found.record.last_activity;
                    if resolve.activity && at >= now {
                        self.note_seen(shard, Seen::Activity(Activity { tag, id, at }));
                    }
                }
                Resolved::Reused(reused) if reused.ended => {
                    if entry.write_soon() {
                        self.queue.push(tag);
                    }
                }
                Resolved::Live(_) | Resolved::Expired(_) | Resolved::Reused(_) => {
                    self.note_seen(shard, Seen::Set(tag));
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
                let (tag, id) = (touch.tag, touch.id);
                if let Some(at) = entry.set.last_activity(id) {
                    self.note_seen(shard, Seen::Activity(Activity { tag, id, at }));
                }
            }
        });
    }

    /// This has to be written within the second.
    fn note_seen(&self, shard: &mut Shard, seen: Seen) {
        shard.note_seen(seen);
        self.queue.note_seen();
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
                self.note_seen(shard, Seen::Set(list.tag));
            }
            Some(listed)
        });
        listed.flatten().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{super::clock::FileClock, super::front::Shards, *};
    use crate::{
        model::{Lifetime, ManualClock, SessionId, Token, UserId},
        store::{Authenticated, Create},
    };

    const NOW: Timestamp = Timestamp::from_millis(1_764_000_000_000);
    const KEPT: Duration = Duration::from_secs(60);
    const TAG: Tag = Tag::from_bytes([3; 12]);

    /// A user with two sessions, whose tokens were sent before.
    fn two() -> (Front, ManualClock, [Token; 2]) {
        let mut set = SessionSet::default();
        let tokens = [(); 2].map(|()| Token::random(TAG).unwrap());
        for token in &tokens {
            let user = UserId::new("alice").ok();
            let mut create = Create::new(token, user, Authenticated::At(NOW));
            create.lifetime = Lifetime::AAL2;
            set.create(&create, NOW, KEPT);
            set.resolve(&Resolve::new(token.clone()), NOW, KEPT);
        }
        let shards = Shards::new();
        shards.of(TAG).unwrap().load(TAG, set);
        let clock = ManualClock::at(NOW);
        let store = FileClock::after(clock.clone().into(), None);
        (Front::new(shards, store, KEPT, 1, None), clock, tokens)
    }

    fn send(front: &Front, token: &Token) {
        let resolved = front.resolve(&Resolve::new(token.clone()));
        assert!(matches!(resolved, Resolved::Live(_)));
    }

    fn taken(front: &Front) -> Vec<Seen> {
        front.take_seen().collect()
    }

    fn activity(id: SessionId, at: Timestamp) -> Seen {
        Seen::Activity(Activity { tag: TAG, id, at })
    }

    #[test]
    fn of_a_session_only_its_last_activity_is_written() {
        let (front, clock, [token, _]) = two();
        for _ in 0..2 {
            clock.advance(KEPT);
            send(&front, &token);
            clock.advance(KEPT);
            send(&front, &token);

            let last = clock.now();
            assert_eq!(taken(&front), [activity(token.session_id(), last)]);
            assert_eq!(taken(&front), []);
        }
    }

    #[test]
    fn of_two_sessions_of_one_user_or_after_another_change_the_whole_set_is_written() {
        let (front, _, tokens) = two();
        tokens.iter().for_each(|token| send(&front, token));
        send(&front, &tokens[0]);
        assert_eq!(taken(&front), [Seen::Set(TAG)]);

        // A new session, whose token is sent for the first time.
        let third = Token::random(TAG).unwrap();
        let create = Create::new(&third, UserId::new("alice").ok(), Authenticated::At(NOW));
        front.within(TAG, |shard, now| {
            let entry = shard.get(TAG).unwrap();
            entry.set.create(&create, now, KEPT);
        });
        send(&front, &third);
        assert_eq!(taken(&front), [Seen::Set(TAG)]);
        send(&front, &third);
        assert_eq!(taken(&front), [activity(third.session_id(), NOW)]);
    }

    #[test]
    fn a_touch_is_written_as_the_session_has_it_and_a_request_without_activity_is_not() {
        let (front, clock, [token, _]) = two();
        let id = token.session_id();
        clock.advance(KEPT);
        front.touch(&Touch::new(TAG, id, Duration::from_secs(20)));
        let at = NOW.plus(Duration::from_secs(40));
        assert_eq!(taken(&front), [activity(id, at)]);

        let mut resolve = Resolve::new(token);
        resolve.activity = false;
        front.resolve(&resolve);
        assert_eq!(taken(&front), []);

        // It expired meanwhile.
        clock.advance(Lifetime::AAL2.idle());
        front.touch(&Touch::new(TAG, id, Duration::ZERO));
        assert_eq!(taken(&front), [activity(id, at)]);
    }
}
