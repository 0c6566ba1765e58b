//! What a sign-in asks of the store.

use super::{
    Session,
    error::CommitError,
    ops::with_carried,
    staged::{Op, PendingLogin, changes},
    ticket::Ticket,
};
use crate::{
    model::{DeviceId, Excess, Lifetime, SessionId, Terms, Timestamp},
    store::{
        Authenticated, Create, NewSession, Offer, Redeem, SeenDevice, StoreError, known::later,
        together::uncounted,
    },
};

/// What this sign-in asks for, as its ticket keeps it.
fn terms(create: &Create, lifetime: Lifetime) -> Result<Vec<u8>, CommitError> {
    let terms = Terms {
        limit: create.limit,
        class: create.class,
        counts: create.counts,
        lifetime,
        persistent: create.persistent,
        proof: create.proof.clone(),
    };
    Ok(terms.encode().map_err(StoreError::from)?)
}

impl Session {
    pub(super) async fn creation(
        &self,
        pending: &mut PendingLogin,
        replaces: Option<SessionId>,
        ops: &[Op],
    ) -> Result<Create, CommitError> {
        self.bound_not_before(&pending.token).await?;
        if !self.is_after_own_cutoff(pending).await {
            pending.own_cutoff = None;
        }
        let rules = &self.0.rules;
        let authenticated = self.authenticated(pending);
        let made = pending.login.lifetime.unwrap_or(rules.lifetime);
        let lifetime = pending.shorten.map_or(made, |to| made.shorter(to));
        let PendingLogin {
            token,
            user,
            login,
            offer,
            ..
        } = pending;
        let mut create = Create::made(token, rules.realm, Some(user.clone()), authenticated);
        create.since = login.since;
        create.limit = match login.limit {
            Some(limit) => limit,
            None => uncounted(rules.limit.user(user)).await,
        };
        create.redeem = login.ticket.as_ref().map(|(ticket, ends)| Redeem {
            ticket: Ticket::stored(ticket.token(), rules.realm),
            ends: *ends,
        });
        create.device = self.device()?;
        create.client = self.state().sender.client();
        create.class = login
            .class
            .unwrap_or_else(|| rules.class.client(&create.client));
        create.counts = login.counts.unwrap_or(true);
        create.proof = login.proof.clone();
        create.persistent = login.persistent.unwrap_or(rules.persistent);
        create.lifetime = rules.stored(lifetime);
        // A sign-in by ticket gets no second ticket, or its five minutes would never end.
        if create.limit.excess() == Excess::Refuse && login.ticket.is_none() {
            *offer = self.state().offer(token)?;
            if let Some(ticket) = offer {
                create.offer = Some(Offer {
                    ticket: Ticket::stored(ticket, rules.realm),
                    terms: terms(&create, lifetime)?,
                });
            }
        }
        create.replaces = replaces;
        create.changes = changes(ops);
        create.data_limit = with_carried(rules.data_limit, ops);
        create.not_before = rules.not_before.get();
        create.arrived_after = self.arrived_after();
        create.arrival = Some(self.0.arrival);
        Ok(create)
    }

    /// Reads what the refused sign-in asked for, if this is a sign-in by ticket. Returns whether there is such
    /// a ticket: anyone can make one up, in the name of any user.
    pub(super) async fn reads_terms(
        &self,
        pending: &mut PendingLogin,
    ) -> Result<bool, CommitError> {
        let Some((ticket, _)) = pending.login.ticket.as_ref().filter(|_| !pending.has_terms) else {
            return Ok(true);
        };
        let rules = &self.0.rules;
        let (tag, ticket) = (
            ticket.token().tag(),
            Ticket::stored(ticket.token(), rules.realm),
        );
        let Some(terms) = rules.store.ticket(tag, ticket).await? else {
            // Neither an event nor a line above debug: anyone can cause this, in the name of any user.
            tracing::debug!("no such ticket");
            return Ok(false);
        };
        let Ok(terms) = Terms::decode(&terms) else {
            return Ok(false);
        };
        pending.login.fill(terms);
        self.state().take_terms(pending);
        Ok(true)
    }

    /// The device that signs in, if the layer remembers devices. A browser without a device cookie gets one.
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
        } else if !state.sender.takes_cookies {
            // A device that never gets its name would be new at each sign-in, and push known ones out.
            return Ok(None);
        } else {
            let device = DeviceId::random().map_err(CommitError::random)?;
            state.new_device = Some(Box::new(device));
            device
        };
        let digest = device.digest();
        Ok(Some(SeenDevice { digest, kept }))
    }

    /// The moment before which the sessions of all users ended, if this request arrived after that was known. The
    /// layer knows its own from the beginning.
    pub(super) fn arrived_after(&self) -> Option<Timestamp> {
        let rules = &self.0.rules;
        let horizon = rules.store.horizon();
        let known = horizon.and_then(|horizon| horizon.known_before(self.0.arrival));
        later(rules.not_before.get(), known)
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
    pub(super) async fn is_late(&self, pending: &PendingLogin, new: &NewSession) -> bool {
        let Some(cutoff) = new.cutoff else {
            return false;
        };
        match self.authenticated(pending) {
            Authenticated::After(_) => return false,
            Authenticated::At(since) if since <= cutoff => return true,
            Authenticated::At(_) | Authenticated::On(_) => {}
        }
        // By the store's clock the request arrived no earlier than this: the answer took time too.
        if cutoff < new.now.minus(self.0.arrival.age()) {
            return false;
        }
        self.arrived_by(cutoff, &pending.token).await
    }
}
