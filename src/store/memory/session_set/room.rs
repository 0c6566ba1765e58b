//! Makes room for a new session: which sessions end, and which notices are dropped.

use std::collections::VecDeque;

use super::{Cause, NOBODY, SessionSet};
use crate::{
    model::{EndNotice, EndReason, Record, SessionId, Timestamp},
    store::{Create, DEVICES_MAX, MARKERS_MAX, SeenDevice, UNCOUNTED_MAX},
};

/// The devices of a user, in the order of their last sign-in.
#[derive(Default)]
pub(super) struct Devices {
    digests: VecDeque<[u8; 12]>,
    until: Option<Timestamp>,
}

impl Devices {
    pub(super) fn kept_until(&self) -> Option<Timestamp> {
        self.until
    }

    /// Remembers this device, and returns whether it is new.
    pub(super) fn note(&mut self, device: SeenDevice, now: Timestamp) -> bool {
        if self.until.is_some_and(|until| now >= until) {
            self.digests.clear();
        }
        let before = self.digests.len();
        self.digests.retain(|known| *known != device.digest);
        let new = self.digests.len() == before;
        self.digests.push_back(device.digest);
        if self.digests.len() > DEVICES_MAX {
            self.digests.pop_front();
        }
        self.until = Some(now.plus(device.kept));
        new
    }
}

/// The sessions that must end for a new one, and those that a refusal offers to end.
pub(super) fn excess<'a>(
    create: &Create,
    live: impl Iterator<Item = &'a Record>,
) -> (Vec<SessionId>, Vec<Record>) {
    if create.user.is_none() {
        return (Vec::new(), Vec::new());
    }
    let mut rivals: Vec<&Record> = live
        .filter(|record| record.counts == create.counts && record.is_in(create.realm))
        .collect();
    rivals.sort_by_cached_key(|record| record.eviction_order());
    let own = |record: &&&Record| create.counts && record.class == create.class;
    let (most, most_of_class) = if create.counts {
        let of_class = create.limit.class_sessions(create.class);
        (create.limit.sessions(), of_class)
    } else {
        (UNCOUNTED_MAX, None)
    };
    let over = |count: usize, most: u16| (count + 1).saturating_sub(usize::from(most));

    let class_over = most_of_class.map_or(0, |most| over(rivals.iter().filter(own).count(), most));
    let mut goes: Vec<SessionId> = rivals
        .iter()
        .filter(own)
        .take(class_over)
        .map(|record| record.id)
        .collect();
    let total_over = over(rivals.len() - goes.len(), most);
    let others: Vec<SessionId> = rivals
        .iter()
        .map(|record| record.id)
        .filter(|id| !goes.contains(id))
        .take(total_over)
        .collect();
    goes.extend(others);
    // The sessions whose end would make room.
    let offered = rivals
        .iter()
        .filter(|record| class_over == 0 || own(record))
        .map(|record| (*record).clone())
        .collect();
    (goes, offered)
}

impl SessionSet {
    /// Evicts these sessions, in this order, and returns them.
    pub(super) fn evict(
        &mut self,
        goes: &[SessionId],
        cause: &Cause,
        now: Timestamp,
    ) -> Vec<Record> {
        let mut evicted = Vec::with_capacity(goes.len());
        for id in goes {
            if let Some(at) = self.live.iter().position(|live| live.record.id == *id) {
                let record = self.live.swap_remove(at).record;
                self.note(&record, cause, now);
                evicted.push(record);
            }
        }
        evicted
    }

    /// Keeps the newest notices, as many as the limit, and the newest markers.
    ///
    /// Of notices of the same moment, the one of the replaced session is dropped last: a double click
    /// sends a second sign-in that looks for it.
    pub(super) fn trim(&mut self, create: &Create, replaced: Option<SessionId>) {
        self.notices.sort_by_cached_key(|(id, notice)| {
            (notice.ended_at, Some(*id) == replaced, id.encode())
        });
        let most = if create.counts {
            create.limit.sessions()
        } else {
            UNCOUNTED_MAX
        };
        self.keep_newest(usize::from(most), |notice| notice.digest != NOBODY);
        // Undelivered ids stay for their minute, because their `create` may still run.
        self.keep_newest(MARKERS_MAX, |notice| {
            notice.digest == NOBODY && notice.reason == EndReason::Replaced
        });
    }

    fn keep_newest(&mut self, most: usize, which: impl Fn(&EndNotice) -> bool) {
        let all = self.notices.iter().filter(|(_, notice)| which(notice));
        let mut old = all.count().saturating_sub(most);
        self.notices.retain(|(_, notice)| {
            let goes = old > 0 && which(notice);
            old -= usize::from(goes);
            !goes
        });
    }
}
