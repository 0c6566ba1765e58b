//! How a request sends its token.

use http::{
    HeaderMap, HeaderName,
    header::{AUTHORIZATION, COOKIE},
};

use super::{
    bearer,
    cookie::{self, Found},
    raw::Raw,
};
use crate::model::Token;

/// How requests send their token: in the cookie, as `Authorization: Bearer`, or both.
///
/// Choose [`Cookie`](Self::Cookie) for browsers and [`Bearer`](Self::Bearer) for mobile apps and
/// command-line tools. With both, a new token goes back in the same way as the request sent its token.
///
/// A request without a token could be of either kind. A sign-in on it is answered in the first way:
/// `CookieThenBearer` sets the cookie, `BearerThenCookie` sends the header. If both kinds of clients
/// sign in, give each its own sign-in route with its own layer over the same store. Use both on the
/// routes that they share.
///
/// A request with two different tokens has a guest session: neither is used, no cookie is removed. With
/// both, every bearer token counts as a session token. Your app cannot use another kind beside the
/// cookie. A cookie beside a bearer token does not count if it is empty, malformed, or opens no session
/// any more. To find out the last takes a second round trip.
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
    /// Both. A sign-in without a token is answered with the header.
    BearerThenCookie,
    /// The cookie only.
    #[default]
    Cookie,
    /// Both. A sign-in without a token is answered with the cookie.
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
    pub(crate) fn reads(self, name: &HeaderName) -> bool {
        self.reads_cookies() && *name == COOKIE || self.reads_bearers() && *name == AUTHORIZATION
    }

    pub(crate) const fn reads_cookies(self) -> bool {
        !matches!(self, Self::Bearer)
    }

    pub(crate) const fn reads_bearers(self) -> bool {
        !matches!(self, Self::Cookie)
    }

    /// What a request with these headers sends. `cookie` is the name of the signed-in cookie.
    pub(crate) fn read(self, headers: &HeaderMap, cookie: &str) -> Sent {
        match self {
            Self::Bearer => Sent::alone(bearer::find(headers), Way::Bearer),
            Self::Cookie => {
                let Found { signed_in, guest } = cookie::find(headers, cookie);
                Sent::alone(signed_in, Way::Cookie).with_guest(guest)
            }
            Self::BearerThenCookie | Self::CookieThenBearer => {
                let Found { signed_in, guest } = cookie::find(headers, cookie);
                Sent::both(signed_in, bearer::find(headers), self.first()).with_guest(guest)
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
}

/// What a request sends.
#[derive(Debug, Default)]
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
    pub(crate) fn is_nothing(&self) -> bool {
        matches!((&self.tokens, &self.guest), (Tokens::None, Tokens::None))
    }

    fn alone(raw: Raw<'_>, way: Way) -> Self {
        let tokens = Tokens::read(raw, way);
        Self {
            way: matches!(tokens, Tokens::One(_) | Tokens::Malformed).then_some(way),
            tokens,
            ..Self::default()
        }
    }

    fn both(cookie: Raw<'_>, bearer: Raw<'_>, first: Way) -> Self {
        let mut cookies: Vec<_> = match (&cookie, &bearer) {
            (_, Raw::Nothing) => return Self::alone(cookie, Way::Cookie),
            (Raw::Nothing, _) => return Self::alone(bearer, Way::Bearer),
            (Raw::One(one), Raw::One(other)) if one == other => return Self::alone(cookie, first),
            (Raw::One(cookie), _) => well_formed(&[cookie], Way::Cookie).collect(),
            (Raw::Differing(all), _) => well_formed(all, Way::Cookie).collect(),
        };
        if cookies.is_empty() {
            // An empty or malformed cookie is no second token.
            return Self::alone(bearer, Way::Bearer);
        }
        let alone = matches!(&cookie, Raw::One(_));
        match Tokens::read(bearer, Way::Bearer) {
            Tokens::One(bearer) if alone => Self {
                beside: cookies.pop().map(|(cookie, _)| Box::new(cookie)),
                tokens: Tokens::One(bearer),
                way: Some(Way::Bearer),
                guest: Tokens::None,
            },
            Tokens::One(bearer) => Self::several(cookies, vec![(bearer, Way::Bearer)]),
            Tokens::Several(bearers) => Self::several(cookies, bearers),
            Tokens::None | Tokens::Malformed => Self::several(cookies, Vec::new()),
        }
    }

    fn several(mut cookies: Vec<(Token, Way)>, bearers: Vec<(Token, Way)>) -> Self {
        cookies.extend(bearers);
        Self {
            tokens: Tokens::Several(cookies),
            ..Self::default()
        }
    }

    fn with_guest(mut self, guest: Raw<'_>) -> Self {
        self.guest = Tokens::read(guest, Way::Cookie);
        if self.way.is_none() && matches!(self.guest, Tokens::One(_) | Tokens::Malformed) {
            self.way = Some(Way::Cookie);
        }
        self
    }
}

fn well_formed(all: &[&[u8]], way: Way) -> impl Iterator<Item = (Token, Way)> {
    all.iter()
        .filter_map(move |text| Some((Token::parse(text).ok()?, way)))
}
