//! What is staged for a session that goes on: another token, a renewed life, a shorter one.

use super::{
    Session,
    error::{SessionError, SessionErrorKind},
    staged::{Renew, Target},
};
use crate::model::Lifetime;

impl Session {
    /// Stages a new token for the session. Id, data and lifetime do not change.
    ///
    /// Call it from time to time, so that a copied token is found.
    /// [`SessionLayer::rotate_after`](crate::SessionLayer::rotate_after) does the same by itself.
    ///
    /// It is not enough when the user gains rights: the previous token still works for a while, and has the new rights too. Ask
    /// for the password or another factor then, and call [`reauthenticated`](Self::reauthenticated) (ASVS 7.2.4). If you
    /// cannot ask, because an administrator grants the rights, end the sessions of the user
    /// ([`UserSessions::end_all`](crate::UserSessions::end_all)).
    ///
    /// The previous token works until a request has sent the new one, and for
    /// [`SessionLayer::rotation_grace`](crate::SessionLayer::rotation_grace) after that. Requests in parallel get the same new
    /// token. A browser gets it with each response until it sends it, a bearer client about every 30 s. So neither parallel
    /// requests nor a lost response sign the user out. If no request has sent the new token for 15 minutes, the grace time begins
    /// all the same, with the next response that has it.
    ///
    /// While a previous token still works, the token does not change, and the store is not asked. Nothing happens to a guest
    /// session that has nothing stored, and nothing if a sign-in or a sign-out is staged.
    ///
    /// If the store does not answer, the response is a 503, as for every staged change. A rotation that is
    /// only due by its age is skipped then.
    ///
    /// # Errors
    ///
    /// If the response head was sent or the session is unavailable.
    pub fn rotate(&self) -> Result<(), SessionError> {
        let now = self.now();
        let mut state = self.state();
        state.stageable()?;
        if matches!(state.staged.target, Target::Stay)
            && matches!(state.staged.renew, Renew::No)
            && state.can_rotate()
            && state.would_rotate(self.0.rules.realm, now)
        {
            state.staged.renew = Renew::Rotate;
        }
        Ok(())
    }

    /// Stages that the user has authenticated again, by password or another factor (ASVS 7.2.4, 7.5.1).
    ///
    /// Call it before you give the session more rights, and when the user proved again who they are.
    ///
    /// The session gets a new token, previous tokens are invalid at once, and both parts of its lifetime
    /// begin again. Its id and data do not change. A request that is running already keeps its session, and
    /// its data is stored. A later request with a previous token is a guest, and its cookie does not
    /// change. After [`rotation_grace`](crate::SessionLayer::rotation_grace) such a token is reuse: it is
    /// reported once, and never ends the session.
    ///
    /// Nothing happens if a sign-in is staged, which does all of that.
    ///
    /// A user may click twice, so two requests come with one token:
    ///
    /// - Both find their session, and then both re-authenticate: both succeed. The token of either response opens the session, so
    ///   it does not matter which one the browser keeps. For the grace time after the second one both work. After that only the
    ///   token that a request sent last does.
    /// - The second one arrives after the first one is done: it is a guest and gets 401, although the password was right.
    ///   The session is not over. Disable the button at the first click, and let the page load again after
    ///   a 401 for the reason [`Replaced`](crate::EndReason::Replaced).
    /// - The second one takes longer than the grace time: [`CommitError::TokenReplaced`](crate::CommitError::TokenReplaced), a 401.
    ///
    /// If the response with the new token cannot be sent, the session ends. It also ends if the store does
    /// not answer in time, twice: the previous token may be invalid by then, and no client has the new one.
    /// The response is a 503 then, and the user signs in again.
    ///
    /// Of two clicks the first may be left without a response while its call to the store runs. Then the session ends for both
    /// of them, also if the second one has its 200. If that one is not through yet, [`commit`](Self::commit) returns
    /// [`CommitError::Ended`](crate::CommitError::Ended); without it the response of your handler is sent as it is. The
    /// browser is a guest from then on, and is not given a reason.
    ///
    /// So it is also if the call did nothing yet: the store may still run it, and make a token current that no client has. The
    /// token of the second response then works for the grace time only, if no request sends it. After that the
    /// session would be live and in lists, and nobody could use it.
    ///
    /// # Errors
    ///
    /// [`SessionErrorKind::NotSignedIn`] for a guest session. Also if the response head was sent, the
    /// session is unavailable, or the system has no randomness.
    pub fn reauthenticated(&self) -> Result<(), SessionError> {
        let mut state = self.state();
        state.stageable()?;
        match &state.staged.target {
            Target::Stay => {}
            Target::LogIn(_) => return Ok(()),
            Target::LogOut => return Err(SessionErrorKind::NotSignedIn.into()),
        }
        let signed_in = state
            .record()
            .is_some_and(|record| record.user_id().is_some());
        let next = match &state.token {
            Some(token) if signed_in => token.renewed().map_err(SessionError::random)?,
            _ => return Err(SessionErrorKind::NotSignedIn.into()),
        };
        state.staged.renew = Renew::Prove(Box::new(next));
        Ok(())
    }

    /// Stages a shorter life for the session, never a longer one.
    ///
    /// Call it when a session turns out to be on a shared computer, or when it opens something that
    /// deserves less time. The session then ends after `to.idle()` without activity, and at the latest
    /// `to.absolute()` after the commit, by the store's clock. A part that is shorter already does not
    /// change. After a later [`reauthenticated`](Self::reauthenticated) the session lives for the shorter
    /// lifetime again, not for that of its sign-in. The same holds if that one runs at the same time. For more than that the user has to
    /// [sign in](Self::log_in) again.
    ///
    /// The idle time counts from the last activity, so a session that was idle for longer ends at once:
    /// the commit succeeds, and the next request is a guest. A guest session is shortened too.
    /// If nothing is stored, nothing happens. A sign-in staged before is made with the shorter lifetime; a
    /// sign-in staged afterwards is not. The cookie may stay longer than the session.
    ///
    /// ```
    /// # #[cfg(feature = "test")]
    /// # tokio_test::block_on(async {
    /// use tower_user_sessions::{Lifetime, Session};
    ///
    /// let session = Session::for_test("alice");
    /// session.shorten(Lifetime::AAL3)?;
    /// session.commit().await?;
    ///
    /// let left = session.expires_at().unwrap().since(session.created_at().unwrap());
    /// assert!(left <= Lifetime::AAL3.absolute() + std::time::Duration::from_secs(60));
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// If the response head was sent or the session is unavailable.
    pub fn shorten(&self, to: Lifetime) -> Result<(), SessionError> {
        let mut state = self.state();
        state.stageable()?;
        let stored = state.record().is_some();
        let staged = &mut state.staged;
        match &mut staged.target {
            Target::LogIn(pending) => {
                pending.shorten = Some(pending.shorten.map_or(to, |staged| staged.shorter(to)));
            }
            Target::Stay if stored => {
                let to = staged
                    .shorten
                    .as_ref()
                    .map_or(to, |staged| staged.shorter(to));
                staged.shorten = Some(Box::new(to));
            }
            Target::Stay | Target::LogOut => {}
        }
        Ok(())
    }
}
