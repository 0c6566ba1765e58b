//! The data of sessions.

use std::sync::Arc;

use super::{Live, Made, More, Part, SessionSet};
use crate::{
    model::{Data, Record, Timestamp},
    store::{Save, Saved},
};

impl Default for Part {
    fn default() -> Self {
        Self::Here(Data::default())
    }
}

impl Part {
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Here(data) if data.is_empty())
    }
}

impl Live {
    pub(super) fn new(record: Record, data: Data, made: Option<Arc<Made>>) -> Self {
        let rare = !data.is_empty() || made.is_some();
        let data = Part::Here(data);
        let more = rare.then(|| Box::new(More { data, made }));
        Self { record, more }
    }

    /// Empty if it was not read; see [`SessionSet::add_part`].
    #[inline]
    pub(super) fn data(&self) -> Data {
        match self.more.as_deref() {
            Some(More {
                data: Part::Here(data),
                ..
            }) => data.clone(),
            _ => Data::default(),
        }
    }

    /// What it has beside its record. An empty box is none.
    pub(super) fn more(&self) -> Option<&More> {
        let more = self.more.as_deref();
        more.filter(|more| more.made.is_some() || !more.data.is_empty())
    }

    /// Whether it has data, read or not.
    pub(super) fn has_data(&self) -> bool {
        self.more.as_ref().is_some_and(|more| !more.data.is_empty())
    }

    pub(super) fn set_data(&mut self, data: Data) {
        if self.more.is_some() || !data.is_empty() {
            self.more.get_or_insert_default().data = Part::Here(data);
        }
    }

    /// What its `create` returned is not needed any more.
    pub(super) fn forget_made(&mut self) {
        if let Some(more) = &mut self.more {
            more.made = None;
            if more.data.is_empty() {
                self.more = None;
            }
        }
    }
}

impl SessionSet {
    /// Runs [`save`](crate::store::SessionStore::save).
    pub fn save(&mut self, save: &Save, now: Timestamp) -> Saved {
        let Some(live) = self.live_mut(save.id, now, save.not_before) else {
            return Saved::Ended;
        };
        let revision = live.record.revision;
        if save.expect.is_some_and(|expected| expected != revision) {
            return Saved::Conflict {
                revision,
                data: live.data(),
            };
        }
        let before = live.data();
        let data = before.apply(&save.changes);
        if data.outgrows(&before, save.data_limit) {
            return Saved::TooLarge;
        }
        if !save.shortens_only() {
            live.set_data(data);
            // It is compared and never ordered. Stored heads have these bits of it, and parts have all.
            live.record.revision = (revision + 1) & u64::from(u32::MAX);
        }
        let revision = live.record.revision;
        let Some(lifetime) = save.shorten else {
            return Saved::Saved { revision };
        };
        live.record = live.record.clone().shortened(lifetime, now);
        Saved::Shortened {
            revision,
            idle: live.record.idle,
            deadline: live.record.deadline,
        }
    }
}
