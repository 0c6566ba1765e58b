//! Signing in, and the limit.

use std::time::Duration;

use tower_user_sessions::{
    EndNotice, EndReason, Excess, Timestamp,
    store::{Authenticated, Create, Digest, Record, SeenDevice, Ticketed, UNCOUNTED_MAX},
};

use super::{
    Answer, Cause, Contents, DAY, DEVICES, Known, MADE, MADE_KEPT, MARKERS, Made, NOTICES,
    SessionSet, State, TICKET_KEPT, TICKETS, Ticket, UNUSED_FOR, merge, size, sorted,
};

impl SessionSet {
    pub(super) fn create(&mut self, ask: &Create, now: Timestamp) -> Answer {
        let Authenticated::At(mut at) = ask.authenticated else {
            panic!("histories name moments");
        };
        let cutoff = self.cutoff;
        if self.known.iter().any(|known| known.id == ask.id) {
            return match self.live(ask.id, now, ask.not_before) {
                Some((record, data)) if record.digest == ask.digest => {
                    let (record, data) = (record.clone(), data.clone());
                    let made = self.made.iter().find(|made| made.id == ask.id);
                    let made = made.filter(|made| record.unused && now < made.until);
                    Answer::Created {
                        evicted: made.map_or_else(Vec::new, |made| made.evicted.clone()),
                        replaced: made.and_then(|made| made.replaced),
                        new_device: made.is_some_and(|made| made.new_device),
                        record,
                        data,
                        now,
                        cutoff,
                    }
                }
                _ => Answer::AlreadyEnded,
            };
        }
        if let Some(redeem) = ask.redeem {
            match self.good_ticket(redeem.ticket, now) {
                Some(held) => at = held.proven,
                None => return Answer::NoTicket,
            }
        }
        if ask.user.is_some() && self.barred.is_some_and(|until| now < until) {
            return Answer::Disabled;
        }
        if ask.user.is_some() && now.since(at) >= DAY {
            return Answer::TooOld;
        }
        if let (Some(cutoff), Some(_)) = (cutoff, &ask.user) {
            if cutoff > now.plus(Duration::from_millis(100)) {
                (self.cutoff, self.cut_by) = (Some(now), None);
            }
            if cutoff > now || at <= cutoff {
                return Answer::Rejected;
            }
        }
        let began = now.max(ask.arrived_after.unwrap_or(now));
        let at = at.min(began);
        if Some(at) < ask.not_before {
            return Answer::Rejected;
        }

        let replaced = ask
            .replaces
            .and_then(|id| self.successor(id, now, ask.not_before));
        let chosen = ask.redeem.and_then(|redeem| redeem.ends);
        let chosen = chosen.filter(|id| {
            let live = self.live(*id, now, ask.not_before);
            live.is_none_or(|(record, _)| record.is_in(ask.realm))
        });
        let mut others = self.all_live(now, ask.not_before);
        others.retain(|record| Some(record.id) != replaced && Some(record.id) != chosen);
        let (goes, offered) = excess(ask, others, now);
        let used = |record: &Record| !unused_for_long(record, now);
        if ask.limit.excess() == Excess::Refuse && goes.iter().any(used) {
            self.leave_ticket(ask, at, now);
            return Answer::LimitReached(sorted(offered));
        }
        let mut data = match replaced.and_then(|id| self.live(id, now, ask.not_before)) {
            Some((_, data)) => data.clone(),
            None => Contents::new(),
        };
        let before = size(&data);
        merge(&mut data, &ask.changes);
        if size(&data) > ask.data_limit.max(before) {
            return Answer::TooLarge;
        }

        let (user, client) = (ask.user.clone(), ask.client.clone());
        let mut record =
            Record::new(ask.id, ask.digest, user, client, ask.lifetime, now).with_realm(ask.realm);
        (record.created_at, record.authenticated_at) = (began, at);
        if ask.counts {
            record.class = ask.class;
        }
        record.counts = ask.counts;
        if let Some(moment) = ask.not_before {
            self.end_with_all(moment, now);
        }
        let by: Cause = (Some(ask.id), Some(record.client().clone()), None);
        if let Some(id) = replaced {
            self.ends(id, EndReason::Replaced, &by, now);
        } else if let Some(id) = ask.replaces
            && self.notice(id, now).is_none()
        {
            self.mark(id, EndReason::Replaced, Some(ask.id), now);
        }
        let mut evicted = Vec::new();
        if let Some((record, _)) = chosen.and_then(|id| self.live(id, now, ask.not_before)) {
            evicted.push(record.clone());
            let id = record.id;
            self.ends(id, EndReason::Revoked, &by, now);
        }
        for record in goes {
            self.ends(record.id, EndReason::Evicted, &by, now);
            evicted.push(record);
        }
        if let Some(redeem) = ask.redeem {
            self.tickets.retain(|it| it.ticket != redeem.ticket);
        }
        let nobody = |notice: &EndNotice| notice.digest == Digest::from_bytes([0; 32]);
        let mut most = usize::from(ask.limit.sessions());
        if !ask.counts {
            most = NOTICES;
        }
        let ended = evicted.len() + usize::from(replaced.is_some());
        let most = most.max(ended).min(NOTICES);
        let marker = |notice: &EndNotice, why| nobody(notice) && notice.reason == why;
        let replaces = |notice: &EndNotice| marker(notice, EndReason::Replaced);
        self.keep_the_newest(most, now, replaced, |notice| {
            !replaces(notice) && !marker(notice, EndReason::Undelivered)
        });
        self.keep_the_newest(MARKERS, now, None, replaces);
        let new_device = ask.device.is_some_and(|device| self.sees(device, now));
        self.made.push(Made {
            id: ask.id,
            evicted: evicted.iter().take(MADE).cloned().collect(),
            replaced,
            new_device,
            until: began.plus(MADE_KEPT),
        });
        self.known.push(Known {
            id: ask.id,
            state: State::Begun(record.clone(), data.clone()),
        });
        Answer::Created {
            record,
            data,
            evicted,
            replaced,
            new_device,
            now,
            cutoff,
        }
    }

