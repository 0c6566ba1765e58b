//! All that one request knows and wants of its session.

use super::{
    error::{CommitError, SessionError, SessionErrorKind},
    head::CookieChange,
    login::Login,
    rules::Rules,
    sender::Sender,
    staged::{Batch, Op, PendingLogin, Renew, Staged, Target},
};
use crate::{
    model::{
        Data, DeviceId, EndNotice, EndReason, Record, SessionId, Tag, Timestamp, Token, UserId,
    },
    store::{Found, NewSession},
};

/// It is moved on every request, so what only sign-ins have is boxed.
pub(super) struct State {
    pub(super) current: Current,
    pub(super) staged: Staged,
    pub(super) cookie: CookieChange,
    pub(super) sender: Sender,
    /// The token that the client holds, as far as it is known.
    pub(super) token: Option<Token>,
    /// The device of a sign-in that had none.
    pub(super) new_device: Option<Box<DeviceId>>,
    /// The token of the guest session that staged data will begin: made once, so that committing
    /// again is the same session.
    pub(super) guest_token: Option<Box<Token>>,
    /// A session under another key that a sign-in replaced and that has not ended yet.
    pub(super) replaced: Option<Box<Replaced>>,
    /// Sessions that may have been made and whose token has not left yet.
    pub(super) pending: Vec<(Tag, SessionId)>,
    /// The cutoff that this request made itself, and whose.
    pub(super) own_cutoff: Option<(Tag, Timestamp)>,
    /// A commit has begun, and may be under way.
    pub(super) committing: bool,
    /// The session of the request was signed out by it.
    pub(super) signed_out: bool,
    /// The response head has passed.
    pub(super) closed: bool,
    /// The response is out of reach: a session that is made now would have nobody to go to.
    pub(super) abandoned: bool,
}

/// A session that ends because another one took its place.
#[derive(Clone)]
pub(super) struct Replaced {
    /// Whose it was; `None` of a guest.
    pub(super) user: Option<UserId>,
    pub(super) tag: Tag,
    pub(super) id: SessionId,
    pub(super) by: SessionId,
    /// Of a guest: at which revision the data was read, and the keys that the sign-in carries and
    /// the handler left alone.
    pub(super) carry: Option<(u64, Vec<Box<str>>)>,
}

/// What is stored of the session.
#[derive(Debug)]
pub(crate) enum Current {
    /// A guest of whom nothing is stored.
    Nothing,
    /// A user's session, or a guest's with data.
    Live(Live),
    /// A guest who holds the token of a session that ended.
    Ended(Box<EndNotice>),
    /// The session ended while the request was in flight.
    Gone,
    /// The store could not be asked.
    Unavailable,
}

/// A stored session as it was read last.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) tag: Tag,
    pub(crate) record: Record,
    pub(crate) data: Data,
    pub(crate) now: Timestamp,
}

impl Live {
    pub(crate) fn new(tag: Tag, found: Found) -> Self {
        let Found { record, data, now } = found;
        Self {
            tag,
            record,
            data,
            now,
        }
    }
}

impl State {
    pub(super) fn new(sender: Sender) -> Self {
        Self {
            current: Current::Nothing,
            token: None,
            staged: Staged::default(),
            cookie: CookieChange::Keep,
            sender,
            new_device: None,
            guest_token: None,
            replaced: None,
            pending: Vec::new(),
            own_cutoff: None,
            signed_out: false,
            committing: false,
            closed: false,
            abandoned: false,
        }
    }

    pub(super) fn record(&self) -> Option<&Record> {
        match &self.current {
            Current::Live(live) => Some(&live.record),
            Current::Nothing | Current::Ended(_) | Current::Gone | Current::Unavailable => None,
        }
    }

    /// The stored data that staged changes start from.
    pub(super) fn base(&self) -> Option<&Data> {
        let Current::Live(live) = &self.current else {
            return None;
        };
        let stays = match &self.staged.target {
            Target::Stay => true,
            Target::LogOut => false,
            Target::LogIn(pending) => pending.continues(&live.record),
        };
        stays.then_some(&live.data)
    }

    /// The most bytes that the data of the session to come may take.
    pub(super) fn data_limit(&self, rules: &Rules) -> usize {
        if self.is_guest() {
            rules.guests.data_limit
        } else {
            rules.data_limit
        }
    }

