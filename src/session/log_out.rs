//! Signs out: ends every session whose token the request sent.

use super::{
    Session,
    commit::Stored,
    error::{CommitError, SessionError},
    head::CookieChange,
    sent::{Ending, Place, Unread},
};
use crate::{
    model::{EndReason, Record, Token},
    request::Way,
    store::{End, Ended, Found, Which},
};

impl Session {
    /// Stages the sign-out: the session ends, its data is deleted, the cookie is removed. The response to a bearer client has
    /// nothing that says so: the client drops its token by itself.
    ///
    /// Data inserted afterwards begins a new guest session.
    ///
    /// Every session ends whose token the request sent. These can be several: a guest session beside that of
    /// a user, or two cookies of one name that differ. It takes two more round trips for each.
    ///
    /// If the session has ended already, perhaps while this request ran, no cookie changes: the browser may have a
    /// newer one. So the reason why it [`ended`](Self::ended) is still there after a sign-out. Its end is sent to
    /// the store again: where replicas confirm ends, they may not have it yet.
    ///
    /// If a sign-in or a re-authentication in another tab has replaced the token of this request, what that tab has stays live, even
    /// if the response to it has not arrived yet.
    ///
    /// It is stored also if the response is an error. If the handler panics or the request is dropped, it
    /// is not.
    ///
    /// # Errors
    ///
    /// If the response head was sent or the session is unavailable.
    pub fn log_out(&self) -> Result<(), SessionError> {
        let mut state = self.state();
        state.stageable()?;
        state.stage_logout();
        Ok(())
    }

    pub(super) async fn log_out_now(&self, stored: Option<Stored>) -> Result<(), CommitError> {
        if let Some(Stored { tag, id, .. }) = stored {
            let record = self.state().record().cloned();
            let mut end = End::new(tag, Which::One(id), EndReason::LoggedOut);
            // If the reply is lost and this runs again, it is the same end.
            let fresh = end.call;
            end.call = **self.state().ending.get_or_insert_with(|| Box::new(fresh));
            let ended = self.0.rules.store.end(end).await?;
            self.state().ending = None;
            self.report_logged_out(record.as_ref(), &ended);
            self.state().ended_own(id, &ended);
        } else {
            self.end_again().await?;
        }
        let unread = self.state().sent.unread().to_vec();
        for each in &unread {
            self.log_out_unread(each).await?;
        }
        self.state().signed_out();
        Ok(())
    }

    /// Ends a session that was ended before: the store may not have confirmed that end, and answers with an error
    /// while it cannot.
    async fn end_again(&self) -> Result<(), CommitError> {
        let ended = self.state().sent.ended().cloned();
        if let Some(token) = ended {
            let which = Which::One(token.session_id());
            let end = End::new(token.tag(), which, EndReason::LoggedOut);
            self.0.rules.store.end(end).await?;
        }
        Ok(())
    }

    /// Ends a session whose token the request sent and the layer did not use.
    async fn log_out_unread(&self, unread: &Unread) -> Result<(), CommitError> {
        let Unread { token, place, .. } = unread;
        let is_over = match self.ending(unread).await? {
            Some(Ending { end, record }) => {
                let ended = self.0.rules.store.end(end).await?;
                self.report_logged_out(Some(&record), &ended);
                ended.has(record.id)
            }
            None => false,
        };
        let mut state = self.state();
        state.sent.read(token);
        if !is_over {
            return Ok(());
        }
        match place {
            Place::Bearer => {}
            Place::SignedInCookie => {
                state.cookie = CookieChange::Remove;
                state.sent.way = Some(Way::Cookie);
                state.signed_out = true;
            }
            Place::GuestCookie | Place::GuestCookies => state.guest_cookie = CookieChange::Remove,
        }
        Ok(())
    }

    /// The end of the session that this token opens, if it is live. If the reply is lost and this runs again, it is the same
    /// end.
    async fn ending(&self, unread: &Unread) -> Result<Option<Ending>, CommitError> {
        if let Some(ending) = &unread.ending {
            return Ok(Some((**ending).clone()));
        }
        let token = &unread.token;
        let Some(Found { record, .. }) = self.open(token).await? else {
            return Ok(None);
        };
        let end = End::new(token.tag(), Which::One(record.id), EndReason::LoggedOut);
        let ending = Ending { end, record };
        self.state().sent.will_end(token, ending.clone());
        Ok(Some(ending))
    }

    /// The live session of a token that the layer did not use. This is no activity.
    pub(super) async fn open(&self, token: &Token) -> Result<Option<Found>, CommitError> {
        let rules = &self.0.rules;
        let resolve = rules.resolve(token.clone(), false);
        let answer = rules.store.resolve(resolve).await?;
        Ok(self.opened_by(token, answer).ok())
    }

    fn report_logged_out(&self, record: Option<&Record>, ended: &Ended) {
        if let (Some(record), Ended::Ended { ids, now, .. }) = (record, ended)
            && let Some(user) = record.user_id()
            && ids.contains(&record.id)
        {
            let reason = EndReason::LoggedOut;
            self.report_ended(user, record.id, reason, Some(record.id), *now);
        }
    }
}
