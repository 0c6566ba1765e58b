//! What happens when the response head passes through the layer, and if it never does.

use std::time::Duration;

use super::{
    Current, Live, Mark, Session, client_change::last_client, error::CommitError, sent::Sent,
    state::State,
};
use crate::{
    model::{DeviceId, EndReason, SessionId, Tag, Token, UserId, clock::Monotonic},
    request::Way,
    store::Found,
};

/// What the response does to the cookie, or to the header that carries the token instead.
#[derive(Debug)]
pub(crate) enum CookieChange {
    Keep,
    Remove,
    /// For this long; without a time, until the browser closes.
    Set(Box<Token>, Option<Duration>),
}

impl CookieChange {
    /// Whether the cookie is set or removed.
    pub(crate) fn is_some(&self) -> bool {
        !matches!(self, Self::Keep)
    }

    /// The token that the response sets.
    pub(crate) fn token(&self) -> Option<&Token> {
        match self {
            Self::Set(token, _) => Some(token),
            Self::Keep | Self::Remove => None,
        }
    }
}

/// What the layer adds to a response.
#[derive(Debug)]
pub(crate) struct Delivery<'a> {
    /// How the request sent its token.
    pub(crate) sent: Option<Way>,
    /// The session of the request is the one of the guest cookie.
    pub(crate) as_guest: bool,
    /// What happens to the signed-in cookie.
    pub(crate) change: &'a CookieChange,
    /// What happens to the guest cookie.
    pub(crate) guest_change: &'a CookieChange,
    /// A new name for the device.
    pub(crate) device: Option<DeviceId>,
    /// The request signed its own session out.
    pub(crate) signed_out: bool,
}

/// What the service's response means for the staged changes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// All of them are stored.
    Store,
    /// The request failed: only ends are stored.
    OnlyEnds,
}

/// A session whose response is still to come. If it is dropped before that, a session that was created
/// and not delivered ends.
#[derive(Debug)]
pub(crate) struct OpenSession {
    session: Session,
    /// Nothing is left to do: no cookie to write, no new session to deliver.
    settled: bool,
    /// The handler read the session, so its response may differ from user to user.
    was_read: bool,
}

impl OpenSession {
    pub(crate) fn new(session: Session) -> Self {
        Self {
            session,
            settled: false,
            was_read: false,
        }
    }

    /// Takes what the store said of the token that was sent. The session has no clone yet, so this needs
    /// no lock.
    #[inline]
    pub(crate) fn found(&mut self, token: Token, current: Current) {
        if let Some(state) = self.session.own_state() {
            state.current = current;
            state.token = Some(token);
        }
    }

    /// Takes the live session that the store found. `near`: see [`Live::near`]. Returns whether its client may have
    /// changed.
    #[inline]
    pub(crate) fn found_live(
        &mut self,
        token: Token,
        found: Found,
        mark: Option<Mark>,
        near: Option<bool>,
    ) -> bool {
        let Some(state) = self.session.own_state() else {
            return false;
        };
        let is_alike = state.sender.is_alike(last_client(&found.record));
        let mut live = Live::new(token.tag(), found);
        (live.mark, live.near) = (mark, near);
        state.current = Current::Live(live);
        state.token = Some(token);
        !is_alike
    }

    /// The token of the session. It has no clone yet.
    pub(crate) fn token(&mut self) -> Option<Token> {
        self.session.own_state()?.token.clone()
    }

    /// What the request sent. The session has no clone yet.
    #[inline]
    pub(crate) fn sent(&mut self, note: impl FnOnce(&mut Sent)) {
        if let Some(state) = self.session.own_state() {
            note(&mut state.sent);
        }
    }

    /// What the clock read when the request arrived.
    #[inline]
    pub(crate) fn noted(&self) -> Monotonic {
        self.session.0.arrival.noted()
    }

    pub(crate) fn was_read(&self) -> bool {
        self.was_read
    }

    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// Ends staging. Returns whether something is left to commit.
    #[inline]
    pub(crate) fn close(&mut self, verdict: Verdict) -> bool {
        let mut state = self.session.state();
        state.closed = true;
        match verdict {
            Verdict::Store => state.stage_due(&self.session.0.rules),
            Verdict::OnlyEnds => state.keep_ends(),
        }
        // A commit in progress is waited for, and may leave something to do.
        let under_way = state.committing && self.session.0.turn.try_lock().is_err();
        let left = under_way || !state.staged.is_empty() || !state.replaced.is_empty();
        let settled = !left && state.pending.is_empty() && state.keeps_cookies();
        let was_read = state.was_read;
        if settled {
            state.release(self.session.is_shared());
        }
        drop(state);
        self.was_read = was_read;
        self.settled = settled;
        left
    }

    /// Writes the response's cookie; the session counts as delivered from here on.
    #[inline]
    pub(crate) fn deliver(&mut self, write: impl FnOnce(&Delivery<'_>)) {
        if self.settled {
            return;
        }
        let mut state = self.session.state();
        let changes = [&state.cookie, &state.guest_cookie];
        let made = changes.map(|change| change.token().map(Token::session_id));
        let sets = made.iter().any(Option::is_some);
        let device = state.new_device.take().filter(|_| sets).map(|it| *it);
        write(&Delivery {
            sent: state.sent.way,
            as_guest: state.sent.as_guest,
            change: &state.cookie,
            guest_change: &state.guest_cookie,
            device,
            signed_out: state.signed_out && !sets,
        });
        for id in made.into_iter().flatten() {
            state.not_pending(id);
        }
        // What could not be stored is still staged, and a clone of the session could commit it.
        let settled = state.pending.is_empty() && state.staged.is_empty();
        state.release(self.session.is_shared());
        (state.cookie, state.guest_cookie) = (CookieChange::Keep, CookieChange::Keep);
        drop(state);
        self.settled = settled;
    }

    /// Commits what is left.
    pub(crate) async fn commit(session: Session) -> Result<(), CommitError> {
        session.commit_staged().await.map(|_committed| ())
    }
}

impl Drop for OpenSession {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        let (pending, of_users) = {
            let mut state = self.session.state();
            state.closed = true;
            state.abandoned = true;
            state.staged.ops.release();
            state.release(self.session.is_shared());
            if state.pending.is_empty() {
                return;
            }
            let pending = std::mem::take(&mut state.pending);
            let of_users = state.of_users(&pending);
            state.given_up = of_users.iter().map(|(_, id)| *id).collect();
            (pending, of_users)
        };
        for (user, id) in of_users {
            let (at, reason) = (self.session.now(), EndReason::Undelivered);
            (self.session).raise_ended(&user, id, reason, None, at);
        }
        for (tag, id) in pending {
            tracing::debug!(reason = EndReason::Undelivered.as_str(), "session given up");
            self.session.0.rules.store.end_undelivered(tag, id);
        }
    }
}

impl State {
    /// Those of them that users have: that of the request, and one of another user that it was about to replace.
    fn of_users(&self, pending: &[(Tag, SessionId)]) -> Vec<(UserId, SessionId)> {
        let current = self.record().map(|record| (record.user_id(), record.id));
        let replaced = self.replaced.iter().map(|it| (it.user.as_ref(), it.id));
        let all = current.into_iter().chain(replaced);
        let pending = all.filter(|(_, id)| pending.iter().any(|(_, it)| it == id));
        pending
            .filter_map(|(user, id)| Some((user?.clone(), id)))
            .collect()
    }
}
