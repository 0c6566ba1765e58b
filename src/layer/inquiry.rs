//! Which of the tokens that a request sends opens its session.

use super::{
    config::{Config, OnOutage},
    failure::unresolved,
    mistake,
    reject::Rejection,
};
use crate::{
    model::Token,
    request::{GUEST, Sent, Tokens, Way},
    session::{Current, Dead, Due, Mark, OpenSession, Place},
    store::{Found, Resolve, Resolved, StoreError, meter},
};

/// The tokens of a request, in the order in which the store is asked for them:
///
/// 1. a cookie that differs from the bearer token beside it: if it is live, neither is used;
/// 2. the signed-in cookie or the bearer token;
/// 3. the guest cookie, if that one opens no session.
///
/// Nearly all requests send at most one.
pub(super) struct Inquiry {
    pub(super) open: OpenSession,
    activity: bool,
    /// A near cache may answer.
    near: bool,
    beside: Option<Box<Token>>,
    main: Option<Token>,
    guest: Option<Token>,
    /// What the store is asked for now.
    asked: Option<(Asked, Option<Mark>)>,
    /// The session is used by another client than before.
    changed: Option<Box<Due>>,
}

#[derive(Clone, Copy)]
enum Asked {
    Beside,
    Main,
    Guest,
}

impl Inquiry {
    #[inline]
    pub(super) fn new(
        config: &Config,
        mut open: OpenSession,
        sent: Sent,
        (activity, near): (bool, bool),
    ) -> Self {
        let Sent {
            tokens,
            way,
            beside,
            guest,
        } = sent;
        let main = main_token(config, &mut open, tokens, way);
        let guest = guest_token(config, &mut open, guest);
        Self {
            open,
            activity,
            near,
            beside,
            main,
            guest,
            asked: None,
            changed: None,
        }
    }

    /// The token to ask the store about next.
    #[inline]
    pub(super) fn next(&mut self, config: &Config) -> Option<Token> {
        loop {
            let (token, asked) = if let Some(token) = self.beside.take() {
                (*token, Asked::Beside)
            } else if let Some(token) = self.main.take() {
                (token, Asked::Main)
            } else {
                (self.guest.take()?, Asked::Guest)
            };
            if let Some(dead) = config.dead.find(&token) {
                self.dead(asked, dead);
                continue;
            }
            // Before the question is sent: a message that overtakes the answer is later than this.
            self.asked = Some((asked, config.rules.live.mark(token.tag())));
            return Some(token);
        }
    }

    /// The question about the token that [`next`](Self::next) returned. It is long, so it is made where it stays: each
    /// move of it costs each request.
    #[inline]
    pub(super) fn question(&self, config: &Config, token: Token) -> Resolve {
        let asked = self.asked.as_ref().map(|(asked, _)| *asked);
        // If the cookie is live, neither token is used.
        let activity = self.activity && !matches!(asked, Some(Asked::Beside));
        let mut resolve = config.rules.resolve(token, activity);
        if self.near && matches!(asked, Some(Asked::Main)) {
            // An older answer could take a previous token for the current one after its time.
            resolve.near = Some(config.rules.rotation.grace);
        }
        resolve
    }

    /// Takes what the store answered about this token.
    #[inline]
    pub(super) fn take(
        &mut self,
        config: &Config,
        token: Token,
        answer: Result<Resolved, StoreError>,
    ) -> Result<(), Rejection> {
        meter::resolved(&answer);
        if answer.is_ok() {
            config.rules.outage.answered();
        }
        let Some((asked, mark)) = self.asked.take() else {
            return Ok(());
        };
        match answer {
            // Taken out at once: each move of it costs each request.
            Ok(Resolved::Live(found)) => self.live(token, asked, mark, found),
            Ok(answer) => self.opens_none(config, &token, asked, answer),
            Err(error) => return self.unanswered(config, token, &error),
        }
        Ok(())
    }

    /// The token opens no session.
    #[cold]
    fn opens_none(&mut self, config: &Config, token: &Token, asked: Asked, answer: Resolved) {
        let is_final = matches!(answer, Resolved::Expired(_) | Resolved::Unknown);
        if let Err(dead) = self.open.session().opened_by(token, answer) {
            tracing::debug!(why = why(&dead), "a token opens no session");
            if is_final {
                config.dead.note(token, &dead);
            }
            self.dead(asked, *dead);
        }
    }

    /// The store did not answer.
    #[cold]
    fn unanswered(
        &mut self,
        config: &Config,
        token: Token,
        error: &StoreError,
    ) -> Result<(), Rejection> {
        let rejection = unresolved(&config.rules.outage, error, "session not resolved");
        (self.main, self.guest) = (None, None);
        match config.on_outage {
            OnOutage::Refuse => Err(rejection),
            OnOutage::Guest => {
                self.open.found(token, Current::Unavailable);
                Ok(())
            }
        }
    }

    /// Whether nothing is left to ask the store or to settle.
    #[inline]
    pub(super) fn is_done(&self) -> bool {
        let asks = self.beside.is_some() || self.main.is_some() || self.guest.is_some();
        !asks && !self.is_changed()
    }