    pub(super) fn good_ticket(&self, ticket: Ticketed, now: Timestamp) -> Option<&Ticket> {
        let mut held = self.tickets.iter();
        held.find(|it| it.ticket == ticket && now < it.until)
    }

    fn leave_ticket(&mut self, ask: &Create, proven: Timestamp, now: Timestamp) {
        let Some(offer) = &ask.offer else {
            return;
        };
        self.tickets
            .retain(|it| now < it.until && it.ticket != offer.ticket);
        self.tickets.push(Ticket {
            ticket: offer.ticket,
            realm: ask.realm,
            terms: offer.terms.clone(),
            proven,
            until: now.plus(TICKET_KEPT),
        });
        self.tickets
            .sort_by_key(|it| (it.until, it.ticket.id.to_string()));
        let own = |it: &Ticket| it.realm == ask.realm;
        while self.tickets.iter().filter(|it| own(it)).count() > TICKETS {
            let oldest = self.tickets.iter().position(own).unwrap();
            self.tickets.remove(oldest);
        }
    }

    fn sees(&mut self, device: SeenDevice, now: Timestamp) -> bool {
        let (known, until) = &mut self.devices;
        if until.is_some_and(|until| now >= until) {
            known.clear();
        }
        *until = Some(now.plus(device.kept));
        let before = known.len();
        known.retain(|digest| *digest != device.digest);
        let new = known.len() == before;
        known.push(device.digest);
        if known.len() > DEVICES {
            known.remove(0);
        }
        new
    }
}

fn unused_for_long(record: &Record, now: Timestamp) -> bool {
    record.unused && now.since(record.created_at) > UNUSED_FOR
}

/// Which sessions are evicted for the new one, in order, and the end of which would make room.
fn excess(ask: &Create, mut others: Vec<Record>, now: Timestamp) -> (Vec<Record>, Vec<Record>) {
    if ask.user.is_none() {
        return (Vec::new(), Vec::new());
    }
    others.retain(|record| record.counts == ask.counts && record.is_in(ask.realm));
    let used = |r: &Record| {
        let own = r.client().address() == ask.client.address()
            && r.client().user_agent() == ask.client.user_agent();
        let long = unused_for_long(r, now);
        // Among those that were unused for long, the client does not matter.
        (!long, !(long || r.unused && own))
    };
    others.sort_by_key(|r| (used(r), r.last_activity, r.created_at, r.id.to_string()));
    let offered = others.clone();
    let own = |record: &Record| ask.counts && record.class == ask.class;
    let mut goes: Vec<Record> = Vec::new();
    let of_class = ask.limit.class_sessions(ask.class).filter(|_| ask.counts);
    if let Some(most) = of_class {
        while others.iter().filter(|it| own(it)).count() >= usize::from(most) {
            let at = others.iter().position(own).unwrap();
            goes.push(others.remove(at));
        }
    }
    let over_class = goes.iter().any(|record| !unused_for_long(record, now));
    let most = if ask.counts {
        ask.limit.sessions()
    } else {
        UNCOUNTED_MAX
    };
    while others.len() >= usize::from(most) {
        goes.push(others.remove(0));
    }
    let helps = |record: &Record| !unused_for_long(record, now) && (!over_class || own(record));
    (goes, offered.into_iter().filter(helps).collect())
}
