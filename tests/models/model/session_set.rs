//! What the model knows of one user or guest.

use std::time::Duration;

use tower_user_sessions::{
    EndNotice, EndReason, SessionId, Timestamp,
    store::{Digest, End, Previous, Record},
};

use super::{
    Answer, Cause, Contents, Known, NOTICE_KEPT, SessionSet, State, TOMBSTONE_KEPT, UNUSED_GUEST,
};

fn idle(record: &Record) -> Duration {
    if record.unused && record.user_id().is_none() {
        record.idle.min(UNUSED_GUEST)
    } else {
        record.idle
    }
}

/// When a session began, as `not_before` sees it.
pub(super) fn began(record: &Record) -> Timestamp {
    record.created_at.min(record.authenticated_at)
}

impl SessionSet {
    pub(super) fn live(
        &mut self,
        id: SessionId,
        now: Timestamp,
        not_before: Option<Timestamp>,
    ) -> Option<(&mut Record, &mut Contents)> {
        self.known
            .iter_mut()
            .find_map(|known| match &mut known.state {
                State::Begun(record, data)
                    if known.id == id
                        && Some(began(record)) >= not_before
                        && now < record.deadline
                        && now < record.last_activity.plus(idle(record)) =>
                {
                    Some((record, data))
                }
                _ => None,
            })
    }

    pub(super) fn all_live(
        &mut self,
        now: Timestamp,
        not_before: Option<Timestamp>,
    ) -> Vec<Record> {
        let ids: Vec<SessionId> = self.known.iter().map(|known| known.id).collect();
        ids.into_iter()
            .filter_map(|id| {
                self.live(id, now, not_before)
                    .map(|(record, _)| record.clone())
            })
            .collect()
    }

    pub(super) fn notice(&self, id: SessionId, now: Timestamp) -> Option<EndNotice> {
        self.known.iter().find_map(|known| match &known.state {
            State::Ended(notice) if known.id == id && now < notice.kept_until => {
                Some(notice.clone())
            }
            _ => None,
        })
    }

    /// The live session with this id, or the one that replaced it.
    pub(super) fn successor(
        &mut self,
        mut id: SessionId,
        now: Timestamp,
        not_before: Option<Timestamp>,
    ) -> Option<SessionId> {
        while self.live(id, now, not_before).is_none() {
            let notice = self.notice(id, now)?;
            if notice.reason != EndReason::Replaced {
                return None;
            }
            id = notice.by?;
        }
        Some(id)
    }

    /// A session that causes an end, and its client while it is live.
    pub(super) fn causing(
        &mut self,
        by: Option<SessionId>,
        call: Option<[u8; 8]>,
        now: Timestamp,
    ) -> Cause {
        let live = by.and_then(|by| self.live(by, now, None));
        (by, live.map(|(record, _)| record.client().clone()), call)
    }

    /// The sessions that this call has ended.
    pub(super) fn ended_by(&self, call: [u8; 8], now: Timestamp) -> Vec<SessionId> {
        let ids = self.known.iter().map(|known| known.id);
        ids.filter(|id| {
            self.notice(*id, now)
                .is_some_and(|notice| notice.call == Some(call))
        })
        .collect()
    }

    pub(super) fn becomes(&mut self, id: SessionId, state: State) {
        match self.known.iter_mut().find(|known| known.id == id) {
            Some(known) => known.state = state,
            None => self.known.push(Known { id, state }),
        }
    }

    pub(super) fn ends(
        &mut self,
        id: SessionId,
        why: EndReason,
        (by, client, call): &Cause,
        now: Timestamp,
    ) {
        if let Some((record, _)) = self.live(id, now, None) {
            let until = now.plus(NOTICE_KEPT);
            let notice = EndNotice::new(record.digest, why, now, *by, until);
            let mut notice = notice.with_by_client(client.clone());
            notice.call = *call;
            notice.previous = record.rotation.as_ref().and_then(|rotation| {
                let previous = rotation.previous[0]?;
                (previous.until == Previous::UNUSED).then_some(previous.digest)
            });
            self.becomes(id, State::Ended(notice));
        }
    }

    /// The sessions that began before this moment leave notices.
    pub(super) fn end_with_all(&mut self, moment: Timestamp, now: Timestamp) {
        for record in self.all_live(now, None) {
            if began(&record) < moment {
                self.ends(record.id, EndReason::Everyone, &(None, None, None), now);
                let known = self.known.iter_mut().find(|known| known.id == record.id);
                if let Some(Known {
                    state: State::Ended(notice),
                    ..
                }) = known
                {
                    notice.ended_at = moment;
                }
            }
        }
    }

    /// The token whose reuse ended the session gets its notice.
    pub(super) fn opens_to_reused(&mut self, id: SessionId, digest: Digest) {
        let known = self.known.iter_mut().find(|known| known.id == id);
        if let Some(Known {
            state: State::Ended(notice),
            ..
        }) = known
        {
            notice.previous.get_or_insert(digest);
        }
    }

    /// Leaves a notice that no token can read.
    pub(super) fn mark(
        &mut self,
        id: SessionId,
        why: EndReason,
        by: Option<SessionId>,
        now: Timestamp,
    ) {
        let (nobody, until) = (Digest::from_bytes([0; 32]), now.plus(TOMBSTONE_KEPT));
        let notice = EndNotice::new(nobody, why, now, by, until);
        self.becomes(id, State::Ended(notice));
    }

    pub(super) fn end_one(&mut self, id: SessionId, ask: &End, now: Timestamp) -> Answer {
        if let Some((record, data)) = self.live(id, now, None) {
            if ask.within.is_some_and(|realm| !record.is_in(realm)) {
                return Answer::Unknown;
            }
            if ask.read_at.is_some_and(|read| read != record.revision) {
                return Answer::Ended(Vec::new(), now, None, Some(data.clone()));
            }
            let by = self.causing(ask.by, Some(ask.call), now);
            self.ends(id, ask.reason, &by, now);
            return Answer::Ended(vec![id], now, None, None);
        }
        if let Some(notice) = self.notice(id, now) {
            let again = notice.call == Some(ask.call);
            return Answer::Ended(again.then_some(id).into_iter().collect(), now, None, None);
        }
        if ask.reason == EndReason::Undelivered {
            self.mark(id, ask.reason, None, now);
        }
        Answer::Unknown
    }

    pub(super) fn keep_the_newest(
        &mut self,
        most: usize,
        now: Timestamp,
        last: Option<SessionId>,
        which: impl Fn(&EndNotice) -> bool,
    ) {
        let mut notices: Vec<(Timestamp, bool, String, SessionId)> = self
            .known
            .iter()
            .filter_map(|known| self.notice(known.id, now).map(|notice| (known.id, notice)))
            .filter(|(_, notice)| which(notice))
            .map(|(id, notice)| (notice.ended_at, Some(id) == last, id.to_string(), id))
            .collect();
        notices.sort();
        let old = notices.len().saturating_sub(most);
        for (.., id) in &notices[..old] {
            self.becomes(*id, State::Dropped);
        }
    }
}
