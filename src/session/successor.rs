//! What happens while nobody has sent the new token of a rotation.

use std::time::Duration;

use super::{
    Session,
    client_change::last_client,
    current::{Current, Live},
    error::CommitError,
};
use crate::{
    model::{EventKind, LastSeen, Record, Salt, Token},
    request::mark,
    store::{List, NoteClient},
};

/// How long a new token may stay unused. After that the grace period of the previous one begins with the
/// next request that sends it, which gets the new one again.
const UNUSED_MAX: Duration = Duration::from_secs(15 * 60);

/// Distinguishes the mark of a client that got a new token from the one of a client that used the session.
const SHARED: u64 = 1 << 63;

impl Session {
    /// A salt that names the client of this request, to which the new token is given first.
    pub(super) fn salt(&self) -> Result<Salt, CommitError> {
        let salt = Salt::random().map_err(CommitError::random)?;
        Ok(salt.with_mark(mark(&self.state().sender.client())))
    }

    /// The new token, if this request sent the previous one and nobody has used the new one for too long.
    fn overdue(&self, token: &Token) -> Option<(Token, Salt)> {
        let state = self.state();
        let Live { record, now, .. } = state.live()?;
        let rotation = record.rotation.as_deref()?;
        if !rotation.is_unused() || now.since(rotation.issued_at) < UNUSED_MAX {
            return None;
        }
        let (next, salt) = (token.successor(&rotation.salt), rotation.salt);
        (next.digest_in(self.0.rules.realm) == record.digest).then_some((next, salt))
    }

    /// Hands out a new token that was unused for too long, and begins the grace period of this one. Returns
    /// whether it is one.
    ///
    /// Otherwise a thief who only ever sends the previous token would keep the session for as long as its
    /// user stays away.
    pub(super) async fn hand_out_overdue(&self, token: &Token) -> Result<bool, CommitError> {
        let Some((next, salt)) = self.overdue(token) else {
            return Ok(false);
        };
        // Meanwhile others may have used it and the one after it. The store would take it for reuse, and end the session.
        let rules = &self.0.rules;
        if self.0.arrival.age() >= rules.rotation.grace {
            return Ok(false);
        }
        // To the store this is the first request with the new token.
        let first = rules.resolve(next.clone(), false);
        let answer = rules.store.resolve(first).await?;
        if self.opened_by(&next, answer).is_err() {
            return Err(self.ended_meanwhile());
        }
        self.state().handed_over(next);
        self.report_shared(&salt).await;
        Ok(true)
    }

    /// Hands out the present token to the browser that lost it, unless there is a newer one by now or none.
    ///
    /// The response may be a late one: the browser may have signed in again meanwhile, and has a newer cookie.
    pub(super) async fn hand_out_lost(&self, next: &Token) -> Result<(), CommitError> {
        let rules = &self.0.rules;
        let mut list = List::new(next.tag());
        list.within = Some(rules.realm);
        list.not_before = rules.not_before.get();
        // A list changes nothing. A `resolve` with a token that is a previous one by now could end the session.
        let present = next.digest_in(rules.realm);
        let sessions = rules.store.list(list).await?;
        let is_present = |it: &Record| it.id == next.session_id() && it.digest == present;
        if sessions.iter().any(is_present) {
            self.state().handed_over(next.clone());
        }
        Ok(())
    }

    /// Raises the event if a new token was given to another client than the first one.
    pub(super) async fn report_shared(&self, salt: &Salt) {
        let (note, now) = {
            let state = self.state();
            let Some(Live {
                tag, record, now, ..
            }) = state.live()
            else {
                return;
            };
            let mark = mark(&state.sender.client());
            if record.user_id().is_none() || salt.has_mark(mark) {
                return;
            }
            let before = record.last_seen();
            let (client, at) = match before {
                Some(before) => (before.client.clone(), before.at),
                None => (last_client(record).clone(), *now),
            };
            let mut seen = LastSeen::after(before, client, at);
            if !seen.report(mark ^ SHARED, *now) {
                return;
            }
            (NoteClient::new(*tag, record.clone(), seen), *now)
        };
        let (record, seen) = (note.record.clone(), note.last_seen.clone());
        match self.0.rules.store.note_client(note).await {
            Ok(true) => {
                self.report_client(EventKind::TokenShared, &record, now);
                if let Current::Live(live) = &mut self.state().current {
                    live.record = live.record.clone().with_last_seen(seen);
                }
            }
            // Another request noted something: the next one with the previous token tries again.
            Ok(false) => {}
            Err(error) => {
                let outage = &self.0.rules.outage;
                outage.beside(&error, "second client with a new token not noted");
            }
        }
    }
}
