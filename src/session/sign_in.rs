//! Stores a sign-in: the new session, and what becomes of those before it.

use std::{cmp::Reverse, mem};

use super::{
    Session,
    commit::Stored,
    error::{CommitError, LimitReached},
    info::SessionInfo,
    login::Committed,
    replaced::Unused,
    staged::{Batch, Op, PendingLogin},
};
use crate::{
    model::{EndReason, Record, SessionId},
    store::{Created, End, NewSession, Which},
};

impl Session {
    /// `stored` is the session of the request.
    pub(super) async fn sign_in(
        &self,
        mut pending: Box<PendingLogin>,
        mut stored: Option<Stored>,
        mut batch: Batch,
    ) -> Result<Committed, CommitError> {
        if pending.after_logout {
            self.log_out_now(stored.take()).await?;
        }
        if !self.reads_terms(&mut pending).await? {
            return Err(self.refused(&pending, &batch, CommitError::NoTicket));
        }
        // It gives its place and its data to the new one. Any other session ends once the new one exists.
        let same = stored.take_if(|stored| stored.tag == pending.token.tag() && !stored.guest);
        let replaces = self.replaced_by(same.as_ref().or(stored.as_ref()));
        let guest = self.unread_guest(&pending, same.as_ref(), &batch).await?;
        let is_saved = match same {
            Some(same) => self.save_updates(same, &pending, &batch).await?,
            None => false,
        };
        let staged = batch.ops.iter().filter(|_| !is_saved);
        let guests = guest.iter().flat_map(Unused::ops);
        let ops: Vec<Op> = guests.chain(staged.cloned()).collect();
        let create = self.creation(&mut pending, replaces, &ops).await?;
        let refused = match self.create(create, &pending.token).await? {
            Created::Created(new) if self.is_late(&pending, &new).await => {
                self.end_late(&pending, &new).await;
                CommitError::Rejected
            }
            Created::Created(new) => {
                if is_saved && new.replaced.is_some() {
                    // The new session has them from that one, or from one that replaced it meanwhile.
                    batch.ops.clear();
                }
                return self.began(&pending, *new, stored, &batch, guest).await;
            }
            Created::LimitReached(records) => self.limit_reached(&pending, records),
            // Ended: it was given up before it was created.
            Created::Rejected | Created::Ended => CommitError::Rejected,
            Created::Disabled => CommitError::Disabled,
            Created::NoTicket => CommitError::NoTicket,
            Created::TooOld => CommitError::TooOld,
            Created::TooLarge => CommitError::TooLarge,
        };
        if let Some(refusal) = refused.refusal() {
            self.report_refused(&pending, refusal);
        }
        Err(self.refused(&pending, &batch, refused))
    }

    /// Stores updates in the session that the new one takes the data of: `create` does not compare the revision that they
    /// depend on. Returns whether all changes are stored there. It may end before the new one takes its place.
    async fn save_updates(
        &self,
        same: Stored,
        pending: &PendingLogin,
        batch: &Batch,
    ) -> Result<bool, CommitError> {
        if batch.ops.iter().all(|op| op.again.is_none()) {
            return Ok(false);
        }
        match self.save(same, &batch.ops, None).await {
            Ok(_) => {
                self.state().unstage(batch);
                Ok(true)
            }
            // The sign-in goes on, and the changes go into the new session.
            Err(CommitError::Ended) => Ok(false),
            Err(error) => {
                let mut state = self.state();
                if !error.may_run_again() {
                    state.unstage(batch);
                }
                if error.store_kind().is_none() {
                    state.settle_login(pending.token.session_id());
                }
                Err(error)
            }
        }
    }

    /// The new session exists. Ends those that it replaced, and stores what an earlier try did not.
    async fn began(
        &self,
        pending: &PendingLogin,
        mut new: NewSession,
        other: Option<Stored>,
        batch: &Batch,
        guest: Option<Unused>,
    ) -> Result<Committed, CommitError> {
        self.report_signed_in(pending, &new);
        let committed = Committed {
            evicted: infos(mem::take(&mut new.evicted), None),
            new_device: new.new_device,
        };
        let missing = self.signed_in(pending, new, other, batch, guest);
        self.end_replaced().await;
        if missing {
            // Boxed: this is rare.
            Box::pin(self.save_missing()).await?;
        }
        Ok(committed)
    }

    /// Ends a session that turned out to be older than the cutoff. Others have ended for it.
    async fn end_late(&self, pending: &PendingLogin, new: &NewSession) {
        self.report_ended_for(new, pending.chosen());
        let (tag, id) = (pending.token.tag(), pending.token.session_id());
        let end = End::new(tag, Which::One(id), EndReason::Rejected);
        // Else it ends when the request does, as one that was not delivered.
        if self.0.rules.store.end(end).await.is_ok() {
            self.state().not_pending(id);
        }
    }

    fn limit_reached(&self, pending: &PendingLogin, mut records: Vec<Record>) -> CommitError {
        records.sort_by_key(|record| Reverse(record.activity_order()));
        let current = self.state().record().map(|record| record.id);
        CommitError::LimitReached(LimitReached {
            sessions: infos(records, current),
            ticket: pending.ticket(),
        })
    }

    /// Neither the sign-in nor its data stays staged, also what was staged for its user while the store was asked: it must not
    /// get into the session of before.
    fn refused(&self, pending: &PendingLogin, batch: &Batch, refused: CommitError) -> CommitError {
        let mut state = self.state();
        if state.settle_login(pending.token.session_id()) {
            state.staged.put(Vec::new());
        } else {
            state.unstage(batch);
        }
        refused
    }
}

fn infos(records: Vec<Record>, current: Option<SessionId>) -> Vec<SessionInfo> {
    records
        .into_iter()
        .map(|record| SessionInfo::new(record, current))
        .collect()
}
