//! All that one request knows of its session, and wants to change.

use std::time::Duration;

use super::{
    current::{Current, Live},
    error::{CommitError, SessionError, SessionErrorKind},
    head::CookieChange,
    live::Streams,
    login::Login,
    own_cutoffs::OwnCutoffs,
    rules::Rules,
    sender::Sender,
    sent::Sent,
    staged::{Batch, PendingLogin, Renew, Staged, Target},
    verify::FoundEnded,
};
use crate::model::{Data, DeviceId, Lifetime, Record, SessionId, Tag, Timestamp, Token, UserId};

/// It is moved on every request, so what only sign-ins need is boxed.
pub(super) struct State {
    pub(super) current: Current,
    pub(super) staged: Staged,
    /// What the response does to the signed-in cookie.
    pub(super) cookie: CookieChange,
    /// What the response does to the guest cookie.
    pub(super) guest_cookie: CookieChange,
    pub(super) sender: Sender,
    /// What the request sent beside the token of its session.
    pub(super) sent: Sent,
    /// The token that the client has, if it is known.
    pub(super) token: Option<Token>,
    /// The name given to a device that signs in and had none.
    pub(super) new_device: Option<Box<DeviceId>>,
    /// The token of the guest session that staged data will begin. Made once, so that committing again
    /// is the same session.
    pub(super) guest_token: Option<Box<Token>>,
    /// Sessions of other session sets that a sign-in replaced and that have not ended yet.
    pub(super) replaced: Vec<Replaced>,
    /// Sessions that may have been created and whose token was not sent yet.
    pub(super) pending: Vec<(Tag, SessionId)>,
    /// The sessions whose end the request reported when it was dropped. A task of the app may have ended one just then.
    pub(super) given_up: Box<[SessionId]>,
    /// The cutoffs that this request itself set.
    pub(super) own_cutoffs: OwnCutoffs,
    /// Names the end of a sign-out whose outcome is not known yet, see [`End::call`](crate::store::End::call).
    pub(super) ending: Option<Box<[u8; 8]>>,
    /// A commit has begun, and may be in progress.
    pub(super) committing: bool,
    /// Ends that the handler waits for: its own session may be one of them.
    pub(super) ends: u32,
    #[cfg_attr(not(feature = "live"), expect(dead_code, reason = "no streams"))]
    pub(super) streams: Streams,
    /// The store answered that the session had ended, where a near cache had answered before. Boxed: the state is moved
    /// on every request.
    pub(super) found_ended: Option<Box<FoundEnded>>,
    /// This request signed its own session out.
    pub(super) signed_out: bool,
    /// The handler read something of the session.
    pub(super) was_read: bool,
    /// The handler read why the session ended.
    pub(super) reason_read: bool,
    /// The response head was sent.
    pub(super) closed: bool,
    /// The response is on its way, or there is none: no data is kept any more.
    pub(super) released: bool,
    /// The request was dropped: the token of a session that is created now could not be sent.
    pub(super) abandoned: bool,
}

/// A session that ends because a sign-in replaced it.
#[derive(Clone)]
pub(super) struct Replaced {
    /// Its user; `None` for a guest session.
    pub(super) user: Option<UserId>,
    pub(super) tag: Tag,
    pub(super) id: SessionId,
    pub(super) by: SessionId,
    /// For a guest session: the revision at which the data was read, and the keys that the sign-in
    /// carries over and the handler did not change.
    pub(super) carry: Option<(u64, Vec<Box<str>>)>,
}

impl State {
    #[inline]
    pub(super) fn new(sender: Sender, sent: Sent) -> Self {
        Self {
            current: Current::Nothing,
            token: None,
            staged: Staged::default(),
            cookie: CookieChange::Keep,
            guest_cookie: CookieChange::Keep,
            sender,
            sent,
            new_device: None,
            guest_token: None,
            replaced: Vec::new(),
            pending: Vec::new(),
            given_up: Box::default(),
            own_cutoffs: OwnCutoffs::default(),
            ending: None,
            found_ended: None,
            signed_out: false,
            was_read: false,
            reason_read: false,
            committing: false,
            ends: 0,
            streams: Streams::default(),
            closed: false,
            released: false,
            abandoned: false,
        }
    }

