//! The events that a request raises.

use super::{Session, sent::Dead, staged::PendingLogin};
use crate::{
    model::{
        Clock, EndNotice, EndReason, EndedFor, Event, EventKind, Initiator, Record, Refusal,
        SessionId, SignIn, Timestamp, Token, UserId,
    },
    store::{Found, NewSession, Resolved, Reused, meter},
};

impl Session {
    /// A sign-in is done, and may have ended other sessions.
    pub(super) fn report_signed_in(&self, pending: &PendingLogin, new: &NewSession) {
        let chosen = pending.chosen();
        meter::signed_in();
        meter_ended(new, chosen);
        self.0.rules.audit.raise_step(|| {
            let ended = ended_for(new, chosen);
            SignIn::new(new.now, &new.record, ended).began(new.new_device)
        });
    }

    /// These sessions ended for a sign-in, also if the sign-in itself failed afterwards. The user may have
    /// chosen one of them, by a ticket.
    pub(super) fn report_ended_for(&self, new: &NewSession, chosen: Option<SessionId>) {
        meter_ended(new, chosen);
        if new.replaced.is_some() || !new.evicted.is_empty() {
            let ended = ended_for(new, chosen);
            let audit = &self.0.rules.audit;
            audit.raise_step(|| SignIn::new(new.now, &new.record, ended));
        }
    }

    pub(super) fn report_refused(&self, pending: &PendingLogin, refusal: Refusal) {
        meter::refused(refusal);
        self.0.rules.audit.raise(|| {
            let (at, client) = (self.now(), self.state().sender.client());
            let user = pending.user.clone();
            Event::new(EventKind::Refused(refusal), at, Initiator::Policy)
                .to(user, None)
                .at_client(client)
        });
    }

    /// This request ended a session of this user.
    pub(super) fn report_ended(
        &self,
        user: &UserId,
        id: SessionId,
        reason: EndReason,
        by: Option<SessionId>,
        at: Timestamp,
    ) {
        if self.state().reports_end(id) {
            self.raise_ended(user, id, reason, by, at);
        }
    }

    /// As [`report_ended`](Self::report_ended), when nothing else can have reported it.
    pub(super) fn raise_ended(
        &self,
        user: &UserId,
        id: SessionId,
        reason: EndReason,
        by: Option<SessionId>,
        at: Timestamp,
    ) {
        meter::ended(reason);
        self.0.rules.audit.raise(|| {
            let client = self.state().sender.client();
            Event::new(EventKind::Ended, at, initiator(reason, by.is_some()))
                .to(user.clone(), Some(id))
                .because(reason, by)
                .at_client(client)
        });
    }

    /// This session has a new token.
    pub(super) fn report_renewed(&self, kind: EventKind, record: &Record) {
        if record.user_id().is_none() {
            return;
        }
        self.0.rules.audit.raise(|| {
            let client = self.state().sender.client();
            let initiator = match kind {
                EventKind::Rotated => Initiator::System,
                _ => Initiator::User,
            };
            let event = Event::new(kind, record.issued_at(), initiator);
            event.of(record).at_client(client)
        });
    }

    /// The session ended during the request, and the changes of its data are lost. To a handler that commits
    /// by itself the error says so.
    pub(super) fn report_write_lost(&self, record: &Record) {
        if record.user_id().is_none() || !self.state().closed {
            return;
        }
        self.0.rules.audit.raise(|| {
            let (at, client) = (self.now(), self.state().sender.client());
            let event = Event::new(EventKind::WriteLost, at, Initiator::System);
            event.of(record).at_client(client)
        });
    }

    /// The same, for the session that the request had, if that has ended.
    pub(super) fn report_lost_with_session(&self) {
        let gone = self.state().gone().cloned();
        if let Some(record) = gone {
            self.report_write_lost(&record);
        }
    }

