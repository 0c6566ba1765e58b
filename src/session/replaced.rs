//! Ends the sessions of other session sets that a sign-in replaced, and carries data of theirs over.

use std::error::Error;

use super::{
    Session,
    commit::{NO_REVISION, Stored, UPDATE_TRIES},
    error::CommitError,
    login::Login,
    staged::{Batch, Op, PendingLogin, Target},
    state::{Replaced, State},
};
use crate::{
    model::{Changes, Data, EndReason, Record, SessionId, Token, UserId},
    store::{End, Ended, Found, NewSession, Save, Saved, StoreError, Which, together::apart},
};

/// The guest session of a guest cookie that the layer did not use, because the request has a session.
pub(super) struct Unused {
    token: Token,
    revision: u64,
    /// What the sign-in carries over.
    named: Vec<Box<str>>,
    data: Data,
}

impl Unused {
    pub(super) fn ops(&self) -> impl Iterator<Item = Op> {
        let named = |key: &str| self.named.iter().any(|named| **named == *key);
        self.data
            .named(named)
            .map(|(key, value)| Op::carried(key, value))
    }
}

impl Session {
    /// The session that a sign-in replaces. `stored` is the one of the request.
    pub(super) fn replaced_by(&self, stored: Option<&Stored>) -> Option<SessionId> {
        let state = self.state();
        // Sent again with a token that an earlier sign-in replaced: the session of that sign-in.
        let newer = state.sent.successor();
        newer
            .or_else(|| stored.map(|stored| stored.id))
            .or_else(|| state.sent.guest_successor())
    }

    /// The guest session of the guest cookie, if the request has another session: a sign-in ends both.
    ///
    /// Where the session of the user goes on, its own values win. What the handler itself has set always does.
    pub(super) async fn unread_guest(
        &self,
        pending: &PendingLogin,
        same: Option<&Stored>,
        batch: &Batch,
    ) -> Result<Option<Unused>, CommitError> {
        let Some(token) = self.state().sent.unread_guest().cloned() else {
            return Ok(None);
        };
        let found = self.open(&token).await?;
        let Some(Found { record, data, .. }) = found.filter(|it| it.record.user_id().is_none())
        else {
            self.state().sent.read(&token);
            return Ok(None);
        };
        let kept = |key: &str| {
            let stored = same.is_some_and(|same| same.data.get(key).is_some());
            stored || batch.sets(key)
        };
        let named = pending.login.carry.iter();
        Ok(Some(Unused {
            token,
            revision: record.revision,
            named: named.filter(|key| !kept(key)).cloned().collect(),
            data,
        }))
    }

    /// Takes note of the new session, and of those that it replaced. Returns whether some of these changes
    /// are still missing in it.
    pub(super) fn signed_in(
        &self,
        pending: &PendingLogin,
        new: NewSession,
        other: Option<Stored>,
        batch: &Batch,
        guest: Option<Unused>,
    ) -> bool {
        let mut state = self.state();
        let user = state.record().and_then(Record::user_id).cloned();
        let by = new.record.id;
        if let Some(other) = other {
            let named = pending.login.carry.iter();
            let named = named.filter(|key| !batch.sets(key)).cloned().collect();
            state.replaced.push(Replaced {
                user,
                tag: other.tag,
                id: other.id,
                by,
                carry: other
                    .guest
                    .then(|| (other.data_at.unwrap_or(NO_REVISION), named)),
            });
        }
        if let Some(guest) = guest {
            let (tag, id) = (guest.token.tag(), guest.token.session_id());
            state.sent.read(&guest.token);
            state.replaced.push(Replaced {
                user: None,
                tag,
                id,
                by,
                carry: Some((guest.revision, guest.named)),
            });
        }
        let missing = state.unstage_made(batch, &new.data);
        state.settle_login(by);
        state.came_alive(&pending.token, new);
        missing
    }

    /// Ends the sessions of a guest or of another user that a sign-in replaced. Only once the new session
    /// exists: a refused sign-in must not cost a guest the cart. A failure does not fail the sign-in: the store ends it later.
    pub(super) async fn end_replaced(&self) {
        loop {
            let Some(replaced) = self.state().replaced.last().cloned() else {
                return;
            };
            // Boxed: this is rare.
            Box::pin(self.end_one_replaced(&replaced)).await;
            self.state().replaced.pop();
        }
    }

