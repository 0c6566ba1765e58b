//! Stores what is staged.

use std::{pin::pin, sync::MutexGuard};

use super::{
    Session,
    error::CommitError,
    login::Committed,
    ops::with_carried,
    staged::{Batch, Op, PendingLogin, Target, changes, replay},
    state::State,
};
use crate::{
    model::{Data, Lifetime, SessionId, Tag, Token},
    store::{Authenticated, Create, Created, Save, Saved, together::together},
};

/// How often an update runs again on data that parallel requests keep changing.
pub(super) const UPDATE_TRIES: usize = 16;

/// No data has this revision, so the store returns the newest data.
pub(super) const NO_REVISION: u64 = u64::MAX;

/// The stored session that a commit starts from.
pub(super) struct Stored {
    pub(super) tag: Tag,
    pub(super) id: SessionId,
    /// The revision of the data, if it is complete.
    pub(super) data_at: Option<u64>,
    pub(super) data: Data,
    pub(super) guest: bool,
}

enum Plan {
    Nothing,
    /// Stores changes of the stored session.
    Save(Stored, Batch),
    /// Begins a guest session.
    Guest(Token, Batch),
    LogOut(Option<Stored>),
    LogIn(Box<PendingLogin>, Option<Stored>, Batch),
}

impl Session {
    /// A client waits for all of it, so all its calls have one deadline.
    pub(super) async fn commit_staged(&self) -> Result<Committed, CommitError> {
        // Pinned where it is: it is large, and each move copies all of it.
        together(pin!(self.commit_in_turn())).await
    }

    async fn commit_in_turn(&self) -> Result<Committed, CommitError> {
        let _turn = self.turn().await;
        // A commit that was dropped half way may have left some.
        self.end_replaced().await;
        self.forget_staged().await?;
        match self.plan()? {
            Plan::Nothing => self.renew().await?,
            Plan::Save(stored, batch) => {
                self.save_staged(stored, &batch).await?;
                self.renew().await?;
            }
            Plan::Guest(token, batch) => self.begin_guest(&token, &batch).await?,
            Plan::LogOut(stored) => {
                self.log_out_now(stored).await?;
                if let Plan::Guest(token, batch) = self.plan()? {
                    self.begin_guest(&token, &batch).await?;
                }
            }
            Plan::LogIn(pending, stored, batch) => {
                return self.sign_in(pending, stored, batch).await;
            }
        }
        Ok(Committed::default())
    }

    /// The stored session, as it was last read.
    pub(super) fn stored(&self) -> Option<Stored> {
        let state = self.state();
        let live = state.live()?;
        Some(Stored {
            tag: live.tag,
            id: live.record.id,
            data_at: live.data_at,
            data: live.data.clone(),
            guest: live.record.user_id().is_none(),
        })
    }

    /// What this commit has to do. Changes stay staged until they are stored.
    fn plan(&self) -> Result<Plan, CommitError> {
        let stored = self.stored();
        let mut state = self.state();
        if state.abandoned && !state.staged.is_empty() {
            return Err(CommitError::Closed);
        }
        let batch = state.staged.batch();
        if state.drops_renewal() {
            return Err(self.lost(state, &batch));
        }
        Ok(match (&state.staged.target, stored) {
            (Target::LogIn(pending), stored) => Plan::LogIn(pending.clone(), stored, batch),
            (Target::LogOut, stored) => Plan::LogOut(stored),
            (Target::Stay, _) if batch.ops.is_empty() && batch.shorten.is_none() => Plan::Nothing,
            (Target::Stay, Some(stored)) => Plan::Save(stored, batch),
            // The changes cancel each other out: no guest session begins for that.
            (Target::Stay, None) if Data::default().apply(&changes(&batch.ops)).is_empty() => {
                state.unstage(&batch);
                state.guest_token = None;
                Plan::Nothing
            }
            (Target::Stay, None) if state.sent.speculative => {
                state.unstage(&batch);
                state.guest_token = None;
                tracing::debug!("speculative request: no guest session begins");
                return Err(CommitError::Speculative);
            }
            (Target::Stay, None) if !state.may_begin() => return Err(self.lost(state, &batch)),
            (Target::Stay, None) => Plan::Guest(state.guest_token()?, batch),
        })
    }

    /// The session ended before these changes were stored, and an earlier call has found that out.
    fn lost(&self, mut state: MutexGuard<'_, State>, batch: &Batch) -> CommitError {
        state.unstage(batch);
        drop(state);
        if !batch.ops.is_empty() {
            self.report_lost_with_session();
        }
        CommitError::Ended
    }

