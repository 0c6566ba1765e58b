//! How a request sends its token.

use http::{
    HeaderName, HeaderValue,
    header::{AUTHORIZATION, COOKIE},
};

use super::{bearer, cookie::Found, raw::Raw};
use crate::model::Token;

/// How requests send their token: in the cookie, as `Authorization: Bearer`, or both.
///
/// Choose [`Cookie`](Self::Cookie) for browsers and [`Bearer`](Self::Bearer) for mobile apps and
/// command-line tools. With both, a new token goes back in the same way as the request sent its token.
///
/// A request without a token may come from either kind of client, and so may one whose bearer token is no session token. If such
/// a request signs in, or a guest keeps the first data, `CookieThenBearer` sets the cookie and `BearerThenCookie` sends
/// the header. If both kinds of clients sign in, give each its own sign-in route with its own
/// layer over the same store. Use both on the routes that they share.
///
/// A request with two different tokens has a guest session: neither is used, no cookie is removed. With
/// both, every bearer token counts as a session token. Your app cannot use another kind beside the
/// cookie. A cookie beside a bearer token does not count if it is empty, malformed, or opens no session
/// any more. The layer needs a second round trip to find out that it opens none. A bearer token that is malformed or opens
/// no session counts: beside a live cookie, the request has a guest session.
///
/// ```
/// use tower_user_sessions::{MemoryStore, SessionLayer, TokenSource};
///
/// let store = MemoryStore::new();
/// let browsers = SessionLayer::new(store.clone());
/// let apps = SessionLayer::new(store.clone()).token_source(TokenSource::Bearer);
/// let shared = SessionLayer::new(store).token_source(TokenSource::CookieThenBearer);
/// # let _ = (browsers, apps, shared);
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum TokenSource {
    /// `Authorization: Bearer` only. Cookies are neither read nor set nor removed.
    Bearer,
    /// Both. A sign-in or a guest without a token gets the header.
    BearerThenCookie,
    /// The cookie only.
    #[default]
    Cookie,
    /// Both. A sign-in or a guest without a token gets the cookie.
    CookieThenBearer,
}

impl TokenSource {
    /// How the response to a request without a token carries one.
    pub(crate) const fn first(self) -> Way {
        match self {
            Self::Bearer | Self::BearerThenCookie => Way::Bearer,
            Self::Cookie | Self::CookieThenBearer => Way::Cookie,
        }
    }

    /// Whether this header may hold a token.
    #[inline]
    pub(crate) fn reads(self, name: &HeaderName) -> bool {
        self.reads_cookies() && *name == COOKIE || self.reads_bearers() && *name == AUTHORIZATION
    }

    pub(crate) const fn reads_cookies(self) -> bool {
        !matches!(self, Self::Bearer)
    }

    pub(crate) const fn reads_bearers(self) -> bool {
        !matches!(self, Self::Cookie)
    }
}

/// Reads the headers that may hold a token, one after the other, because HTTP/2 splits cookies (RFC 9113 §8.2.3).
pub(crate) struct Reading<'a> {
    source: TokenSource,
    /// The name of the signed-in cookie.
    cookie: &'a str,
    cookies: Found<'a>,
    bearer: Raw<'a>,
}

impl<'a> Reading<'a> {
    pub(crate) fn new(source: TokenSource, cookie: &'a str) -> Self {
        Self {
            source,
            cookie,
            cookies: Found::default(),
            bearer: Raw::default(),
        }
    }

    /// Reads a header for which [`TokenSource::reads`] is true.
    #[inline]
    pub(crate) fn header(&mut self, name: &HeaderName, value: &'a HeaderValue) {
        if *name == COOKIE {
            self.cookies.read(value.as_bytes(), self.cookie);
        } else if let Some(token) = bearer::token_of(value.as_bytes()) {
            self.bearer.add(token);
        }
    }

    /// What the request sends.
    #[inline]
    pub(crate) fn sent(self) -> Sent {
        let Self {
            source,
            cookies: Found { signed_in, guest },
            bearer,
            ..
        } = self;
        match source {
            TokenSource::Bearer => Sent::alone(bearer, Way::Bearer, guest),
            TokenSource::Cookie => Sent::alone(signed_in, Way::Cookie, guest),
            TokenSource::BearerThenCookie | TokenSource::CookieThenBearer => {
                Sent::both(signed_in, bearer, source.first(), guest)
            }
        }
    }
}

/// How a token travels.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Way {
    Bearer,
    Cookie,
}