    /// Whether the session to come is a guest's.
    pub(super) fn is_guest(&self) -> bool {
        match &self.staged.target {
            Target::Stay => self
                .record()
                .is_none_or(|record| record.user_id().is_none()),
            Target::LogOut => true,
            Target::LogIn(_) => false,
        }
    }

    pub(super) fn stageable(&self) -> Result<(), SessionError> {
        if self.closed {
            return Err(SessionErrorKind::Closed.into());
        }
        match self.current {
            Current::Unavailable => Err(SessionErrorKind::Unavailable.into()),
            Current::Nothing | Current::Live(_) | Current::Ended(_) | Current::Gone => Ok(()),
        }
    }

    pub(super) fn stage_login(&mut self, token: Token, login: Login) {
        let before = match &self.staged.target {
            Target::LogIn(earlier) => Some(&earlier.login.user),
            Target::Stay => self.record().and_then(Record::user_id),
            Target::LogOut => None,
        };
        if before != Some(&login.user) {
            // Another user's data stays behind whatever the login names.
            let carried = if before.is_none() {
                self.carried(&login)
            } else {
                Vec::new()
            };
            self.staged.put(carried);
        }
        let after_logout = match &self.staged.target {
            Target::LogOut => true,
            Target::LogIn(earlier) => earlier.after_logout,
            Target::Stay => false,
        };
        let own_cutoff = self
            .own_cutoff
            .and_then(|(tag, cutoff)| (tag == token.tag()).then_some(cutoff));
        self.staged.target = Target::LogIn(Box::new(PendingLogin {
            token,
            login,
            after_logout,
            own_cutoff,
            offer: None,
        }));
        self.staged.renew = Renew::No;
    }

    /// The ticket that a refusal of this sign-in leaves: made once, and only where one may be refused.
    pub(super) fn offer(&mut self, login: &Token) -> Result<Option<Token>, CommitError> {
        match &mut self.staged.target {
            Target::LogIn(pending) if pending.token.session_id() == login.session_id() => {
                if pending.offer.is_none() {
                    let ticket = Token::random(login.tag()).map_err(CommitError::random)?;
                    pending.offer = Some(ticket);
                }
                Ok(pending.offer.clone())
            }
            _ => Ok(None),
        }
    }

    /// This request ended the sessions of this session set itself: what it stages from now on comes after
    /// that, and what it staged before does not.
    pub(super) fn made_cutoff(&mut self, tag: Tag, cutoff: Timestamp) {
        self.own_cutoff = Some((tag, cutoff));
        if let Target::LogIn(pending) = &mut self.staged.target
            && pending.token.tag() == tag
        {
            pending.own_cutoff = None;
        }
    }

    /// What the login takes along of a guest's data.
    fn carried(&self, login: &Login) -> Vec<Op> {
        let stored = self.base().into_iter().flat_map(|data| {
            data.named(|key| login.carries(key))
                .map(|(key, value)| Op::carried(key, value))
        });
        let staged = self.staged.ops.iter().filter(|op| login.carries(&op.key));
        // A value computed from the guest's is the user's own from here on.
        let staged = staged.map(|op| Op {
            again: None,
            ..op.clone()
        });
        stored.chain(staged).collect()
    }

    pub(super) fn stage_logout(&mut self) {
        self.staged.put(Vec::new());
        self.staged.target = Target::LogOut;
        self.staged.renew = Renew::No;
        // What began by it, if its answer was lost, keeps what was staged before.
        self.guest_token = None;
    }

    /// The reason was shown: the cookie has done its work.
    pub(super) fn note_read(&mut self) {
        if let Current::Ended(notice) = &self.current
            // The browser may hold the successor's cookie already.
            && notice.reason != EndReason::Replaced
            && matches!(self.cookie, CookieChange::Keep)
        {
            self.cookie = CookieChange::Remove;
        }
    }

    /// Whether staged data may begin a guest session. Not where the browser may hold another cookie
    /// by now, which a guest's would overwrite: a late request would sign its user out.
    pub(super) fn may_begin(&self) -> bool {
        match &self.current {
            Current::Ended(notice) => notice.reason != EndReason::Replaced,
            Current::Gone => false,
            Current::Nothing | Current::Live(_) | Current::Unavailable => true,
        }
    }

