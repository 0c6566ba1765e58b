//! Makes room for a new session: which sessions end, and which notices are dropped.

use std::collections::VecDeque;

use super::{Cause, NOBODY, SessionSet};
use crate::{
    model::{EndNotice, EndReason, Excess, Record, SessionId, Timestamp},
    store::{Create, DEVICES_MAX, MARKERS_MAX, NOTICES_MAX, SeenDevice, UNCOUNTED_MAX},
};

/// The devices of a user, in the order of their last sign-in.
#[derive(Clone, Default, PartialEq)]
pub(super) struct Devices {
    pub(super) digests: VecDeque<[u8; 12]>,
    pub(super) until: Option<Timestamp>,
}

impl Devices {
    pub(super) const NONE: Self = Self {
        digests: VecDeque::new(),
        until: None,
    };

    pub(super) fn purge(&mut self, now: Timestamp) {
        if self.until.is_some_and(|until| now >= until) {
            *self = Self::NONE;
        }
    }

    pub(super) fn kept_until(&self) -> Option<Timestamp> {
        self.until
    }

    /// Remembers this device, and returns whether it is new.
    pub(super) fn note(&mut self, device: SeenDevice, now: Timestamp) -> bool {
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

/// The sessions that must end for a new one, and those that a refusal offers to end, if the limit refuses.
pub(super) fn excess<'a>(
    create: &Create,
    live: impl Iterator<Item = &'a Record>,
    now: Timestamp,
) -> (Vec<SessionId>, Option<Vec<Record>>) {
    if create.user.is_none() {
        return (Vec::new(), None);
    }
    let rivals: Vec<&Record> = live
        .filter(|record| record.counts == create.counts && record.is_in(create.realm))
        .collect();
    let own = |record: &&Record| create.counts && record.class == create.class;
    let (most, most_of_class) = if create.counts {
        let of_class = create.limit.class_sessions(create.class);
        (create.limit.sessions(), of_class)
    } else {
        (UNCOUNTED_MAX, None)
    };
    let over = |count: usize, most: u16| (count + 1).saturating_sub(usize::from(most));
    let first = |those: Vec<&'a Record>, count| {
        first(those, count, |it| it.eviction_order(&create.client, now))
    };
    let is_used = |record: &&Record| !record.is_unused_for_long(now);

    let of_class: Vec<&Record> = rivals.iter().copied().filter(own).collect();
    let class_over = most_of_class.map_or(0, |most| over(of_class.len(), most));
    let mut goes = first(of_class, class_over);
    let class_refuses = goes.iter().any(is_used);
    let total_over = over(rivals.len() - goes.len(), most);
    let mut others = rivals.clone();
    let mut gone: Vec<SessionId> = goes.iter().map(|record| record.id).collect();
    gone.sort_unstable();
    others.retain(|record| gone.binary_search(&record.id).is_err());
    goes.extend(first(others, total_over));
    let refused = create.limit.excess() == Excess::Refuse && goes.iter().any(is_used);
    // The sessions whose end would make room.
    let offered = refused.then(|| {
        let those = rivals.into_iter().filter(is_used);
        let those = those.filter(|record| !class_refuses || own(record));
        those.cloned().collect()
    });
    (goes.into_iter().map(|record| record.id).collect(), offered)
}

/// The first of these, in their order. Mostly that is one of many.
fn first<K: Ord>(
    mut those: Vec<&Record>,
    count: usize,
    order: impl Fn(&Record) -> K,
) -> Vec<&Record> {
    if (1..those.len()).contains(&count) {
        those.select_nth_unstable_by_key(count - 1, |record| order(record));
    }
    those.truncate(count);
    those.sort_by_cached_key(|record| order(record));
    those
}

impl SessionSet {
    /// Evicts these sessions, in this order, and returns them.
    pub(super) fn evict(
        &mut self,
        goes: &[SessionId],
        cause: &Cause,
        now: Timestamp,
    ) -> Vec<Record> {
        // In one pass: a lowered limit ends a thousand at once.
        let mut places: Vec<(SessionId, usize)> = goes.iter().copied().zip(0..).collect();
        places.sort_unstable();
        let place = |id: &SessionId| {
            let at = places.binary_search_by_key(id, |(id, _)| *id).ok()?;
            places.get(at).map(|(_, place)| *place)
        };
        let (mut gone, mut at) = (Vec::with_capacity(goes.len()), 0);
        while gone.len() < goes.len()
            && let Some(live) = self.live.get(at)
        {
            match place(&live.record.id) {
                Some(place) => gone.push((place, self.live.swap_remove(at).record)),
                None => at += 1,
            }
        }
        gone.sort_unstable_by_key(|(place, _)| *place);
        let evicted: Vec<Record> = gone.into_iter().map(|(_, record)| record).collect();
        for record in &evicted {
            self.note(record, cause, now);
        }
        evicted
    }

    /// Keeps the newest notices, as many as the limit, and the newest markers. A sign-in that does not
    /// count has no limit of the user's to go by. Notices of the `ended` sessions stay too, up to [`NOTICES_MAX`] in all.
    ///
    /// Of notices of the same moment, the one of the replaced session is dropped last: a double click
    /// sends a second sign-in that looks for it.
    pub(super) fn trim(&mut self, create: &Create, replaced: Option<SessionId>, ended: usize) {
        let Some(rare) = &mut self.rare else {
            return;
        };
        rare.notices.sort_by_cached_key(|(id, notice)| {
            (notice.ended_at, Some(*id) == replaced, id.encode())
        });
        let most = if create.counts {
            usize::from(create.limit.sessions())
        } else {
            NOTICES_MAX
        };
        let most = most.max(ended).min(NOTICES_MAX);
        let is_marker =
            |notice: &EndNotice, reason| notice.digest == NOBODY && notice.reason == reason;
        let replaces = |notice: &EndNotice| is_marker(notice, EndReason::Replaced);
        // Undelivered ids stay for their minute, because their `create` may still run.
        let stays = |notice: &EndNotice| is_marker(notice, EndReason::Undelivered);
        keep_last(&mut rare.notices, most, |(_, notice)| {
            !replaces(notice) && !stays(notice)
        });
        keep_last(&mut rare.notices, MARKERS_MAX, |(_, notice)| {
            replaces(notice)
        });
    }
}

/// Drops the first of those that the predicate accepts, until no more than `most` of them are left.
pub(super) fn keep_last<T>(all: &mut Vec<T>, most: usize, which: impl Fn(&T) -> bool) {
    let mut old = all
        .iter()
        .filter(|each| which(each))
        .count()
        .saturating_sub(most);
    all.retain(|each| {
        let goes = old > 0 && which(each);
        old -= usize::from(goes);
        !goes
    });
}
