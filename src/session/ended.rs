//! Why the session of this browser ended, and when the user knows.

use super::{
    Session,
    error::{CommitError, SessionError, SessionErrorKind},
    head::CookieChange,
    sent::Dead,
};
use crate::{
    model::EndNotice,
    store::{Forget, meter},
};

impl Session {
    /// Why, when and by which device the session of this browser was ended.
    ///
    /// Show the reason on your sign-in page: [`EndWords`](crate::EndWords) makes a sentence of it.
    /// Returns `None` unless the request sent the token of a session that ended or expired, or one from
    /// before a re-authentication. An expired session has a reason only while the store still has it.
    ///
    /// Reading it changes nothing. So no prefetch, image or poll takes the message away, and every page
    /// gets it until one of these happens:
    ///
    /// - the user signs in;
    /// - your handler calls [`forget`](Self::forget), where the user closes the message;
    /// - the store has kept it long enough: an hour by default. An expired session is kept
    ///   for another time, see [`guide::devices`](crate::guide::devices#why-a-session-ended).
    ///
    /// Each sign-in of the user keeps only the newest reasons, as many as [`Limit::sessions`](crate::Limit::sessions). If more
    /// sessions ended for this sign-in, it keeps one for each of them. It never keeps more than 64. A sign-in that
    /// [does not count](crate::Login::counts) keeps 64. With `Limit::at_most(1)` mostly only the session that ended last
    /// has one.
    #[must_use]
    pub fn ended(&self) -> Option<EndNotice> {
        let mut state = self.read();
        let notice = state.sent.notice()?.clone();
        if !std::mem::replace(&mut state.reason_read, true) {
            // Reading it twice in one request counts once.
            meter::shown();
        }
        Some(notice)
    }

    /// Stages that the user has read [why the session ended](Self::ended): the reason is not returned
    /// again, and the cookie of the ended session is removed.
    ///
    /// Call it where the user presses a button, such as "OK" beside the message. It needs a request with
    /// an unsafe method, such as POST. After a page view the response could be late, and could remove the
    /// cookie of a sign-in in another tab.
    ///
    /// An unknown, expired or malformed token is forgotten too: its cookie is removed. Nothing happens if
    /// the request has a signed-in user. Nothing happens either if the browser may have a newer cookie by
    /// now: after [`EndReason::Replaced`](crate::EndReason::Replaced), or a previous token.
    ///
    /// ```
    /// use tower_user_sessions::{Session, SessionError};
    ///
    /// /// `POST /message/close`
    /// async fn close_message(session: Session) -> Result<(), SessionError> {
    ///     session.forget()
    /// }
    /// # #[cfg(feature = "test")]
    /// # tokio_test::block_on(close_message(Session::for_test_guest())).unwrap();
    /// ```
    ///
    /// It is one call to the store for a session that was ended: the store forgets the reason. For an expired session, an
    /// unknown token and a malformed one it is none. Removing the cookie is enough there, also if the expired session has a
    /// [reason](Self::ended).
    ///
    /// # Errors
    ///
    /// [`SessionErrorKind::SafeMethod`] in a request with GET, HEAD, OPTIONS or TRACE: as a response it is 500, with the
    /// reason `not_stored`. Also if the response head was sent or the session is unavailable.
    pub fn forget(&self) -> Result<(), SessionError> {
        let mut state = self.state();
        state.stageable()?;
        if !state.sent.by_button {
            return Err(SessionErrorKind::SafeMethod.into());
        }
        let dead = [state.sent.dead(), state.sent.dead_guest()];
        if !state.has_user() && dead.into_iter().flatten().any(|dead| !dead.may_be_late()) {
            state.staged.forget = true;
        }
        Ok(())
    }

    /// Makes the store forget the notice, and the browser the cookies of the tokens that open no session.
    pub(super) async fn forget_staged(&self) -> Result<(), CommitError> {
        let notice = {
            let state = self.state();
            if !state.staged.forget {
                return Ok(());
            }
            match state.sent.dead() {
                Some(dead @ Dead::Ended(token, notice)) if !dead.may_be_late() => {
                    Some(Forget::new(token.tag(), token.session_id(), notice.digest))
                }
                _ => None,
            }
        };
        if let Some(forget) = notice {
            self.0.rules.store.forget(forget).await?;
        }
        let mut state = self.state();
        let goes = |dead: Option<&Dead>| dead.is_some_and(|dead| !dead.may_be_late());
        if goes(state.sent.dead()) && matches!(state.cookie, CookieChange::Keep) {
            state.cookie = CookieChange::Remove;
        }
        if goes(state.sent.dead_guest()) && matches!(state.guest_cookie, CookieChange::Keep) {
            state.guest_cookie = state.guest_removal();
        }
        state.staged.forget = false;
        state.sent.forget();
        Ok(())
    }
}
