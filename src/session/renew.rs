//! Gives a session that goes on another token.

use super::{
    Session,
    current::{Current, Live},
    error::CommitError,
    rules::Rules,
    staged::{Renew, Target},
    state::State,
};
use crate::{
    model::{EventKind, Realm, Record, SessionId, Tag, Timestamp, Token},
    request::Way,
    store::{
        Authenticated, Look, Presence, Renewal, Rotate, Rotated, StoreErrorKind, together::apart,
    },
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
            Renew::Due => {
                self.unless_store_fails(self.rotate_now(&token).await, "token not rotated")
            }
            Renew::Lost(next) => {
                let done = self.hand_out_lost(next).await;
                self.unless_store_fails(done, "present token not handed out again")
            }
            Renew::Rotate => self.rotate_now(&token).await,
            // If it is cut short, the session ends: nobody knows then which of its tokens works.
            Renew::Prove(next) => apart(self.prove_now(&token, next)).await,
        };
        let again = |error: &CommitError| match renew {
            // Its token is made already: doing it twice is the same as once.
            Renew::Prove(_) => error.store_kind().is_some(),
            _ => error.may_run_again(),
        };
        if !done.as_ref().is_err_and(again) {
            let mut state = self.state();
            // A clone of the session may have staged another one meanwhile.
            if state.staged.renew.is(&renew) {
                state.staged.renew = Renew::No;
            }
        }
        done
    }

    /// The token that the client has goes on working.
    fn unless_store_fails(
        &self,
        done: Result<(), CommitError>,
        what: &'static str,
    ) -> Result<(), CommitError> {
        match done {
            Err(CommitError::Store(error)) => {
                self.0.rules.outage.beside(&error, what);
                Ok(())
            }
            done => done,
        }
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
                self.warn_of_no_addresses(&record);
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

    /// A browser gets a lost token again only in the network of its sign-in, so without addresses it does not.
    fn warn_of_no_addresses(&self, record: &Record) {
        let Rules {
            rotation,
            no_addresses,
            ..
        } = &*self.0.rules;
        if no_addresses.is_completed() {
            return;
        }
        let (way, client) = {
            let state = self.state();
            (state.sent.way, state.sender.client())
        };
        // A client without a user agent is no browser, but a script or a test of the app.
        let is_browser = way == Some(Way::Cookie) && client.user_agent().is_some();
        // If the sign-in had one, the app does pass them on.
        let has_address = [&client, record.client()]
            .iter()
            .any(|client| client.address().is_some());
        if is_browser && !has_address && !rotation.grace.is_zero() {
            no_addresses.call_once(|| {
                tracing::warn!(
                    "a token was rotated, and the address of its browser is unknown. If the browser crashes before it has written \
                     the new cookie to disk, its user is signed out after the grace time: pass on `PeerAddr`, or set \
                     `SessionLayer::client_ip` behind a proxy"
                );
            });
        }
    }

    async fn prove_now(&self, token: &Token, next: &Token) -> Result<(), CommitError> {
        let (tag, id) = (next.tag(), next.session_id());
        let (lifetime, shorten, is_first) = {
            let mut state = self.state();
            if state.abandoned {
                return Err(CommitError::Closed);
            }
            let Some(record) = state.record() else {
                return Ok(());
            };
            let lifetime = record.lifetime();
            let shorten = state.staged.shorten.as_deref().copied();
            let is_first = state.expect_delivery(tag, id);
            let lifetime = shorten.map_or(lifetime, |to| lifetime.shorter(self.0.rules.stored(to)));
            (lifetime, shorten, is_first)
        };
        let proven = Renewal::Proven {
            authenticated: Authenticated::On(self.0.arrival),
            lifetime,
        };
        let mut answer = self.ask(token, next, proven).await;
        let mut unknown = is_unknown(&answer);
        if unknown || is(&answer, StoreErrorKind::Unavailable) {
            // The same digests, so that it happens once.
            answer = self.ask(token, next, proven).await;
            unknown |= is_unknown(&answer);
        }
        if let Ok(Rotated::Rotated(record)) = &mut answer {
            self.report_renewed(EventKind::Reauthenticated, record);
            self.lift_doubt(tag, record).await;
        }
        {
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
                // The previous token may be invalid, and no client has the new one. Unless it is delivered after
                // all, the session ends: nobody could use it, and the previous token would be taken for reuse.
                Err(error) => {
                    if unknown {
                        // That of a sign-in of this request, too.
                        state.sets_no_cookie();
                    } else if is_first {
                        state.not_pending(id);
                    }
                    return Err(error);
                }
                Ok(Rotated::Took(_) | Rotated::Kept | Rotated::Ended) => state.not_pending(id),
            }
        }
        // Boxed: this is rare.
        Err(Box::pin(self.unproven(tag, id)).await?)
    }

    /// Why the store did not take a re-authentication.
    ///
    /// Another request with the token may have re-authenticated long before. The session is not over then, and to say so
    /// would sign out a user who just entered the password.
    async fn unproven(&self, tag: Tag, id: SessionId) -> Result<CommitError, CommitError> {
        let rules = &self.0.rules;
        let mut look = Look::new(tag, [id]);
        look.not_before = rules.not_before.get();
        let looked = rules.store.look(look).await?;
        if !matches!(looked.sessions[..], [Presence::Live(_)]) {
            return Ok(self.ended_meanwhile());
        }
        let mut state = self.state();
        state.sets_no_cookie();
        state.staged.shorten = None;
        Ok(CommitError::TokenReplaced)
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
    pub(super) fn stage_due(&mut self, rules: &Rules) {
        let Some(Live { record, now, .. }) = self.live() else {
            return;
        };
        let (id, now, after) = (record.id, *now, rules.rotation.after);
        let unused = record
            .rotation
            .as_ref()
            .is_some_and(|rotation| rotation.is_unused());
        let old = after.is_some_and(|after| now.since(record.issued_at()) >= after);
        if !old && record.rotation.is_none() {
            return;
        }
        let idle = matches!(self.staged.target, Target::Stay)
            && matches!(self.staged.renew, Renew::No)
            && self.keeps_cookies()
            && self.can_rotate();
        if !idle {
            return;
        }
        let due = (unused || old) && self.would_rotate(rules.realm, now);
        // A browser takes its new cookie. A bearer client may never take its new token.
        let throttled = unused && self.sent.way == Some(Way::Bearer);
        if due && (!throttled || rules.offered.is_due(id, now)) {
            self.staged.renew = Renew::Due;
        } else if !due && let Some(lost) = self.lost_token(rules.realm) {
            self.staged.renew = Renew::Lost(Box::new(lost));
        }
    }

    /// The present token, if the browser had it and sends the one before it again.
    ///
    /// Chromium writes cookies to disk after up to 30 s. If it crashes before that, it comes back with the
    /// previous token, which is reuse after its time. Only the client of the sign-in gets the present
    /// token again: the same user agent, in the same network.
    fn lost_token(&self, realm: Realm) -> Option<Token> {
        let (Live { record, now, .. }, token) = (self.live()?, self.token.as_ref()?);
        let rotation = record.rotation.as_deref()?;
        let previous = rotation.previous[0].filter(|it| *now < it.until && !it.rejected)?;
        let is_same_client = || self.sender.client().is_near(record.client());
        if previous.digest != token.digest_in(realm) || !is_same_client() {
            return None;
        }
        let next = token.successor(&rotation.salt);
        (next.digest_in(realm) == record.digest).then_some(next)
    }

    /// Whether the store would give this session another token at `now`, as far as its record says.
    ///
    /// It keeps the token while a previous one still works, and for a request with a previous token whose
    /// successor was sent.
    pub(super) fn would_rotate(&self, realm: Realm, now: Timestamp) -> bool {
        let (Some(Live { record, .. }), Some(token)) = (self.live(), &self.token) else {
            return false;
        };
        let Some(rotation) = &record.rotation else {
            return true;
        };
        let sent = token.digest_in(realm);
        if sent == record.digest {
            let mut previous = rotation.previous.iter().flatten();
            return previous.all(|previous| previous.until <= now);
        }
        // The store knows better what it is if the record does not name it.
        rotation
            .previous(&sent)
            .is_none_or(|previous| rotation.is_unused() && rotation.previous[0] == Some(previous))
    }

    /// Whether a new token or a shorter life is staged for a session that ended while the request was running. They
    /// are no longer staged then.
    pub(super) fn drops_renewal(&mut self) -> bool {
        let ended = matches!(self.current, Current::Gone(_));
        if !ended || !matches!(self.staged.target, Target::Stay) {
            return false;
        }
        let shortens = self.staged.shorten.take().is_some();
        let renew = std::mem::take(&mut self.staged.renew);
        shortens || matches!(renew, Renew::Rotate | Renew::Prove(_))
    }

    /// The session has another token.
    fn renewed(&mut self, token: Token, record: Record) {
        if let Current::Live(live) = &mut self.current {
            live.record = record;
            // The store has just answered. Asking it with the new token would say that its client has it.
            live.near = None;
        }
        self.handed_over(token);
    }
}

/// Whether a rotation that failed like this may have happened.
fn is_unknown(answer: &Result<Rotated, CommitError>) -> bool {
    let kinds = [
        StoreErrorKind::Corrupt,
        StoreErrorKind::Timeout,
        StoreErrorKind::Uncertain,
    ];
    kinds.into_iter().any(|kind| is(answer, kind))
}

fn is(answer: &Result<Rotated, CommitError>, kind: StoreErrorKind) -> bool {
    answer.as_ref().err().and_then(CommitError::store_kind) == Some(kind)
}