    /// The token of the guest session that staged data begins.
    pub(super) fn guest_token(&mut self) -> Result<Token, CommitError> {
        if let Some(token) = &self.guest_token {
            return Ok((**token).clone());
        }
        let token = Tag::random()
            .and_then(Token::random)
            .map_err(CommitError::random)?;
        self.guest_token = Some(Box::new(token.clone()));
        Ok(token)
    }

    /// The session that took the place of the one whose token the request showed.
    pub(super) fn successor(&self) -> Option<SessionId> {
        match &self.current {
            Current::Ended(notice) if notice.reason == EndReason::Replaced => notice.by,
            _ => None,
        }
    }

    /// A session whose token has not left yet.
    pub(super) fn expect_delivery(&mut self, tag: Tag, id: SessionId) {
        if !self.pending.contains(&(tag, id)) {
            self.pending.push((tag, id));
        }
    }

    /// The session was not made after all, or its token has left.
    pub(super) fn not_pending(&mut self, id: SessionId) {
        self.pending.retain(|(_, pending)| *pending != id);
    }

    /// The session ended while the request was in flight: no cookie is set for it.
    pub(super) fn ended_in_flight(&mut self) {
        self.current = Current::Gone;
        self.staged.renew = Renew::No;
        if matches!(self.cookie, CookieChange::Set(..)) {
            self.cookie = CookieChange::Keep;
        }
    }

    /// The stored session is no more, and nothing that was staged for it.
    pub(super) fn gone(&mut self) {
        self.current = Current::Nothing;
        self.cookie = CookieChange::Remove;
        self.signed_out = true;
        self.staged.renew = Renew::No;
        if matches!(self.staged.target, Target::Stay) {
            self.staged.put(Vec::new());
        }
    }

    /// The sign-out is done; a sign-in after it may still be staged.
    pub(super) fn signed_out(&mut self) {
        match &mut self.staged.target {
            Target::LogIn(pending) => pending.after_logout = false,
            target => *target = Target::Stay,
        }
    }

    /// These changes are stored, or cannot be.
    pub(super) fn unstage(&mut self, batch: &Batch) {
        if self.staged.edition == batch.edition {
            let stored = batch.ops.len().min(self.staged.ops.len());
            self.staged.ops.drain(..stored);
        }
    }

    /// A session was made with these changes. Those that came after a first try, whose answer was
    /// lost, are not in it and stay staged. Whether there are such.
    pub(super) fn unstage_made(&mut self, batch: &Batch, data: &Data) -> bool {
        let missing = batch.missing(data);
        self.unstage(batch);
        let left = self.staged.edition == batch.edition && !missing.is_empty();
        if left {
            self.staged.ops.splice(..0, missing);
        }
        left
    }

    /// This sign-in is no longer staged: made or refused.
    pub(super) fn settle_login(&mut self, id: SessionId) {
        // A clone of the handler's may have staged another one meanwhile.
        if let Target::LogIn(pending) = &self.staged.target
            && pending.token.session_id() == id
        {
            self.staged.target = Target::Stay;
        }
    }

    /// Changes are stored.
    pub(super) fn saved(&mut self, before: u64, newest: u64, data: Data) {
        if let Current::Live(live) = &mut self.current {
            live.data = data;
            // If others wrote in between, this is not all of the newest data: an update must not
            // take it for that.
            live.record.revision = if newest == before + 1 {
                newest
            } else {
                u64::MAX
            };
        }
    }

    /// A session was made for this request.
    pub(super) fn came_alive(&mut self, token: &Token, new: NewSession) {
        let NewSession {
            record, data, now, ..
        } = new;
        let absolute = record.deadline.since(record.created_at);
        self.cookie = CookieChange::Set(Box::new(token.clone()), absolute);
        self.token = Some(token.clone());
        self.current = Current::Live(Live {
            tag: token.tag(),
            record,
            data,
            now,
        });
    }

    /// The session set of the stored session.
    pub(super) fn tag(&self) -> Option<Tag> {
        match &self.current {
            Current::Live(live) => Some(live.tag),
            Current::Nothing | Current::Ended(_) | Current::Gone | Current::Unavailable => None,
        }
    }
}
