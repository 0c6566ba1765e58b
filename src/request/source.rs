//! How a request sends its token.

use http::{
    HeaderMap, HeaderName,
    header::{AUTHORIZATION, COOKIE},
};

use super::{bearer, cookie, raw::Raw};
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
/// cookie.
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
        match self {
            Self::Bearer => *name == AUTHORIZATION,
            Self::Cookie => *name == COOKIE,
            Self::BearerThenCookie | Self::CookieThenBearer => {
                *name == AUTHORIZATION || *name == COOKIE
            }
        }
    }

    /// What a request with these headers sends. `cookie` is the cookie's name.
    pub(crate) fn read(self, headers: &HeaderMap, cookie: &str) -> Sent {
        match self {
            Self::Bearer => Sent::one(bearer::find(headers), Way::Bearer),
            Self::Cookie => Sent::one(cookie::find(headers, cookie), Way::Cookie),
            Self::BearerThenCookie | Self::CookieThenBearer => Sent::both(
                cookie::find(headers, cookie),
                bearer::find(headers),
                self.first(),
            ),
        }
    }
}

/// How a token travels.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Way {
    Bearer,
    Cookie,
}

/// What a request sends.
#[derive(Debug)]
pub(crate) enum Sent {
    /// No token.
    Nothing,
    /// Something that is not a token in its place.
    Malformed(Way),
    /// Two cookies that differ: an attacker may have planted one, so neither is used.
    TwoCookies,
    /// Two tokens that differ, at least one of them a bearer token.
    TwoTokens,
    /// A well-formed token.
    Token(Token, Way),
}

impl Sent {
    /// How it sends a token, if it is the one that counts.
    pub(crate) fn way(&self) -> Option<Way> {
        match self {
            Self::Malformed(way) | Self::Token(_, way) => Some(*way),
            Self::Nothing | Self::TwoCookies | Self::TwoTokens => None,
        }
    }

    fn one(raw: Raw<'_>, way: Way) -> Self {
        match (raw, way) {
            (Raw::Nothing, _) => Self::Nothing,
            (Raw::One(text), way) => match Token::parse(text) {
                Ok(token) => Self::Token(token, way),
                Err(_) => Self::Malformed(way),
            },
            (Raw::Differing, Way::Bearer) => Self::TwoTokens,
            (Raw::Differing, Way::Cookie) => Self::TwoCookies,
        }
    }

    fn both(cookie: Raw<'_>, bearer: Raw<'_>, first: Way) -> Self {
        match (cookie, bearer) {
            (cookie, Raw::Nothing) => Self::one(cookie, Way::Cookie),
            (Raw::Nothing, bearer) => Self::one(bearer, Way::Bearer),
            (Raw::One(cookie), Raw::One(bearer)) if cookie == bearer => {
                Self::one(Raw::One(cookie), first)
            }
            _ => Self::TwoTokens,
        }
    }
}