/// What a request sends in one place.
#[derive(Debug, Default)]
pub(crate) enum Tokens {
    #[default]
    None,
    /// Something that is not a token.
    Malformed,
    /// A well-formed token.
    One(Token),
    /// Several that differ: an attacker may have planted one, so none is used. These are the well-formed
    /// ones.
    Several(Vec<(Token, Way)>),
    /// The only cookie, beside a bearer token of another kind, which could be meant instead: it is not used.
    Beside(Token),
}

/// What a request sends.
#[derive(Debug)]
pub(crate) struct Sent {
    /// In the signed-in cookie or as a bearer token.
    pub(crate) tokens: Tokens,
    /// How it sends the one that counts.
    pub(crate) way: Option<Way>,
    /// A cookie that differs from the bearer token. It counts if it opens a session.
    pub(crate) beside: Option<Box<Token>>,
    /// In the guest cookie.
    pub(crate) guest: Tokens,
}

impl Tokens {
    /// Whether it says how the client keeps tokens. Anybody can send a header, so a malformed bearer says nothing: with
    /// both sources it would hide the sign-in of a browser from the device cookie.
    fn counts(&self, way: Way) -> bool {
        match self {
            Self::One(_) => true,
            Self::Malformed => matches!(way, Way::Cookie),
            Self::None | Self::Several(_) | Self::Beside(_) => false,
        }
    }

    #[inline]
    fn read(raw: Raw<'_>, way: Way) -> Self {
        match raw {
            Raw::Nothing => Self::None,
            Raw::One(text) => Token::parse(text).map_or(Self::Malformed, Self::One),
            Raw::Differing(all) => Self::Several(well_formed(&all, way).collect()),
        }
    }
}

impl Sent {
    /// Whether it sends nothing that could be a token.
    #[inline]
    pub(crate) fn is_nothing(&self) -> bool {
        matches!((&self.tokens, &self.guest), (Tokens::None, Tokens::None))
    }

    /// What is sent in one place, beside the guest cookie.
    #[inline]
    fn alone(raw: Raw<'_>, way: Way, guest: Raw<'_>) -> Self {
        let (tokens, guest) = (Tokens::read(raw, way), Tokens::read(guest, Way::Cookie));
        let way = tokens.counts(way).then_some(way);
        Self {
            way: way.or_else(|| guest.counts(Way::Cookie).then_some(Way::Cookie)),
            tokens,
            beside: None,
            guest,
        }
    }

    fn both(cookie: Raw<'_>, bearer: Raw<'_>, first: Way, guest: Raw<'_>) -> Self {
        let mut cookies: Vec<_> = match (&cookie, &bearer) {
            (_, Raw::Nothing) => return Self::alone(cookie, Way::Cookie, guest),
            (Raw::Nothing, _) => return Self::alone(bearer, Way::Bearer, guest),
            (Raw::One(one), Raw::One(other)) if one == other => {
                return Self::alone(cookie, first, guest);
            }
            (Raw::One(cookie), _) => well_formed(&[cookie], Way::Cookie).collect(),
            (Raw::Differing(all), _) => well_formed(all, Way::Cookie).collect(),
        };
        if cookies.is_empty() {
            // An empty or malformed cookie is no second token.
            return Self::alone(bearer, Way::Bearer, guest);
        }
        let only = match &cookie {
            Raw::One(_) => cookies.pop().map(|(cookie, _)| cookie),
            _ => None,
        };
        match (Tokens::read(bearer, Way::Bearer), only) {
            (Tokens::One(bearer), Some(cookie)) => Self {
                beside: Some(Box::new(cookie)),
                tokens: Tokens::One(bearer),
                way: Some(Way::Bearer),
                guest: Tokens::read(guest, Way::Cookie),
            },
            (Tokens::None | Tokens::Malformed, Some(cookie)) => {
                Self::unused(Tokens::Beside(cookie), guest)
            }
            (bearers, only) => {
                cookies.extend(only.map(|cookie| (cookie, Way::Cookie)));
                match bearers {
                    Tokens::One(bearer) => cookies.push((bearer, Way::Bearer)),
                    Tokens::Several(bearers) => cookies.extend(bearers),
                    Tokens::None | Tokens::Malformed | Tokens::Beside(_) => {}
                }
                Self::unused(Tokens::Several(cookies), guest)
            }
        }
    }

    /// Tokens of which none is used.
    fn unused(tokens: Tokens, guest: Raw<'_>) -> Self {
        Self {
            tokens,
            ..Self::alone(Raw::Nothing, Way::Cookie, guest)
        }
    }
}

fn well_formed(all: &[&[u8]], way: Way) -> impl Iterator<Item = (Token, Way)> {
    all.iter()
        .filter_map(move |text| Some((Token::parse(text).ok()?, way)))
}
