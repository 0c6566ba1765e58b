//! What a sign-in asks of the store.

use super::{
    Session,
    error::CommitError,
    staged::{Op, PendingLogin, changes},
    ticket::Ticket,
};
use crate::{
    model::{DeviceId, Excess, SessionId},
    store::{Authenticated, Create, NewSession, Redeem, SeenDevice},
};

impl Session {
    pub(super) async fn creation(
        &self,
        pending: &mut PendingLogin,
        replaces: Option<SessionId>,
        ops: &[Op],
    ) -> Result<Create, CommitError> {
        let rules = &self.0.rules;
        let authenticated = self.authenticated(pending);
        let PendingLogin {
            token,
            user,
            login,
            offer,
            ..
        } = pending;
        let mut create = Create::new(token, Some(user.clone()), authenticated);
        create.limit = match login.limit {
            Some(limit) => limit,
            None => rules.limit.user(user).await,
        };
        // A sign-in by ticket gets no second ticket, or its five minutes would never end.
        if create.limit.excess() == Excess::Refuse && login.ticket.is_none() {
            *offer = self.state().offer(token)?;
            create.offer = offer.as_ref().map(Ticket::stored);
        }
        create.redeem = login.ticket.as_ref().map(|(ticket, ends)| Redeem {
            ticket: Ticket::stored(ticket.token()),
            ends: *ends,
        });
        create.device = self.device()?;
        create.client = self.state().sender.client();
        create.class = login
            .class
            .unwrap_or_else(|| rules.class.client(&create.client));
        create.counts = login.counts;
        create.proof = login.proof.clone();
        create.persistent = login.persistent.unwrap_or(rules.persistent);
        create.lifetime = rules.stored(login.lifetime.unwrap_or(rules.lifetime));
        create.replaces = replaces;
        create.changes = changes(ops);
        create.data_limit = rules.data_limit;
        create.not_before = rules.not_before;
        Ok(create)
    }

    /// The device that signs in, if the layer remembers devices. A device without a name gets one.
    fn device(&self) -> Result<Option<SeenDevice>, CommitError> {
        let Some(kept) = self.0.rules.devices else {
            return Ok(None);
        };
        let mut state = self.state();
        let known = state
            .sender
            .device
            .or_else(|| state.new_device.as_deref().copied());
        let device = if let Some(device) = known {
            device
        } else {
            let device = DeviceId::random().map_err(CommitError::random)?;
            state.new_device = Some(Box::new(device));
            device
        };
        let digest = device.digest();
        Ok(Some(SeenDevice { digest, kept }))
    }

    /// When the user authenticated, to be compared with the cutoff.
    fn authenticated(&self, pending: &PendingLogin) -> Authenticated {
        match (pending.login.since, pending.own_cutoff) {
            // This request itself ended the user's sessions: its sign-in counts as later.
            (_, Some(cutoff)) => Authenticated::After(cutoff),
            (Some(since), None) => Authenticated::At(since),
            (None, None) => Authenticated::On(self.0.arrival),
        }
    }

    /// Whether the sign-in turns out to be older than the cutoff: its age was taken when it was sent, and
    /// the store worked on it later.
    pub(super) fn is_late(&self, pending: &PendingLogin, new: &NewSession) -> bool {
        match self.authenticated(pending) {
            Authenticated::After(_) | Authenticated::At(_) => false,
            Authenticated::On(arrival) => new
                .cutoff
                .is_some_and(|cutoff| new.now.minus(arrival.age()) <= cutoff),
        }
    }
}
