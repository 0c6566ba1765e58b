//! What a request sent beside the token of the session that it found.

use crate::{
    model::{EndNotice, EndReason, Record, SessionId, Token},
    request::Way,
    store::End,
};

/// What a request sent, as far as it is not the token of its session.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    /// How the request sent the token that counts, if it sent one.
    pub(crate) way: Option<Way>,
    /// The method is unsafe: a person may have pressed a button.
    pub(crate) by_button: bool,
    /// A browser loads the page ahead: nobody has opened it yet.
    pub(crate) speculative: bool,
    /// It counts as activity of its session.
    #[cfg(feature = "api")]
    pub(crate) activity: bool,
    /// It sent a guest cookie, and only one.
    pub(crate) guest_cookie: bool,
    /// Its session is the one of the guest cookie.
    pub(crate) as_guest: bool,
    /// Boxed: the state is moved on every request, and few have any of it.
    more: Option<Box<More>>,
}

#[derive(Debug, Default)]
struct More {
    /// The token of the signed-in cookie, or the bearer token, opens no session.
    dead: Option<Dead>,
    /// The token of the guest cookie opens no session.
    dead_guest: Option<Dead>,
    unread: Vec<Unread>,
    /// The request signed out: a sign-in after that replaces nothing.
    signed_out: bool,
}

/// A token, or something in its place, that opens no session.
#[derive(Debug)]
pub(crate) enum Dead {
    /// Not a token, unknown, or an expired guest session.
    Unknown,
    /// The session of a user has expired.
    Expired(EndNotice),
    /// The session has ended.
    Ended(Token, EndNotice),
    /// A previous token after its time. The session may have ended because of it.
    Reused(Option<EndNotice>),
}

impl Dead {
    /// The token of a session that ended.
    pub(super) fn ended(token: &Token, notice: EndNotice) -> Self {
        match notice.reason {
            // The sign-in was not completed, or its client signed in again: there is nothing to explain.
            EndReason::Undelivered | EndReason::Rejected => Self::Unknown,
            _ => Self::Ended(token.clone(), notice),
        }
    }
}

/// A token that the request sent and that the layer did not use.
#[derive(Clone, Debug)]
pub(super) struct Unread {
    pub(super) token: Token,
    pub(super) place: Place,
    /// How a sign-out ends its session. Kept until the store has answered.
    pub(super) ending: Option<Box<Ending>>,
}

/// A sign-out of a session whose token the layer did not use.
#[derive(Clone, Debug)]
pub(super) struct Ending {
    pub(super) end: End,
    pub(super) record: Record,
}

/// Where a request sent a token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    Bearer,
    SignedInCookie,
    /// The only guest cookie, beside the token of a live session.
    GuestCookie,
    /// One of several guest cookies.
    GuestCookies,
}

impl Dead {
    /// The notice that says why. It is none of a session that no client ever used.
    fn notice(&self) -> Option<&EndNotice> {
        match self {
            Self::Ended(_, notice) | Self::Expired(notice) => Some(notice),
            Self::Reused(notice) => notice.as_ref(),
            Self::Unknown => None,
        }
    }

    /// Whether the browser may have a newer cookie by now.
    pub(crate) fn may_be_late(&self) -> bool {
        match self {
            Self::Ended(_, notice) => notice.reason == EndReason::Replaced,
            Self::Reused(_) => true,
            Self::Unknown | Self::Expired(_) => false,
        }
    }

    fn successor(&self) -> Option<SessionId> {
        let notice = self.notice()?;
        notice.by.filter(|_| notice.reason == EndReason::Replaced)
    }
}

impl Sent {
    /// What a request sent. `by_button`: its method is unsafe.
    #[inline]
    pub(crate) fn new(way: Option<Way>, by_button: bool, guest_cookie: bool) -> Self {
        Self {
            way,
            by_button,
            guest_cookie,
            ..Self::default()
        }
    }

    fn more(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }

    /// The signed-in cookie, or the bearer token, opens no session.
    pub(crate) fn is_dead(&mut self, dead: Dead) {
        self.more().dead = Some(dead);
    }

