//! Which cookie carries the change of a session.

use std::mem;

use super::{
    current::{Current, Live},
    head::CookieChange,
    staged::{Renew, Target},
    state::State,
};
use crate::{
    model::{Record, SessionId, Token},
    request::Way,
    store::{Ended, Found, NewSession},
};

impl State {
    /// The stored session belongs to a user.
    pub(super) fn has_user(&self) -> bool {
        self.record()
            .is_some_and(|record| record.user_id().is_some())
    }

    /// Whether no cookie changes.
    pub(super) fn keeps_cookies(&self) -> bool {
        matches!(
            (&self.cookie, &self.guest_cookie),
            (CookieChange::Keep, CookieChange::Keep)
        )
    }

    /// Whether the session can get another token.
    ///
    /// Before guest sessions had a cookie of their own, they were in the signed-in cookie. Such a one keeps
    /// its token, because a guest session never sets that cookie.
    pub(super) fn can_rotate(&self) -> bool {
        self.has_user() || self.sent.as_guest || self.is_by_bearer()
    }

    /// A session was created by this request.
    pub(super) fn came_alive(&mut self, token: &Token, new: NewSession) {
        let NewSession {
            record, data, now, ..
        } = new;
        let absolute = record.deadline.since(record.created_at);
        let kept = record.persistent().then_some(absolute);
        let set = CookieChange::Set(Box::new(token.clone()), kept);
        if record.user_id().is_some() {
            self.cookie = set;
            self.sent.signed_in();
            // The sign-in ends the guest session, also one that this request began.
            self.guest_cookie = self.guest_removal();
        } else {
            self.guest_cookie = set;
        }
        self.keep_token(token.clone());
        let found = Found::new(record, data, now);
        self.is_now(Live::new(token.tag(), found));
    }

    /// The response sets this token, for what is left of the life of the session.
    pub(super) fn handed_over(&mut self, token: Token) {
        if let Current::Live(live) = &self.current {
            let left = live.record.deadline.since(live.now);
            let kept = live.record.persistent().then_some(left);
            let set = CookieChange::Set(Box::new(token.clone()), kept);
            if live.record.user_id().is_some() {
                self.cookie = set;
            } else {
                self.guest_cookie = set;
            }
        }
        self.keep_token(token);
    }

    /// After the response head no token is kept: what is left of the session holds none.
    fn keep_token(&mut self, token: Token) {
        self.token = (!self.released).then_some(token);
    }

    /// The session ended while the request was running: no cookie is set for it.
    pub(super) fn ended_in_flight(&mut self) {
        self.is_gone();
        self.staged.renew = Renew::No;
        self.staged.shorten = None;
        self.sets_no_cookie();
    }

    /// The stored session has ended. What is staged for it cannot be stored any more.
    pub(super) fn is_gone(&mut self) {
        let record = match mem::replace(&mut self.current, Current::Nothing) {
            Current::Live(live) => Some(Box::new(live.record)),
            Current::Gone(record) => record,
            Current::Nothing | Current::Unavailable => None,
        };
        self.current = Current::Gone(record);
    }

    /// The session that ended while the request was running.
    pub(super) fn gone(&self) -> Option<&Record> {
        match &self.current {
            Current::Gone(record) => record.as_deref(),
            Current::Nothing | Current::Live(_) | Current::Unavailable => None,
        }
    }

    /// No token is sent that this request had made before.
    pub(super) fn sets_no_cookie(&mut self) {
        for cookie in [&mut self.cookie, &mut self.guest_cookie] {
            if matches!(cookie, CookieChange::Set(..)) {
                *cookie = CookieChange::Keep;
            }
        }
    }

    /// This request ended its own session, and with it what was staged for it.
    ///
    /// If the session had ended before, no cookie changes: the browser may have the one of a newer session.
    pub(super) fn ended_own(&mut self, id: SessionId, ended: &Ended) {
        if !ended.has(id) {
            self.sets_no_cookie();
        } else if self.has_user() {
            self.cookie = CookieChange::Remove;
            self.signed_out = true;
        } else {
            self.guest_cookie = self.guest_removal();
        }
        self.current = Current::Nothing;
        self.staged.renew = Renew::No;
        self.staged.shorten = None;
        if matches!(self.staged.target, Target::Stay) {
            self.staged.put(Vec::new());
        }
    }

    /// Removes the guest cookie, if the request sent one.
    pub(super) fn guest_removal(&self) -> CookieChange {
        if self.sent.guest_cookie {
            CookieChange::Remove
        } else {
            CookieChange::Keep
        }
    }

    /// Whether staged data may begin a guest session. Not if it was meant for a session that ended while the request was
    /// running.
    ///
    /// A bearer client has one place for its token. It may have a newer one by now, so no guest session takes that
    /// place, unless the handler has signed it out. A browser has a cookie of its own for guest sessions.
    pub(super) fn may_begin(&self) -> bool {
        let may_overwrite =
            self.is_by_bearer() && self.sent.may_be_late() && !self.sent.is_signed_out();
        !may_overwrite && !matches!(self.current, Current::Gone(_))
    }

    /// The request has signed out: what it inserts from now on is not meant for a session that ended meanwhile.
    pub(super) fn begins_again(&mut self) {
        if matches!(self.current, Current::Gone(_)) {
            self.current = Current::Nothing;
        }
    }

    fn is_by_bearer(&self) -> bool {
        self.sent.way == Some(Way::Bearer)
    }
}
