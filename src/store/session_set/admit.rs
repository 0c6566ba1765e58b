//! Makes sessions and enforces the limit.

use std::{sync::Arc, time::Duration};

use super::{
    Cause, Cutoff, Live, MADE_KEPT, Made, SessionSet,
    room::{excess, keep_last},
};
use crate::{
    model::{Client, EndNotice, EndReason, Realm, SessionId, Timestamp},
    store::{
        Authenticated, CUTOFF_AHEAD, CUTOFF_KEPT, Create, Created, NOTICES_MAX, NewSession, Offer,
        Redeem, TICKET_KEPT, TICKETS_MAX, Ticketed,
    },
};

/// How many replacements in a row a sign-in follows.
const HOPS: usize = 16;

/// A ticket that a refused sign-in may return with.
#[derive(Clone, PartialEq)]
pub(super) struct Ticket {
    pub(super) ticket: Ticketed,
    /// The mark of its realm.
    pub(super) mark: [u8; 3],
    pub(super) terms: Vec<u8>,
    /// With its era.
    pub(super) authenticated: Timestamp,
    pub(super) until: Timestamp,
}

impl SessionSet {
    /// Runs [`create`](crate::store::SessionStore::create). End notices are kept for `kept`.
    pub fn create(&mut self, create: &Create, now: Timestamp, kept: Duration) -> Created {
        self.create_sharing(create, now, kept, |_| {})
    }

    /// As [`create`](Self::create). `share` may replace the client of the new record by an equal one.
    pub(in super::super) fn create_sharing(
        &mut self,
        create: &Create,
        now: Timestamp,
        kept: Duration,
        share: impl FnOnce(&mut Client),
    ) -> Created {
        if let Some(known) = self.known(create, now) {
            return known;
        }
        let mut authenticated = create.proof_at(now);
        if let Some(Redeem { ticket, .. }) = create.redeem {
            match self.held(&ticket, now) {
                // It was left before all sessions ended.
                Some(held) if held.authenticated.era() != create.era() => return Created::Rejected,
                Some(held) => authenticated = Authenticated::At(held.authenticated.time()),
                None => return Created::NoTicket,
            }
        }
        if create.user.is_some() && self.rare().barred.is_some_and(|until| now < until) {
            return Created::Disabled;
        }
        if create.user.is_some() && now.since(authenticated.counted_back(now)) >= CUTOFF_KEPT {
            return Created::TooOld;
        }
        if create.user.is_some() && self.is_rejected(authenticated, now) {
            return Created::Rejected;
        }
        let authenticated = create.proven(authenticated, now);
        if create
            .not_before
            .is_some_and(|moment| authenticated.in_era(create.era()) < moment)
        {
            return Created::Rejected;
        }
        self.purge(now);
        let over = self.take_ended_with_all(create.not_before);

        let replaced = self.replaced(create.replaces, now);
        let chosen = create.redeem.and_then(|redeem| redeem.ends);
        let chosen = chosen.filter(|id| self.is_within(*id, Some(create.realm)));
        let rivals = self.live.iter().map(|live| &live.record);
        let rivals =
            rivals.filter(|record| Some(record.id) != replaced && Some(record.id) != chosen);
        let (goes, offered) = excess(create, rivals, now);
        if let Some(offered) = offered {
            self.live.extend(over);
            let proven = authenticated.in_era(create.era());
            self.leave_ticket(create.offer.clone(), create.realm, proven, now);
            return Created::LimitReached(offered);
        }
        let base = self
            .live
            .iter()
            .find(|live| Some(live.record.id) == replaced);
        let base = base.map(Live::data).unwrap_or_default();
        let data = base.apply(&create.changes);
        if data.outgrows(&base, create.data_limit) {
            self.live.extend(over);
            return Created::TooLarge;
        }

        let mut client = create.client.clone();
        share(&mut client);
        let mut record = create.record(client, now);
        // That of the ticket, if there is one.
        record.authenticated_at = authenticated;
        let by = (create.id, record.noted_client());
        let cause = |reason| cause(reason, &by, kept);
        self.note_ended_with_all(&over, create.not_before, now, kept);
        if let Some(id) = replaced {
            self.evict(&[id], &cause(EndReason::Replaced), now);
        } else if let Some(id) = create.replaces
            && !self.rare().notices.iter().any(|(of, _)| *of == id)
        {
            self.mark(id, EndReason::Replaced, Some(create.id), now);
        }
        if let Some(redeem) = create.redeem {
            let tickets = &mut self.rare_mut().tickets;
            tickets.retain(|held| held.ticket != redeem.ticket);
        }
        let mut created = NewSession::new(record.clone(), data.clone(), now);
        created.cutoff = self.rare().cutoff.map(|cutoff| cutoff.at);
        created.replaced = replaced;
        created.evicted = self.evict(chosen.as_slice(), &cause(EndReason::Revoked), now);
        let evicted = self.evict(&goes, &cause(EndReason::Evicted), now);
        created.evicted.extend(evicted);
        created.new_device = create
            .device
            .is_some_and(|device| self.rare_mut().devices.note(device, now));
        let ended = created.evicted.len() + usize::from(replaced.is_some());
        self.trim(create, replaced, ended);
        self.add(Live::new(record, data, Made::of(&created)));
        Created::Created(Box::new(created))
    }

