//! One session set: everything that the store keeps about one user or one guest session.
//!
//! `redis/lua/*.lua` has the same rules. A test compares the two with random histories.

mod admit;
mod end;
mod room;
mod token;

use std::time::Duration;

use self::{admit::Ticket, room::Devices};
use crate::{
    model::{Client, Data, Digest, EndNotice, EndReason, Record, SessionId, Timestamp},
    store::{CUTOFF_KEPT, List, NOTICE_KEPT, Save, Saved, TOMBSTONE_KEPT},
};

/// The digest of notices that no token can read.
const NOBODY: Digest = Digest::from_bytes([0; 32]);

#[derive(Default)]
pub(super) struct SessionSet {
    live: Vec<Live>,
    notices: Vec<(SessionId, EndNotice)>,
    cutoff: Option<Timestamp>,
    /// The user is disabled until this moment.
    barred: Option<Timestamp>,
    tickets: Vec<Ticket>,
    devices: Devices,
}

struct Live {
    record: Record,
    data: Data,
}

/// What the end notice of a session says.
struct Cause {
    reason: EndReason,
    by: Option<SessionId>,
    /// The client of the session that causes the end.
    client: Option<Client>,
    kept: Duration,
}

impl SessionSet {
    /// Until when any part of it is needed.
    pub(super) fn kept_until(&self) -> Option<Timestamp> {
        let live = self
            .live
            .iter()
            .map(|Live { record, .. }| match record.user_id() {
                // For a while, a user's browser gets the reason.
                Some(_) => record.expires_at().plus(NOTICE_KEPT),
                None => record.idle_expires_at(),
            });
        let notices = self.notices.iter().map(|(_, notice)| notice.kept_until);
        let cutoff = self.cutoff.map(|cutoff| cutoff.plus(CUTOFF_KEPT));
        let tickets = self.tickets.iter().map(|ticket| ticket.until);
        live.chain(notices)
            .chain(cutoff)
            .chain(self.barred)
            .chain(tickets)
            .chain(self.devices.kept_until())
            .max()
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
        if !save.shortens_only() {
            live.data = data;
            live.record.revision = revision + 1;
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

    pub(super) fn list(&mut self, list: &List, now: Timestamp) -> Vec<Record> {
        self.purge(now, list.not_before);
        self.live.iter().map(|live| live.record.clone()).collect()
    }

    fn note(&mut self, record: &Record, cause: &Cause, now: Timestamp) {
        let until = now.plus(cause.kept);
        let mut notice = EndNotice::new(record.digest, cause.reason, now, cause.by, until);
        notice.by_client = cause.client.clone().map(Box::new);
        notice.previous = match record.rotation.as_deref() {
            Some(rotation) if rotation.is_unused() => {
                rotation.previous[0].map(|previous| previous.digest)
            }
            _ => None,
        };
        self.notices.push((record.id, notice));
    }

    /// A notice that no token can read, for a minute.
    fn mark(&mut self, id: SessionId, reason: EndReason, by: Option<SessionId>, now: Timestamp) {
        let until = now.plus(TOMBSTONE_KEPT);
        let notice = EndNotice::new(NOBODY, reason, now, by, until);
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

    /// Drops everything whose time is over.
    fn purge(&mut self, now: Timestamp, not_before: Option<Timestamp>) {
        self.live
            .retain(|live| live.record.is_live(now, not_before));
        self.notices.retain(|(_, notice)| now < notice.kept_until);
        self.cutoff = self.cutoff.filter(|cutoff| now < cutoff.plus(CUTOFF_KEPT));
        self.barred = self.barred.filter(|until| now < *until);
        self.tickets.retain(|ticket| now < ticket.until);
    }
}
