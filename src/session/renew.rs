//! Gives a session that goes on another token.

use std::error::Error;

use super::{
    Session,
    current::{Current, Live},
    error::CommitError,
    staged::{Renew, Target},
    state::State,
};
use crate::{
    model::{EventKind, Lifetime, Record, Token},
    store::{Authenticated, Renewal, Rotate, Rotated},
};

impl Session {
    /// Renews the token of a stored session that goes on, as it is staged.
    pub(super) async fn renew(&self) -> Result<(), CommitError> {
        let (renew, token) = {
            let state = self.state();
            let stays = matches!(state.staged.target, Target::Stay);
            match (&state.current, &state.token) {
                (Current::Live(_), Some(token)) if stays => {
                    (state.staged.renew.clone(), token.clone())
                }
                _ => return Ok(()),
            }
        };
        let done = match &renew {
            Renew::No => return Ok(()),
            Renew::Due => match self.rotate_now(&token).await {
                Err(CommitError::Store(error)) => {
                    // The present token goes on working.
                    tracing::warn!(
                        error = &error as &dyn Error,
                        kind = ?error.kind(),
                        "token not rotated"
                    );
                    Ok(())
                }
                done => done,
            },
            Renew::Rotate => self.rotate_now(&token).await,
            Renew::Prove(next) => self.prove_now(&token, next).await,
        };
        if !done.as_ref().is_err_and(CommitError::may_run_again) {
            let mut state = self.state();
            // A clone of the session may have staged another one meanwhile.
            if state.staged.renew.is(&renew) {
                state.staged.renew = Renew::No;
            }
        }
        done
    }

    async fn rotate_now(&self, token: &Token) -> Result<(), CommitError> {
        if self.hand_out_overdue(token).await? {
            return Ok(());
        }
        let salt = self.salt()?;
        let next = token.successor(&salt);
        match self.ask(token, &next, Renewal::Derived(salt)).await? {
            Rotated::Rotated(record) => {
                self.report_renewed(EventKind::Rotated, &record);
                self.state().renewed(next, *record);
            }
            Rotated::Took(salt) => {
                self.state().handed_over(token.successor(&salt));
                self.report_shared(&salt).await;
            }
            Rotated::Kept => {}
            Rotated::Ended => return Err(self.ended_meanwhile()),
        }
        Ok(())
    }

    async fn prove_now(&self, token: &Token, next: &Token) -> Result<(), CommitError> {
        let (tag, id) = (next.tag(), next.session_id());
        let (lifetime, shorten) = {
            let mut state = self.state();
            if state.abandoned {
                return Err(CommitError::Closed);
            }
            let Some(record) = state.record() else {
                return Ok(());
            };
            let lifetime = lifetime(record);
            let shorten = state.staged.shorten.as_deref().copied();
            state.expect_delivery(tag, id);
            let lifetime = shorten.map_or(lifetime, |to| lifetime.shorter(self.0.rules.stored(to)));
            (lifetime, shorten)
        };
        let proven = Renewal::Proven {
            authenticated: Authenticated::On(self.0.arrival),
            lifetime,
        };
        let answer = self.ask(token, next, proven).await;
        if let Ok(Rotated::Rotated(record)) = &answer {
            self.report_renewed(EventKind::Reauthenticated, record);
        }
        let mut state = self.state();
        if state.abandoned {
            return Err(CommitError::Closed);
        }
        match answer {
            Ok(Rotated::Rotated(record)) => {
                state.renewed(next.clone(), *record);
                state.unstage_shorten(shorten);
                return Ok(());
            }
            // Whether it happened is not known. Ending the session would not help.
            Err(error) => {
                state.not_pending(id);
                return Err(error);
            }
            Ok(Rotated::Took(_) | Rotated::Kept | Rotated::Ended) => state.not_pending(id),
        }
        drop(state);
        Err(self.ended_meanwhile())
    }

    async fn ask(
        &self,
        token: &Token,
        next: &Token,
        renewal: Renewal,
    ) -> Result<Rotated, CommitError> {
        let rules = &self.0.rules;
        let mut rotate = Rotate::new(token, next, renewal).within(token, next, rules.realm);
        rotate.grace = rules.rotation.grace;
        rotate.reuse_ends = rules.rotation.reuse_ends;
        Ok(rules.store.rotate(rotate).await?)
    }

    pub(super) fn ended_meanwhile(&self) -> CommitError {
        self.state().ended_in_flight();
        tracing::debug!("session ended while its request was running");
        CommitError::Ended
    }
}

impl State {
    /// Stages a new token if one is due: the present one is old, or may never have arrived.
    pub(super) fn stage_due(&mut self, after: Option<std::time::Duration>) {
        let Current::Live(Live { record, now, .. }) = &self.current else {
            return;
        };
        let unused = record
            .rotation
            .as_ref()
            .is_some_and(|rotation| rotation.is_unused());
        let old = after.is_some_and(|after| now.since(record.issued_at()) >= after);
        let idle = matches!(self.staged.target, Target::Stay)
            && matches!(self.staged.renew, Renew::No)
            && self.keeps_cookies()
            && self.can_rotate();
        if idle && (unused || old) && self.token.is_some() {
            self.staged.renew = Renew::Due;
        }
    }

    /// The session has another token.
    fn renewed(&mut self, token: Token, record: Record) {
        if let Current::Live(live) = &mut self.current {
            live.record = record;
        }
        self.handed_over(token);
    }
}

/// How long the session was meant to live when it was created.
fn lifetime(record: &Record) -> Lifetime {
    // A sign-in authenticates before the session is created, a re-authentication after that.
    let from = record.authenticated_at.max(record.created_at);
    Lifetime::new(record.idle, record.deadline.since(from))
}
