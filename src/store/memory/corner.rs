//! Everything about one user or one guest, and what may happen to it.
//!
//! The same rules as `redis/lua/*.lua`, on values; the random histories hold the two together.

use std::time::Duration;

use crate::{
    model::{Data, Digest, EndNotice, EndReason, Excess, Record, SessionId, Timestamp},
    store::{
        Authenticated, CUT_KEPT, Create, Created, End, Ended, Found, List, NewSession, Resolve,
        Resolved, Save, Saved, TOMBSTONE_KEPT, Which,
    },
};

/// The digest of what was given up before it was made.
const NOBODY: Digest = Digest::from_bytes([0; 32]);

#[derive(Default)]
pub(super) struct Corner {
    live: Vec<Live>,
    notices: Vec<(SessionId, EndNotice)>,
    cut: Option<Timestamp>,
}

struct Live {
    record: Record,
    data: Data,
}

impl Corner {
    /// Up to when any of it is needed.
    pub(super) fn kept_until(&self) -> Option<Timestamp> {
        let live = self.live.iter().map(|live| live.record.expires_at());
        let notices = self.notices.iter().map(|(_, notice)| notice.kept_until);
        let cut = self.cut.map(|cut| cut.plus(CUT_KEPT));
        live.chain(notices).chain(cut).max()
    }

    pub(super) fn resolve(
        &mut self,
        resolve: &Resolve,
        digest: &Digest,
        now: Timestamp,
    ) -> Resolved {
        let id = resolve.token.session_id();
        if let Some(live) = self.live.iter_mut().find(|live| live.record.id == id) {
            let record = &mut live.record;
            if record.digest != *digest || !record.is_live(now, resolve.not_before) {
                return Resolved::Unknown;
            }
            if resolve.activity {
                record.last_activity = record.last_activity.max(now);
            }
            return Resolved::Live(Found::new(record.clone(), live.data.clone(), now));
        }
        match self.notice(id, now) {
            Some(notice) if notice.digest == *digest => Resolved::Ended(*notice),
            _ => Resolved::Unknown,
        }
    }

    pub(super) fn create(&mut self, create: &Create, now: Timestamp, kept: Duration) -> Created {
        if let Some(known) = self.known(create, now) {
            return known;
        }
        let authenticated = match create.authenticated {
            Authenticated::At(moment) => moment,
            Authenticated::On(arrival) => now.minus(arrival.age()),
        };
        // Not yet held to now: a sign-in right after its own request's cut, within one millisecond,
        // states the next one.
        if create.user.is_some() && self.is_void(authenticated, now) {
            return Created::Void;
        }
        let authenticated = authenticated.min(now);
        self.purge(now, create.not_before);

        let replaced = create
            .replaces
            .and_then(|id| self.live.iter().position(|live| live.record.id == id));
        let base = replaced.and_then(|at| self.live.get(at));
        let data = base
            .map(|live| live.data.clone())
            .unwrap_or_default()
            .apply(&create.changes);
        if create.user.is_some()
            && create.limit.excess() == Excess::Refuse
            && self.live.len() - usize::from(replaced.is_some())
                >= usize::from(create.limit.sessions())
        {
            return Created::LimitReached(
                self.live
                    .iter()
                    .map(|live| &live.record)
                    .filter(|record| Some(record.id) != create.replaces)
                    .cloned()
                    .collect(),
            );
        }
        if data.as_bytes().len() > create.data_limit {
            return Created::TooLarge;
        }

        if let Some(at) = replaced {
            let replaced = self.live.swap_remove(at).record;
            self.note(&replaced, EndReason::Replaced, Some(create.id), now, kept);
        }
        let mut record = Record::new(
            create.id,
            create.digest,
            create.user.clone(),
            create.client.clone(),
            create.lifetime,
            now,
        );
        record.authenticated_at = authenticated;
        let mut created = NewSession::new(record.clone(), data.clone(), now);
        created.cut = self.cut;
        created.evicted = self.make_room(create, now, kept);
        self.live.push(Live { record, data });
        Created::Created(Box::new(created))
    }

    /// The answer for an id that has been here before.
    fn known(&self, create: &Create, now: Timestamp) -> Option<Created> {
        if self.notices.iter().any(|(id, _)| *id == create.id) {
            return Some(Created::Ended);
        }
        let live = self.live.iter().find(|live| live.record.id == create.id)?;
        if live.record.digest != create.digest || !live.record.is_live(now, None) {
            return Some(Created::Ended);
        }
        let mut same = NewSession::new(live.record.clone(), live.data.clone(), now);
        same.cut = self.cut;
        Some(Created::Created(Box::new(same)))
    }

    fn is_void(&mut self, authenticated: Timestamp, now: Timestamp) -> bool {
        self.cut = self.cut.filter(|cut| now < cut.plus(CUT_KEPT));
        match self.cut {
            // The clock stepped back: without this, the user could not sign in until it caught up.
            Some(cut) if cut > now => {
                self.cut = Some(now);
                true
            }
            Some(cut) => authenticated <= cut,
            None => false,
        }
    }