    /// The guest cookie opens no session.
    pub(crate) fn is_dead_guest(&mut self, dead: Dead) {
        self.more().dead_guest = Some(dead);
    }

    pub(crate) fn has_unread(&mut self, token: Token, place: Place) {
        self.more().unread.push(Unread {
            token,
            place,
            ending: None,
        });
    }

    pub(crate) fn dead(&self) -> Option<&Dead> {
        self.more.as_ref()?.dead.as_ref()
    }

    pub(crate) fn dead_guest(&self) -> Option<&Dead> {
        self.more.as_ref()?.dead_guest.as_ref()
    }

    /// Why the session ended: first the one of the signed-in cookie.
    pub(super) fn notice(&self) -> Option<&EndNotice> {
        let guest = || self.dead_guest().and_then(Dead::notice);
        self.dead().and_then(Dead::notice).or_else(guest)
    }

    /// Whether the browser may have a newer cookie by now.
    pub(super) fn may_be_late(&self) -> bool {
        self.dead().is_some_and(Dead::may_be_late)
            || self.dead_guest().is_some_and(Dead::may_be_late)
    }

    /// The token of a session that was ended, and that no other one replaced.
    pub(super) fn ended(&self) -> Option<&Token> {
        match self.dead()? {
            Dead::Ended(token, notice) if notice.reason != EndReason::Replaced => Some(token),
            _ => None,
        }
    }

    /// The session that replaced the one whose token the request sent as a signed-in one.
    pub(super) fn successor(&self) -> Option<SessionId> {
        self.dead()
            .and_then(Dead::successor)
            .filter(|_| !self.is_signed_out())
    }

    /// The session that replaced the one of the guest cookie.
    pub(super) fn guest_successor(&self) -> Option<SessionId> {
        self.dead_guest()
            .and_then(Dead::successor)
            .filter(|_| !self.is_signed_out())
    }

    /// The request signed out. A sign-in after that keeps nothing of a session that replaced another one.
    pub(super) fn signed_out(&mut self) {
        if let Some(more) = &mut self.more {
            more.signed_out = true;
        }
    }

    pub(super) fn is_signed_out(&self) -> bool {
        self.more.as_ref().is_some_and(|more| more.signed_out)
    }

    /// The user has signed in, so the tokens of before do not matter any more.
    pub(super) fn signed_in(&mut self) {
        if let Some(more) = &mut self.more {
            (more.dead, more.dead_guest) = (None, None);
        }
    }

    /// The user has read why the session ended.
    pub(super) fn forget(&mut self) {
        if let Some(more) = &mut self.more {
            more.dead.take_if(|dead| !dead.may_be_late());
            more.dead_guest.take_if(|dead| !dead.may_be_late());
        }
    }

    /// The tokens that were not used.
    pub(super) fn unread(&self) -> &[Unread] {
        self.more.as_ref().map_or(&[], |more| &more.unread)
    }

    /// The guest cookie beside the token of a live session.
    pub(super) fn unread_guest(&self) -> Option<&Token> {
        let mut unread = self.unread().iter();
        let guest = unread.find(|unread| unread.place == Place::GuestCookie)?;
        Some(&guest.token)
    }

    /// The guest cookie beside the token of a session that has just ended: it counts after all.
    pub(crate) fn take_unread_guest(&mut self) -> Option<Token> {
        let token = self.unread_guest()?.clone();
        self.read(&token);
        Some(token)
    }

    /// A sign-out ends the session of this token.
    pub(super) fn will_end(&mut self, token: &Token, ending: Ending) {
        let id = token.session_id();
        let mut unread = self.more().unread.iter_mut();
        if let Some(unread) = unread.find(|unread| unread.token.session_id() == id) {
            unread.ending = Some(Box::new(ending));
        }
    }

    /// The session of this token has ended, or a sign-in takes care of it.
    pub(super) fn read(&mut self, token: &Token) {
        if let Some(more) = &mut self.more {
            let id = token.session_id();
            more.unread.retain(|unread| unread.token.session_id() != id);
        }
    }
}