    async fn end_one_replaced(&self, replaced: &Replaced) {
        let ended = self.end_as_read(replaced).await;
        if let Some(user) = &replaced.user
            && let Ok(Ended::Ended { ids, now, .. }) = &ended
            && ids.contains(&replaced.id)
        {
            let reason = EndReason::Replaced;
            self.report_ended(user, replaced.id, reason, Some(replaced.by), *now);
        }
        self.state().not_pending(replaced.id);
        if let Err(error) = ended {
            let rules = &self.0.rules;
            if let Some(user) = &replaced.user {
                let (reason, now) = (EndReason::Replaced, self.now());
                self.report_ended(user, replaced.id, reason, Some(replaced.by), now);
            }
            // The store goes on trying, as after a response that was dropped.
            rules.store.end_undelivered(replaced.tag, replaced.id);
            rules
                .outage
                .beside(&error, "replaced session not ended yet");
        }
    }

    /// Ends a replaced session. That of a guest ends only once its newest data was carried over: if an answer is lost, no data
    /// is.
    async fn end_as_read(&self, replaced: &Replaced) -> Result<Ended, StoreError> {
        let mut read_at = replaced.carry.as_ref().map(|(revision, _)| *revision);
        for _ in 0..UPDATE_TRIES {
            let ended = self.end_replaced_at(read_at, replaced).await?;
            let Ended::Ended {
                data: Some(data), ..
            } = &ended
            else {
                return Ok(ended);
            };
            // A store of the app may return the data of a session that it has ended.
            if ended.has(replaced.id) {
                self.carry_late(replaced, data).await;
                return Ok(ended);
            }
            match self.newest_of(replaced).await {
                Ok(Some((revision, newest))) => {
                    self.carry_late(replaced, &newest).await;
                    read_at = Some(revision);
                }
                ended_or_failed => {
                    self.carry_late(replaced, data).await;
                    return ended_or_failed.map(|_ended| ended);
                }
            }
        }
        // Parallel requests must not keep it alive.
        self.end_replaced_at(None, replaced).await
    }

    async fn end_replaced_at(
        &self,
        read_at: Option<u64>,
        replaced: &Replaced,
    ) -> Result<Ended, StoreError> {
        let mut end = End::new(replaced.tag, Which::One(replaced.id), EndReason::Replaced);
        (end.by, end.read_at) = (Some(replaced.by), read_at);
        self.end_surely(end).await
    }

    /// The data of a session and its revision, if it is still live.
    async fn newest_of(&self, replaced: &Replaced) -> Result<Option<(u64, Data)>, StoreError> {
        let store = &self.0.rules.store;
        let mut read = Save::new(replaced.tag, replaced.id, Changes::default());
        read.expect = Some(NO_REVISION);
        let saved = match store.save(read.clone()).await {
            Err(_) => store.save(read).await?,
            Ok(saved) => saved,
        };
        Ok(match saved {
            Saved::Conflict { revision, data } => Some((revision, data)),
            _ => None,
        })
    }

    /// A parallel request stored something in the guest session after this one had read it.
    async fn carry_late(&self, replaced: &Replaced, data: &Data) {
        let Some((_, keys)) = &replaced.carry else {
            return;
        };
        let late: Vec<Op> = data
            .named(|key| keys.iter().any(|named| **named == *key))
            .map(|(key, value)| Op::carried(key, value))
            .collect();
        if late.is_empty() {
            return;
        }
        // No other request saves what was in the guest session, so it is tried twice.
        for last in [false, true] {
            let Some(stored) = self.stored() else {
                return;
            };
            match apart(self.save(stored, &late, None)).await {
                Err(error) if last || error.store_kind().is_none() => {
                    tracing::warn!(error = &error as &dyn Error, "guest data not carried over");
                    self.report_lost_with_session();
                    return;
                }
                Err(_) => {}
                Ok(_) => return,
            }
        }
    }
}

impl State {
    /// What goes into the new session: of a guest session's stored data the keys that the login names,
    /// and what this request staged itself.
    pub(super) fn carried(&self, login: &Login, user: &UserId) -> Vec<Op> {
        let stored = self.guest_data().into_iter().flat_map(|data| {
            data.named(|key| login.carries(key))
                .map(|(key, value)| Op::carried(key, value))
        });
        // A value computed from a stored one would carry over what an attacker planted there.
        let mut staged = self.staged.ops.all();
        // What an earlier sign-in of this request carried over is among the stored values.
        let theirs = self.keys_of_another(&staged, user);
        staged.retain(|op| {
            let stays = op.own && (!op.derived || login.carries(&op.key));
            stays && !theirs.contains(&op.key)
        });
        let staged = staged.into_iter().map(|op| Op {
            // The new session has no such value to run it on again.
            again: None,
            ..op
        });
        stored.chain(staged).collect()
    }

    /// The stored data of the guest session that a sign-in ends.
    fn guest_data(&self) -> Option<&Data> {
        let live = self.live()?;
        let signed_out = match &self.staged.target {
            Target::Stay => false,
            Target::LogOut => true,
            Target::LogIn(earlier) => earlier.after_logout,
        };
        (live.record.user_id().is_none() && !signed_out).then_some(&live.data)
    }
}