    /// Ends the excess, of which guests have none, and trims the notices.
    fn make_room(&mut self, create: &Create, now: Timestamp, kept: Duration) -> Vec<Record> {
        let most = usize::from(create.limit.sessions());
        self.live
            .sort_by_cached_key(|live| live.record.eviction_order());
        let excess = match create.user {
            Some(_) => (self.live.len() + 1).saturating_sub(most),
            None => 0,
        };
        let evicted: Vec<Record> = self.live.drain(..excess).map(|live| live.record).collect();
        for record in &evicted {
            self.note(record, EndReason::Evicted, Some(create.id), now, kept);
        }
        // What was given up before it was made stays for its minute: its `create` may still come.
        let given_up = |notice: &EndNotice| notice.digest == NOBODY;
        self.notices
            .sort_by_cached_key(|(id, notice)| (given_up(notice), notice.ended_at, id.encode()));
        let told = |(_, notice): &&(SessionId, EndNotice)| !given_up(notice);
        let old = self.notices.iter().filter(told).count();
        self.notices.drain(..old.saturating_sub(most));
        evicted
    }

    pub(super) fn save(&mut self, save: &Save, now: Timestamp) -> Saved {
        let Some(live) = self.live_mut(save.id, now) else {
            return Saved::Ended;
        };
        let revision = live.record.revision;
        if save.expect.is_some_and(|expected| expected != revision) {
            return Saved::Conflict {
                revision,
                data: live.data.clone(),
            };
        }
        let data = live.data.apply(&save.changes);
        if data.as_bytes().len() > save.data_limit {
            return Saved::TooLarge;
        }
        live.data = data;
        live.record.revision = revision + 1;
        Saved::Saved {
            revision: revision + 1,
        }
    }

    pub(super) fn list(&mut self, list: &List, now: Timestamp) -> Vec<Record> {
        self.purge(now, list.not_before);
        self.live.iter().map(|live| live.record.clone()).collect()
    }

    pub(super) fn end(&mut self, end: &End, now: Timestamp, kept: Duration) -> Ended {
        if let Some(caller) = end.caller
            && self.live_mut(caller, now).is_none()
        {
            return Ended::CallerEnded;
        }
        match end.which {
            Which::One(id) => self.end_one(id, end, now, kept),
            Which::All => self.end_several(None, end, now, kept),
            Which::Others(keep) => self.end_several(Some(keep), end, now, kept),
        }
    }

    fn end_one(&mut self, id: SessionId, end: &End, now: Timestamp, kept: Duration) -> Ended {
        self.live
            .retain(|live| live.record.id != id || live.record.is_live(now, None));
        if let Some(at) = self.live.iter().position(|live| live.record.id == id) {
            let Live { record, data } = self.live.swap_remove(at);
            self.note(&record, end.reason, end.by, now, kept);
            let moved = end.read_at.is_some_and(|read| read != record.revision);
            return Ended::Ended {
                count: 1,
                now,
                data: moved.then_some(data),
            };
        }
        if self.notice(id, now).is_some() {
            return Ended::Ended {
                count: 0,
                now,
                data: None,
            };
        }
        if end.reason == EndReason::Undelivered {
            self.tombstone(id, now);
        }
        Ended::Unknown
    }

    fn end_several(
        &mut self,
        keep: Option<SessionId>,
        end: &End,
        now: Timestamp,
        kept: Duration,
    ) -> Ended {
        self.purge(now, None);
        let (stay, go): (Vec<Live>, Vec<Live>) = self
            .live
            .drain(..)
            .partition(|live| Some(live.record.id) == keep);
        self.live = stay;
        for Live { record, .. } in &go {
            self.note(record, end.reason, end.by, now, kept);
        }
        self.cut = Some(now);
        Ended::Ended {
            count: go.len(),
            now,
            data: None,
        }
    }

    fn note(
        &mut self,
        record: &Record,
        reason: EndReason,
        by: Option<SessionId>,
        now: Timestamp,
        kept: Duration,
    ) {
        let notice = EndNotice::new(record.digest, reason, now, by, now.plus(kept));
        self.notices.push((record.id, notice));
    }

    /// Keeps a `create` of this id that is still on its way from running.
    fn tombstone(&mut self, id: SessionId, now: Timestamp) {
        let until = now.plus(TOMBSTONE_KEPT);
        let notice = EndNotice::new(NOBODY, EndReason::Undelivered, now, None, until);
        self.notices.push((id, notice));
    }

    fn notice(&self, id: SessionId, now: Timestamp) -> Option<&EndNotice> {
        self.notices
            .iter()
            .find_map(|(of, notice)| (*of == id && now < notice.kept_until).then_some(notice))
    }

    fn live_mut(&mut self, id: SessionId, now: Timestamp) -> Option<&mut Live> {
        self.live
            .iter_mut()
            .find(|live| live.record.id == id && live.record.is_live(now, None))
    }

    /// Drops what has passed its time.
    fn purge(&mut self, now: Timestamp, not_before: Option<Timestamp>) {
        self.live
            .retain(|live| live.record.is_live(now, not_before));
        self.notices.retain(|(_, notice)| now < notice.kept_until);
        self.cut = self.cut.filter(|cut| now < cut.plus(CUT_KEPT));
    }
}