    /// Takes the sessions out that ended with those of all users.
    fn take_ended_with_all(&mut self, not_before: Option<Timestamp>) -> Vec<Live> {
        let stays = |live: &Live| live.record.ended_with_all(not_before).is_none();
        if self.live.iter().all(stays) {
            return Vec::new();
        }
        let (stay, over) = self.live.drain(..).partition(stays);
        self.live = stay;
        over
    }

    /// Their browsers get the reason for as long as after any other end.
    fn note_ended_with_all(
        &mut self,
        over: &[Live],
        not_before: Option<Timestamp>,
        now: Timestamp,
        kept: Duration,
    ) {
        let cause = Cause {
            reason: EndReason::Everyone,
            by: None,
            client: None,
            call: None,
            kept,
        };
        for live in over {
            self.note(&live.record, &cause, now);
            if let (Some((_, notice)), Some(moment)) =
                (self.rare_mut().notices.last_mut(), not_before)
            {
                notice.ended_at = moment.time();
            }
        }
    }

    /// The answer if this id was created before.
    fn known(&self, create: &Create, now: Timestamp) -> Option<Created> {
        if self.rare().notices.iter().any(|(id, _)| *id == create.id) {
            return Some(Created::Ended);
        }
        let live = self.find(create.id)?;
        if live.record.digest != create.digest || !live.record.is_live(now, create.not_before) {
            return Some(Created::Ended);
        }
        let mut same = NewSession::new(live.record.clone(), live.data(), now);
        same.cutoff = self.rare().cutoff.map(|cutoff| cutoff.at);
        if let Some(made) = live.more.as_ref().and_then(|more| more.made.as_ref())
            && live.record.unused
            && now.since(live.record.created_at) < MADE_KEPT
        {
            same.evicted.clone_from(&made.evicted);
            same.replaced = made.replaced;
            same.new_device = made.new_device;
        }
        Some(Created::Created(Box::new(same)))
    }

    fn is_rejected(&mut self, authenticated: Authenticated, now: Timestamp) -> bool {
        let Some(rare) = &mut self.rare else {
            return false;
        };
        rare.cutoff = rare.cutoff.filter(|cutoff| cutoff.counts(now));
        match (rare.cutoff.map(|cutoff| cutoff.at), authenticated) {
            // Any other cutoff is later, even if the clock stepped back meanwhile.
            (Some(cutoff), Authenticated::After(own)) if cutoff == own => false,
            // The clock stepped back. Without this the user could not sign in until it catches up.
            (Some(cutoff), _) if cutoff > now => {
                if cutoff > now.plus(CUTOFF_AHEAD) {
                    rare.cutoff = Some(Cutoff {
                        at: now,
                        set_by: None,
                    });
                }
                true
            }
            (Some(_), Authenticated::After(_)) => true,
            (Some(cutoff), _) => authenticated.counted_back(now) <= cutoff,
            (None, _) => false,
        }
    }

    /// The live session that a sign-in replaces: the one whose token the request sent, or the one that
    /// replaced it meanwhile.
    pub(super) fn replaced(&self, sent: Option<SessionId>, now: Timestamp) -> Option<SessionId> {
        let mut id = sent?;
        for _ in 0..HOPS {
            if self.find(id).is_some() {
                return Some(id);
            }
            match self.notice(id, now) {
                Some(EndNotice {
                    reason: EndReason::Replaced,
                    by: Some(by),
                    ..
                }) => id = *by,
                _ => return None,
            }
        }
        None
    }

    /// The ticket with this id and digest, if it works.
    fn held(&self, ticket: &Ticketed, now: Timestamp) -> Option<&Ticket> {
        let mut held = self.rare().tickets.iter();
        held.find(|held| held.ticket == *ticket && now < held.until)
    }

    /// Runs [`ticket`](crate::store::SessionStore::ticket).
    #[must_use]
    pub fn ticket(&self, ticket: &Ticketed, now: Timestamp) -> Option<Vec<u8>> {
        self.held(ticket, now).map(|held| held.terms.clone())
    }

    fn leave_ticket(
        &mut self,
        offer: Option<Offer>,
        realm: Realm,
        authenticated: Timestamp,
        now: Timestamp,
    ) {
        let Some(Offer { ticket, terms }) = offer else {
            return;
        };
        let tickets = &mut self.rare_mut().tickets;
        // The same call, sent again.
        tickets.retain(|held| held.ticket.id != ticket.id);
        tickets.push(Ticket {
            ticket,
            mark: realm.mark(),
            terms,
            authenticated,
            until: now.plus(TICKET_KEPT),
        });
        tickets.sort_by_cached_key(|held| (held.until, held.ticket.id.encode()));
        keep_last(tickets, TICKETS_MAX, |held| held.mark == realm.mark());
    }
}

impl Made {
    /// `None` if the session is all that it returned.
    fn of(created: &NewSession) -> Option<Arc<Self>> {
        let alone = created.evicted.is_empty() && created.replaced.is_none();
        if alone && !created.new_device {
            return None;
        }
        Some(Arc::new(Self {
            evicted: created.evicted.iter().take(NOTICES_MAX).cloned().collect(),
            replaced: created.replaced,
            new_device: created.new_device,
        }))
    }
}

fn cause(reason: EndReason, by: &(SessionId, Option<Client>), kept: Duration) -> Cause {
    let (by, client) = by;
    Cause {
        reason,
        by: Some(*by),
        client: client.clone(),
        call: None,
        kept,
    }
}