    /// The session that a token opens, or why it opens none. Raises the events of that.
    #[inline]
    pub(crate) fn opened_by(&self, token: &Token, answer: Resolved) -> Result<Found, Box<Dead>> {
        let dead = match answer {
            Resolved::Live(found) => return Ok(found),
            Resolved::Ended(notice) => Dead::ended(token, notice),
            Resolved::Expired(record) => self.expired(&record),
            Resolved::Reused(reused) => self.reused(token, &reused),
            Resolved::Unknown => Dead::Unknown,
        };
        Err(Box::new(dead))
    }

    /// A request sent a previous token after its time.
    fn reused(&self, token: &Token, reused: &Reused) -> Dead {
        tracing::warn!(ended = reused.ended, "previous token used after its time");
        self.report_reused(reused);
        Dead::Reused(reused.ended.then(|| {
            let (reason, now) = (EndReason::TokenReuse, reused.now);
            EndNotice::new(token.digest_in(self.0.rules.realm), reason, now, None, now)
        }))
    }

    fn report_reused(&self, reused: &Reused) {
        let (record, now) = (&reused.record, reused.now);
        if record.user_id().is_none() {
            return;
        }
        meter::reused();
        self.0.rules.audit.raise(|| {
            let client = self.state().sender.client();
            Event::new(EventKind::TokenReuse, now, Initiator::Policy).beside(record, client)
        });
        if let (true, Some(user)) = (reused.ended, record.user_id()) {
            self.report_ended(user, record.id, EndReason::TokenReuse, None, now);
        }
    }

    /// A session was found past one of its deadlines. The first request that finds it raises the event.
    fn expired(&self, record: &Record) -> Dead {
        if record.user_id().is_none() {
            return Dead::Unknown;
        }
        if !record.was_found_expired() {
            self.report_expired(record);
        }
        Dead::Expired(EndNotice::expired(record.digest, record.expires_at()))
    }

    fn report_expired(&self, record: &Record) {
        self.0.rules.audit.raise(|| {
            let client = self.state().sender.client();
            let event = Event::new(
                EventKind::Expired,
                record.idle_expires_at(),
                Initiator::Policy,
            );
            let event = event.of(record).because(EndReason::Expired, None);
            event.at_client(client)
        });
    }

    /// About the store's time; this node's if the request found no session.
    pub(super) fn now(&self) -> Timestamp {
        match self.state().seen_at() {
            Some(seen) => seen.plus(self.0.arrival.age()),
            None => Clock::system().now(),
        }
    }
}

/// The sessions that ended. Their records are not read: they are out of the processor's cache by now.
fn ended_for(new: &NewSession, chosen: Option<SessionId>) -> impl Iterator<Item = EndedFor> {
    let ended = |session, reason, initiator| EndedFor {
        session,
        reason,
        initiator,
    };
    let replaced = new.replaced;
    let replaced = replaced.map(|id| ended(id, EndReason::Replaced, Initiator::User));
    let evicted = new.evicted.iter().map(move |evicted| {
        if Some(evicted.id) == chosen {
            ended(evicted.id, EndReason::Revoked, Initiator::User)
        } else {
            ended(evicted.id, EndReason::Evicted, Initiator::Policy)
        }
    });
    replaced.into_iter().chain(evicted)
}

fn meter_ended(new: &NewSession, chosen: Option<SessionId>) {
    ended_for(new, chosen).for_each(|ended| meter::ended(ended.reason));
}

/// On whose behalf sessions end for this reason. `by_user`: a session of this user asked for it.
pub(super) fn initiator(reason: EndReason, by_user: bool) -> Initiator {
    match reason {
        EndReason::Administrator | EndReason::Disabled | EndReason::Everyone => Initiator::Admin,
        EndReason::ClientChanged
        | EndReason::Evicted
        | EndReason::Expired
        | EndReason::TokenReuse
        | EndReason::Rejected => Initiator::Policy,
        EndReason::IdentityProvider | EndReason::Undelivered => Initiator::System,
        EndReason::CredentialsChanged if !by_user => Initiator::Admin,
        EndReason::CredentialsChanged
        | EndReason::LoggedOut
        | EndReason::Replaced
        | EndReason::Revoked => Initiator::User,
    }
}