    /// The stored session.
    #[inline]
    pub(super) fn live(&self) -> Option<&Live> {
        match &self.current {
            Current::Live(live) => Some(live),
            Current::Nothing | Current::Gone(_) | Current::Unavailable => None,
        }
    }

    /// This is the stored session from now on, as the store has just answered.
    pub(super) fn is_now(&mut self, mut live: Live) {
        if self.released {
            live.data = Data::default();
        }
        self.current = Current::Live(live);
        self.updates_run_again();
    }

    /// Other requests have changed the data. Updates that are staged were computed on what was known before, so they do
    /// not depend on its revision.
    pub(super) fn updates_run_again(&mut self) {
        if let Current::Live(live) = &mut self.current
            && self.staged.ops.has_updates()
        {
            live.data_at = None;
        }
    }

    pub(super) fn record(&self) -> Option<&Record> {
        self.live().map(|live| &live.record)
    }

    /// The stored data that staged changes start from.
    pub(super) fn base(&self) -> Option<&Data> {
        let live = self.live()?;
        let stays = match &self.staged.target {
            Target::Stay => true,
            Target::LogOut => false,
            Target::LogIn(pending) => pending.continues(&live.record),
        };
        stays.then_some(&live.data)
    }

    /// The most bytes that the staged session may keep as data.
    pub(super) fn data_limit(&self, rules: &Rules) -> usize {
        if self.is_guest() {
            rules.guest_data_limit()
        } else {
            rules.data_limit
        }
    }

