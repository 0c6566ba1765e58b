//! Ends sessions.

use std::time::Duration;

use super::{Cause, Cutoff, Live, NOBODY, SessionSet, SetBy};
use crate::{
    model::{Data, EndReason, Record, SessionId, Timestamp},
    store::{CUTOFF_KEPT, End, Ended, Forget, MARKS_MAX, Which},
};

impl SessionSet {
    /// Runs [`end`](crate::store::SessionStore::end). End notices are kept for `kept`.
    pub fn end(&mut self, end: &End, now: Timestamp, kept: Duration) -> Ended {
        if let Some(caller) = end.caller
            && self.live_mut(caller, now, end.not_before).is_none()
        {
            // The same call may have ended its caller before, and its reply was lost.
            let notice = self.notice(caller, now);
            if notice.is_none_or(|notice| notice.call != Some(end.call)) {
                return Ended::CallerEnded;
            }
        }
        let by = end.by.and_then(|id| self.live_mut(id, now, None));
        let cause = Cause {
            reason: end.reason,
            by: end.by,
            client: by.and_then(|live| live.record.noted_client()),
            call: Some(end.call),
            kept,
        };
        match end.which {
            Which::One(id) => self.end_one(id, end, &cause, now),
            Which::All => self.end_several(None, end, &cause, now),
            Which::Others(keep) => self.end_several(Some(keep), end, &cause, now),
        }
    }

    /// Runs [`forget`](crate::store::SessionStore::forget). If there is no such notice, nothing happens.
    pub fn forget(&mut self, forget: &Forget, now: Timestamp) {
        // The notice stays, because it keeps the id from being created again.
        let Some(rare) = &mut self.rare else {
            return;
        };
        let found = rare.notices.iter_mut().find(|(id, notice)| {
            *id == forget.id && notice.digest == forget.digest && now < notice.kept_until
        });
        if let Some((_, notice)) = found {
            notice.digest = NOBODY;
            notice.previous = None;
            notice.by_client = None;
            notice.call = None;
        }
    }

    fn end_one(&mut self, id: SessionId, end: &End, cause: &Cause, now: Timestamp) -> Ended {
        self.live
            .retain(|live| live.record.id != id || live.record.is_live(now, None));
        if !self.is_within(id, end.within) {
            return Ended::Unknown;
        }
        if let Some(data) = self.newer(id, end) {
            return Ended::Ended {
                ids: Vec::new(),
                now,
                before: None,
                data: Some(data),
            };
        }
        if let Some(at) = self.live.iter().position(|live| live.record.id == id) {
            let record = self.live.swap_remove(at).record;
            self.note(&record, cause, now);
            return Ended::Ended {
                ids: vec![id],
                now,
                before: None,
                data: None,
            };
        }
        if let Some(notice) = self.notice(id, now) {
            let again = notice.call == Some(end.call);
            return Ended::Ended {
                ids: again.then_some(id).into_iter().collect(),
                now,
                before: None,
                data: None,
            };
        }
        // A `create` that arrives later finds this mark and makes no session. Marks do not fill the set.
        if end.reason == EndReason::Undelivered && self.has_room_to_mark(now) {
            self.mark(id, EndReason::Undelivered, None, now);
        }
        Ended::Unknown
    }

    /// The data of a live session, if it is newer than what the caller read. Such a session does not end: if the answer were
    /// lost, the data would be too.
    fn newer(&self, id: SessionId, end: &End) -> Option<Data> {
        let read_at = end.read_at?;
        let live = self.find(id)?;
        (live.record.revision != read_at).then(|| live.data())
    }

    fn has_room_to_mark(&mut self, now: Timestamp) -> bool {
        if self.rare().notices.len() >= MARKS_MAX {
            self.purge(now);
        }
        self.rare().notices.len() < MARKS_MAX
    }

    fn end_several(
        &mut self,
        keep: Option<SessionId>,
        end: &End,
        cause: &Cause,
        now: Timestamp,
    ) -> Ended {
        self.purge(now);
        let stays =
            |record: &Record| Some(record.id) == keep || end.spare_uncounted && !record.counts;
        let (stay, go): (Vec<Live>, Vec<Live>) =
            self.live.drain(..).partition(|live| stays(&live.record));
        self.live = stay;
        // Those of this same call, if its reply was lost.
        let before = self.rare().notices.iter();
        let before = before.filter(|(_, notice)| notice.call == Some(end.call));
        let mut ids: Vec<SessionId> = before.map(|(id, _)| *id).collect();
        for Live { record, .. } in &go {
            self.note(record, cause, now);
            ids.push(record.id);
        }
        let rare = self.rare_mut();
        let (cutoff, before) = next_cutoff(rare.cutoff, end.call, now);
        let set_by = Some(SetBy {
            call: end.call,
            before,
        });
        rare.cutoff = Some(Cutoff { at: cutoff, set_by });
        if let Some(bar) = end.bar {
            rare.barred = (!bar.is_zero()).then(|| now.plus(bar));
        }
        Ended::Ended {
            ids,
            now: cutoff,
            before,
            data: None,
        }
    }
}

/// The cutoff that this call sets, and the one before it.
fn next_cutoff(
    last: Option<Cutoff>,
    call: [u8; 8],
    now: Timestamp,
) -> (Timestamp, Option<Timestamp>) {
    let Some(last) = last else {
        return (now, None);
    };
    match last.set_by.filter(|by| by.call == call) {
        // Its reply was lost. No other call ended them in between.
        Some(SetBy { before, .. }) => {
            let before = before.filter(|before| now < before.plus(CUTOFF_KEPT));
            (now.max(last.at), before)
        }
        // A sign-in after another cutoff of this millisecond must not count as later than this one.
        None => (
            now.max(last.at.plus(Duration::from_millis(1))),
            Some(last.at),
        ),
    }
}