    pub(super) fn is_changed(&self) -> bool {
        self.changed.is_some()
    }

    /// Notes that the session is used by another client, or ends it.
    pub(super) async fn settle(&mut self, config: &Config) -> Result<(), Rejection> {
        let (Some(due), Some(token)) = (self.changed.take(), self.open.token()) else {
            return Ok(());
        };
        match self.open.session().settle_change(&token, *due).await {
            Ok(None) => {}
            Ok(Some(dead)) => {
                // As on the next request with this token: the guest may begin a session, and the guest cookie counts.
                self.open.found(token, Current::Nothing);
                self.dead(Asked::Main, *dead);
                self.open.sent(|sent| self.guest = sent.take_unread_guest());
            }
            Err(error) => {
                let rejection = unresolved(&config.rules.outage, &error, "session not ended");
                match config.on_outage {
                    OnOutage::Refuse => return Err(rejection),
                    OnOutage::Guest => self.open.found(token, Current::Unavailable),
                }
            }
        }
        Ok(())
    }

    #[inline]
    fn live(&mut self, token: Token, asked: Asked, mark: Option<Mark>, found: Found) {
        let near = found.near.then_some(self.activity);
        // What a cache kept is older than the mark: a stream has to ask.
        let mark = mark.filter(|_| near.is_none());
        match asked {
            Asked::Beside => {
                tracing::debug!("two different tokens in one request");
                let main = self.main.take();
                self.open.sent(|sent| {
                    sent.way = None;
                    sent.has_unread(token, Place::SignedInCookie);
                    if let Some(main) = main {
                        sent.has_unread(main, Place::Bearer);
                    }
                });
            }
            Asked::Main => {
                if self.open.found_live(token, found, mark, near) {
                    self.changed = self.open.session().client_change(self.activity);
                }
                if let Some(guest) = self.guest.take() {
                    self.open
                        .sent(|sent| sent.has_unread(guest, Place::GuestCookie));
                }
            }
            // A session of a user does not belong there.
            Asked::Guest if found.record.user_id().is_some() => {
                self.open.sent(|sent| sent.is_dead_guest(Dead::Unknown));
            }
            Asked::Guest => {
                self.open.found_live(token, found, mark, near);
                self.open.sent(|sent| sent.as_guest = true);
            }
        }
    }

    fn dead(&mut self, asked: Asked, dead: Dead) {
        match asked {
            Asked::Beside => {}
            Asked::Main => self.open.sent(|sent| sent.is_dead(dead)),
            Asked::Guest => self.open.sent(|sent| sent.is_dead_guest(dead)),
        }
    }
}

/// Why a token opens no session, for the log.
fn why(dead: &Dead) -> &'static str {
    match dead {
        Dead::Ended(..) => "its session has ended",
        Dead::Expired(_) => "its session has expired",
        Dead::Reused(_) => "it is a previous token",
        Dead::Unknown => "unknown to the store: its session is long over, or in another store",
    }
}

/// The signed-in cookie or the bearer token, if the request sent one and no other.
#[inline]
fn main_token(
    config: &Config,
    open: &mut OpenSession,
    tokens: Tokens,
    way: Option<Way>,
) -> Option<Token> {
    match tokens {
        Tokens::None => {}
        Tokens::One(token) => return Some(token),
        Tokens::Malformed => {
            tracing::debug!(?way, "not a token");
            open.sent(|sent| sent.is_dead(Dead::Unknown));
        }
        Tokens::Several(all) => {
            if all.iter().any(|(_, way)| *way == Way::Bearer) {
                tracing::debug!("two different tokens in one request");
            } else {
                mistake::two_cookies(config.cookie.name());
            }
            are_unread(open, all, |way| match way {
                Way::Bearer => Place::Bearer,
                Way::Cookie => Place::SignedInCookie,
            });
        }
        Tokens::Beside(cookie) => {
            tracing::debug!("a cookie beside a bearer token of another kind: neither is used");
            open.sent(|sent| sent.has_unread(cookie, Place::SignedInCookie));
        }
    }
    None
}

/// The guest cookie, if the request sent one and no other.
#[inline]
fn guest_token(config: &Config, open: &mut OpenSession, tokens: Tokens) -> Option<Token> {
    match tokens {
        // A guest session is found by its cookie alone.
        Tokens::None | Tokens::Beside(_) => {}
        Tokens::One(token) => return Some(token),
        Tokens::Malformed => {
            tracing::debug!("the guest cookie is not a token");
            open.sent(|sent| sent.is_dead_guest(Dead::Unknown));
        }
        Tokens::Several(all) => {
            mistake::two_cookies(&format!("{}{GUEST}", config.cookie.name()));
            are_unread(open, all, |_way| Place::GuestCookies);
        }
    }
    None
}

/// None of several tokens opens the session of the request. A sign-out ends those of all.
fn are_unread(open: &mut OpenSession, all: Vec<(Token, Way)>, place: impl Fn(Way) -> Place) {
    for (token, way) in all {
        open.sent(|sent| sent.has_unread(token, place(way)));
    }
}
