//! Asks the store again where a near cache answered.

use std::{collections::HashSet, sync::Arc};

use super::{
    Session,
    current::{Current, Live},
    error::{SessionError, SessionErrorKind},
    sent::Dead,
    staged::Op,
    state::State,
};
use crate::model::{Record, Token, UserId};

/// A session that `verify` found ended.
pub(super) struct FoundEnded {
    user: Option<UserId>,
    /// Changes of this edition and before this number were meant for it.
    edition: u64,
    next: u64,
}

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
    /// a request of a guest, and [`ended`](Self::ended) says why the session ended. Changes of data stay staged: if
    /// the same user signs in during this request, the new session gets them. Otherwise they are lost when the response is
    /// sent, and the layer raises [`EventKind::WriteLost`](crate::events::EventKind::WriteLost).
    ///
    /// [`SessionErrorKind::Unavailable`] if the store cannot be asked. Then the session does not change.
    ///
    /// [`SessionErrorKind::Closed`] after the response head was sent, if a near cache answered the request. A stream or
    /// a task verifies the session before that.
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
    /// [`SessionErrorKind::Unavailable`] and [`SessionErrorKind::Closed`], as above.
    pub(crate) async fn read_again(&self) -> Result<(), SessionError> {
        let (token, counts) = {
            let state = self.state();
            let near = state.live().and_then(|live| live.near);
            match (near, &state.token) {
                (Some(counts), Some(token)) => (token.clone(), counts),
                // The response head was sent, and the token was dropped with it.
                (Some(_), None) => return Err(SessionErrorKind::Closed.into()),
                (None, _) => return Ok(()),
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
        {
            let mut state = self.state();
            match found {
                _ if !state.is_near() => return Ok(()),
                Ok(found) => {
                    let mut live = Live::new(token.tag(), found);
                    live.mark = mark;
                    state.is_now(live);
                }
                Err(dead) => {
                    state.found_ended(*dead);
                    return Ok(());
                }
            }
        }
        self.settle_again(token, counts).await
    }

    /// Looks for a change of the client again: what the request knew of one, and could not note, is gone.
    async fn settle_again(&self, token: Token, counts: bool) -> Result<(), SessionError> {
        let Some(due) = self.client_change(counts) else {
            return Ok(());
        };
        // Boxed: this is rare.
        let dead = Box::pin(self.settle_change(&token, *due)).await;
        let dead = dead.map_err(|error| SessionError::new(SessionErrorKind::Unavailable, error))?;
        if let Some(dead) = dead {
            let mut state = self.state();
            let is_over = |record: &Record| record.id == token.session_id();
            if state.record().is_some_and(is_over) {
                state.found_ended(*dead);
            }
        }
        Ok(())
    }
}

impl State {
    fn is_near(&self) -> bool {
        self.live().is_some_and(|live| live.near.is_some())
    }

    /// The store answered that the session has ended.
    fn found_ended(&mut self, dead: Dead) {
        let (user, next) = (
            self.record().and_then(Record::user_id),
            self.staged.ops.next(),
        );
        self.found_ended = Some(Box::new(FoundEnded {
            user: user.cloned(),
            edition: self.staged.edition,
            next,
        }));
        self.is_gone();
        self.sent.is_dead(dead);
    }

    /// The keys of what was staged while another user than this one was signed in. What follows under such a key was computed
    /// from it.
    pub(super) fn keys_of_another(&self, ops: &[Op], user: &UserId) -> HashSet<Arc<str>> {
        let ended = self.found_ended.as_ref();
        let of_another = ended.filter(|ended| {
            ended.edition == self.staged.edition && ended.user.as_ref() != Some(user)
        });
        let before = of_another.map_or(0, |ended| ended.next);
        let theirs = ops.iter().filter(|op| op.number < before);
        theirs.map(|op| Arc::clone(&op.key)).collect()
    }

    /// What is known without the near cache: clones and later calls get the same answer.
    fn verified(&self) -> Result<(), SessionError> {
        if self.found_ended.is_some() && matches!(self.current, Current::Gone(_)) {
            return Err(SessionErrorKind::Ended.into());
        }
        Ok(())
    }
}