    /// Stores these changes. Returns whether others had changed the data that they depend on.
    pub(super) async fn save(
        &self,
        stored: Stored,
        ops: &[Op],
        shorten: Option<Lifetime>,
    ) -> Result<bool, CommitError> {
        let Stored {
            tag,
            id,
            mut data_at,
            mut data,
            guest,
        } = stored;
        let rules = &self.0.rules;
        let mut save = Save::new(tag, id, changes(ops));
        save.shorten = shorten.map(|to| rules.stored(to));
        let limit = if guest {
            rules.guest_data_limit()
        } else {
            rules.data_limit
        };
        save.data_limit = with_carried(limit, ops);
        let depends = ops.iter().any(|op| op.again.is_some());
        for tried in 0..UPDATE_TRIES {
            save.expect = depends.then(|| data_at.unwrap_or(NO_REVISION));
            match rules.store.save(save.clone()).await? {
                Saved::Saved { revision: newest } => {
                    let data = data.apply(&save.changes);
                    self.state().saved(data_at, newest, data);
                    return Ok(tried > 0);
                }
                Saved::Shortened {
                    revision: newest,
                    idle,
                    deadline,
                } => {
                    let mut state = self.state();
                    state.shortened(save.shorten, idle, deadline);
                    if !save.changes.is_empty() {
                        state.saved(data_at, newest, data.apply(&save.changes));
                    }
                    return Ok(tried > 0);
                }
                Saved::Conflict {
                    revision: newest,
                    data: theirs,
                } => {
                    (data_at, data) = (Some(newest), theirs);
                    save.changes = replay(ops, &data).map_err(CommitError::Update)?;
                }
                Saved::Ended => return Err(self.ended_meanwhile()),
                Saved::TooLarge => return Err(CommitError::TooLarge),
            }
        }
        Err(CommitError::Conflict)
    }

    async fn save_staged(&self, stored: Stored, batch: &Batch) -> Result<(), CommitError> {
        let record = self.state().record().cloned();
        let done = self.save(stored, &batch.ops, batch.shorten).await;
        if let (Err(CommitError::Ended), Some(record)) = (&done, record)
            && !batch.ops.is_empty()
        {
            self.report_write_lost(&record);
        }
        if !done.as_ref().is_err_and(CommitError::may_run_again) {
            let mut state = self.state();
            state.unstage(batch);
            if matches!(done, Ok(true)) {
                // A clone of the session may have staged updates meanwhile.
                state.updates_run_again();
            }
        }
        done.map(drop)
    }

    /// Stores changes that are missing in a session that was just created.
    pub(super) async fn save_missing(&self) -> Result<(), CommitError> {
        match self.plan()? {
            Plan::Save(stored, batch) => self.save_staged(stored, &batch).await,
            _ => Ok(()),
        }
    }

    async fn begin_guest(&self, token: &Token, batch: &Batch) -> Result<(), CommitError> {
        self.bound_not_before(token).await?;
        let rules = &self.0.rules;
        let mut create = Create::made(token, rules.realm, None, Authenticated::On(self.0.arrival));
        create.changes = changes(&batch.ops);
        create.data_limit = rules.guest_data_limit();
        let lifetime = Lifetime::new(rules.guests.idle, rules.lifetime.absolute());
        create.lifetime = rules.stored(lifetime);
        create.persistent = rules.persistent;
        create.arrived_after = self.arrived_after();
        match self.create(create, token).await? {
            Created::Created(new) => {
                let missing = {
                    let mut state = self.state();
                    state.guest_token = None;
                    let missing = state.unstage_made(batch, &new.data);
                    state.came_alive(token, *new);
                    missing
                };
                if missing {
                    // Boxed: this is rare.
                    Box::pin(self.save_missing()).await?;
                }
                Ok(())
            }
            Created::TooLarge => {
                self.state().unstage(batch);
                Err(CommitError::TooLarge)
            }
            Created::Disabled
            | Created::Ended
            | Created::LimitReached(_)
            | Created::NoTicket
            | Created::Rejected
            | Created::TooOld => {
                let mut state = self.state();
                state.guest_token = None;
                state.unstage(batch);
                Err(CommitError::Ended)
            }
        }
    }

    /// Creates a session, and remembers that it may exist until the answer says otherwise.
    pub(super) async fn create(
        &self,
        create: Create,
        token: &Token,
    ) -> Result<Created, CommitError> {
        // Before the session may exist: in an outage there is nothing to end then.
        self.0.rules.store.catch_up().await?;
        let is_first = {
            let mut state = self.state();
            if state.abandoned {
                return Err(CommitError::Closed);
            }
            state.expect_delivery(token.tag(), token.session_id())
        };
        let chosen = create.redeem.as_ref().and_then(|redeem| redeem.ends);
        let created = self.0.rules.store.create(create).await;
        let mut state = self.state();
        // Whatever came of this attempt, an earlier one may have run, or may run yet.
        let is_none = match &created {
            Ok(Created::Created(_)) => false,
            Ok(_) => true,
            Err(error) => error.is_known_not_run(),
        };
        if is_first && is_none {
            state.not_pending(token.session_id());
        }
        let created = created?;
        if state.abandoned {
            drop(state);
            // The request was dropped meanwhile. Other sessions have ended for this one.
            if let Created::Created(new) = &created {
                self.report_ended_for(new, chosen);
            }
            return Err(CommitError::Closed);
        }
        Ok(created)
    }
}
