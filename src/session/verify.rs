//! Asks the store again where a near cache answered.

use super::{
    Session,
    current::{Current, Live},
    error::{SessionError, SessionErrorKind},
    state::State,
};

impl Session {
    /// Whether a near cache answered this request.
    pub(crate) fn is_near(&self) -> bool {
        self.state().is_near()
    }

    /// Reads the session from the store, if a [near cache](crate::store::Near) answered this request. If the store
    /// answered it, nothing happens.
    ///
    /// Call it before you rely on what another request wrote a moment ago, perhaps on another node: the state of a
    /// sign-in by OAuth, a flash message, the outcome of a POST before a redirect.
    ///
    /// ```
    /// use tower_user_sessions::{Session, SessionError};
    ///
    /// async fn flash(session: Session) -> Result<Option<String>, SessionError> {
    ///     session.verify().await?;
    ///     session.get("flash")
    /// }
    /// # #[cfg(feature = "test")]
    /// # tokio_test::block_on(flash(Session::for_test("alice"))).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`SessionErrorKind::Ended`] if the session has ended meanwhile, which is 401 as a response. A handler that goes on has
    /// a request of a guest, and [`ended`](Self::ended) says why the session ended. What is staged stays staged.
    ///
    /// [`SessionErrorKind::Unavailable`] if the store cannot be asked. Then the session does not change.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the session does not change.
    pub async fn verify(&self) -> Result<(), SessionError> {
        self.read_again().await?;
        self.state().verified()
    }

    /// The same, for callers that look at the session afterwards. It is one of a guest if that of the user has ended.
    ///
    /// # Errors
    ///
    /// [`SessionErrorKind::Unavailable`], as above.
    pub(crate) async fn read_again(&self) -> Result<(), SessionError> {
        let (token, counts) = {
            let state = self.state();
            let near = state.live().and_then(|live| live.near);
            match (near, &state.token) {
                (Some(counts), Some(token)) => (token.clone(), counts),
                _ => return Ok(()),
            }
        };
        let rules = &self.0.rules;
        let resolve = rules.resolve(token.clone(), counts);
        let mark = rules.live.mark(token.tag());
        // Boxed, so that handlers stay small.
        let answer = Box::pin(rules.store.resolve(resolve)).await;
        let answer =
            answer.map_err(|error| SessionError::new(SessionErrorKind::Unavailable, error))?;
        // If not, a clone of the session was faster, or the handler signed in or out.
        if !self.is_near() {
            return Ok(());
        }
        let found = self.opened_by(&token, answer);
        let mut state = self.state();
        if state.is_near() {
            match found {
                Ok(found) => {
                    let mut live = Live::new(token.tag(), found);
                    live.mark = mark;
                    state.current = Current::Live(live);
                }
                Err(dead) => {
                    state.current = Current::Gone;
                    state.sent.is_dead(*dead);
                    state.found_ended = true;
                }
            }
        }
        Ok(())
    }
}

impl State {
    fn is_near(&self) -> bool {
        self.live().is_some_and(|live| live.near.is_some())
    }

    /// What is known without the near cache: clones and later calls get the same answer.
    fn verified(&self) -> Result<(), SessionError> {
        if self.found_ended && matches!(self.current, Current::Gone) {
            return Err(SessionErrorKind::Ended.into());
        }
        Ok(())
    }
}
