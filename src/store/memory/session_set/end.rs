//! Ends sessions.

use std::time::Duration;

use super::{Cause, Live, SessionSet};
use crate::{
    model::{EndReason, Record, SessionId, Timestamp},
    store::{End, Ended, Which},
};

impl SessionSet {
    pub(in super::super) fn end(&mut self, end: &End, now: Timestamp, kept: Duration) -> Ended {
        if let Some(caller) = end.caller
            && self.live_mut(caller, now).is_none()
        {
            return Ended::CallerEnded;
        }
        let by = end.by.and_then(|id| self.live_mut(id, now));
        let cause = Cause {
            reason: end.reason,
            by: end.by,
            client: by.and_then(|live| live.record.noted_client()),
            kept,
        };
        match end.which {
            Which::One(id) => self.end_one(id, end, &cause, now),
            Which::All => self.end_several(None, end, &cause, now),
            Which::Others(keep) => self.end_several(Some(keep), end, &cause, now),
        }
    }

    fn end_one(&mut self, id: SessionId, end: &End, cause: &Cause, now: Timestamp) -> Ended {
        self.live
            .retain(|live| live.record.id != id || live.record.is_live(now, None));
        if !self.is_within(id, end.within) {
            return Ended::Unknown;
        }
        if let Some(at) = self.live.iter().position(|live| live.record.id == id) {
            let Live { record, data } = self.live.swap_remove(at);
            self.note(&record, cause, now);
            let moved = end.read_at.is_some_and(|read| read != record.revision);
            return Ended::Ended {
                ids: vec![id],
                now,
                data: moved.then_some(data),
            };
        }
        if self.notice(id, now).is_some() {
            return Ended::Ended {
                ids: Vec::new(),
                now,
                data: None,
            };
        }
        if end.reason == EndReason::Undelivered {
            self.mark(id, EndReason::Undelivered, None, now);
        }
        Ended::Unknown
    }

    fn end_several(
        &mut self,
        keep: Option<SessionId>,
        end: &End,
        cause: &Cause,
        now: Timestamp,
    ) -> Ended {
        self.purge(now, None);
        let stays =
            |record: &Record| Some(record.id) == keep || end.spare_uncounted && !record.counts;
        let (stay, go): (Vec<Live>, Vec<Live>) =
            self.live.drain(..).partition(|live| stays(&live.record));
        self.live = stay;
        for Live { record, .. } in &go {
            self.note(record, cause, now);
        }
        // A sign-in after another cutoff of this millisecond must not count as later than this one.
        let previous = self.cutoff;
        let cutoff = previous.map_or(now, |cutoff| now.max(cutoff.plus(Duration::from_millis(1))));
        self.cutoff = Some(cutoff);
        if let Some(bar) = end.bar {
            self.barred = (!bar.is_zero()).then(|| now.plus(bar));
        }
        Ended::Ended {
            ids: go.iter().map(|live| live.record.id).collect(),
            now: cutoff,
            data: None,
        }
    }
}