    /// Whether what is staged belongs to a guest session.
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
            Current::Nothing | Current::Live(_) | Current::Gone(_) => Ok(()),
        }
    }

    pub(super) fn stage_login(&mut self, token: Token, user: UserId, login: Login) {
        let before = match &self.staged.target {
            Target::LogIn(earlier) => Some(&earlier.user),
            Target::Stay => self.record().and_then(Record::user_id),
            Target::LogOut => None,
        };
        let same = before == Some(&user);
        if !same || self.base().is_none() {
            // Nothing of another user comes along, whatever the login names: what a middleware staged
            // for that user would be in the wrong hands.
            let carried = if same || before.is_none() {
                self.carried(&login, &user)
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
        let own_cutoff = self.own_cutoffs.newest(token.tag());
        self.staged.target = Target::LogIn(Box::new(PendingLogin {
            token,
            user,
            login,
            shorten: None,
            after_logout,
            own_cutoff,
            offer: None,
            has_terms: false,
        }));
        self.staged.renew = Renew::No;
        self.staged.shorten = None;
    }

    /// The ticket that the client gets if this sign-in is refused. Made once, and only if the limit
    /// may refuse.
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

    /// This sign-in by ticket has these terms. They stay staged: the ticket may be used up when the sign-in is
    /// committed again.
    pub(super) fn take_terms(&mut self, pending: &PendingLogin) {
        if let Target::LogIn(staged) = &mut self.staged.target
            && staged.token.session_id() == pending.token.session_id()
        {
            staged.login = pending.login.clone();
            staged.has_terms = true;
        }
    }

    pub(super) fn stage_logout(&mut self) {
        self.staged.put(Vec::new());
        self.staged.target = Target::LogOut;
        self.staged.renew = Renew::No;
        // If a commit began that guest session and its answer was lost, what is staged next is for
        // another one.
        self.guest_token = None;
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

    /// A session may be created whose token was not sent yet. Whether this is news: no earlier attempt may have
    /// created it.
    pub(super) fn expect_delivery(&mut self, tag: Tag, id: SessionId) -> bool {
        let is_news = !self.pending.contains(&(tag, id));
        if is_news {
            self.pending.push((tag, id));
        }
        is_news
    }

    /// The session was not created after all, or its token was sent.
    pub(super) fn not_pending(&mut self, id: SessionId) {
        self.pending.retain(|(_, pending)| *pending != id);
    }

    /// This session has ended. Whether that is still to be reported: dropping the request does it for a session whose token
    /// was not sent yet.
    pub(super) fn reports_end(&mut self, id: SessionId) -> bool {
        self.not_pending(id);
        !self.given_up.contains(&id)
    }

    /// Of what is staged only a sign-out stays.
    pub(super) fn keep_ends(&mut self) {
        self.staged.put(Vec::new());
        self.staged.renew = Renew::No;
        self.staged.forget = false;
        let signed_out = match std::mem::take(&mut self.staged.target) {
            Target::Stay => false,
            Target::LogOut => true,
            Target::LogIn(pending) => pending.after_logout,
        };
        if signed_out {
            self.staged.target = Target::LogOut;
        }
    }

    /// The sign-out is done; a sign-in after it may still be staged.
    pub(super) fn signed_out(&mut self) {
        self.sent.signed_out();
        self.begins_again();
        match &mut self.staged.target {
            Target::LogIn(pending) => pending.after_logout = false,
            target => *target = Target::Stay,
        }
    }

    /// These changes are stored, or cannot be.
    pub(super) fn unstage(&mut self, batch: &Batch) {
        if self.staged.edition == batch.edition {
            self.staged.ops.drop_before(batch.next);
            self.unstage_shorten(batch.shorten);
        }
    }

    /// A clone of the session may have staged an even shorter life meanwhile.
    pub(super) fn unstage_shorten(&mut self, stored: Option<Lifetime>) {
        if self.staged.shorten.as_deref() == stored.as_ref() {
            self.staged.shorten = None;
        }
    }

    /// A session was created with these changes. If the answer of an earlier try was lost, changes staged
    /// after that try are missing in it. They stay staged; returns whether there are any.
    pub(super) fn unstage_made(&mut self, batch: &Batch, data: &Data) -> bool {
        let missing = batch.missing(data);
        self.unstage(batch);
        let left = self.staged.edition == batch.edition && !missing.is_empty();
        if left {
            self.staged.ops.put_back(missing);
        }
        left
    }

    /// This sign-in is no longer staged: it was done or refused. Returns whether it was: a clone of the session may have
    /// staged another one meanwhile.
    pub(super) fn settle_login(&mut self, id: SessionId) -> bool {
        let staged =
            matches!(&self.staged.target, Target::LogIn(it) if it.token.session_id() == id);
        if staged {
            self.staged.target = Target::Stay;
        }
        staged
    }

    /// Changes are stored on the data of the revision `before`.
    pub(super) fn saved(&mut self, before: Option<u64>, newest: u64, data: Data) {
        if let Current::Live(live) = &mut self.current {
            live.data = if self.released { Data::default() } else { data };
            live.record.revision = newest;
            let alone = before.and_then(|before| before.checked_add(1)) == Some(newest);
            live.data_at = alone.then_some(newest);
        }
    }

    /// Drops what only the request needed: data, tokens, and headers that keep a buffer of the connection
    /// alive. A stream or a task may hold the session for hours.
    pub(super) fn release(&mut self, shared: bool) {
        self.released = true;
        if let Current::Live(live) = &mut self.current {
            live.data = Data::default();
        }
        self.token = None;
        self.guest_token = None;
        if shared {
            self.sender.detach();
        }
    }

    /// The stored session has these deadlines now.
    pub(super) fn shortened(&mut self, to: Option<Lifetime>, idle: Duration, deadline: Timestamp) {
        if let Current::Live(live) = &mut self.current {
            if let Some(to) = to {
                live.record = live.record.clone().shortened(to, live.now);
            }
            live.record.idle = idle;
            live.record.deadline = deadline;
        }
    }

    /// The session set that the stored session is in.
    pub(super) fn tag(&self) -> Option<Tag> {
        self.live().map(|live| live.tag)
    }
}
