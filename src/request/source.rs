//! Where a request sends its token.

use http::{
    HeaderMap, HeaderName,
    header::{AUTHORIZATION, COOKIE},
};

use super::{bearer, cookie, raw::Raw};
use crate::model::Token;

/// Where requests show their token, and so how an answer carries a new one.
///
/// A layer that takes both tells browsers and other clients apart by what they show: the answer goes
/// the way the request came. A request that sends no token says nothing of its kind, and is answered
/// by the first of the two; so is one that sends the same token twice. Where both kinds of clients
/// sign in, give each a route with a layer of its own over the same store, and take both where they
/// meet.
///
/// A request that sends two different tokens is a guest's: neither is used, and no cookie is removed.
/// Whatever stands after `Bearer` counts as one, so a layer that takes both leaves no room for bearer
/// tokens of another kind beside the cookie.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum TokenSource {
    /// `Authorization: Bearer` only. No cookie is read, set or removed.
    Bearer,
    /// Both; `Authorization: Bearer` first.
    BearerThenCookie,
    /// The cookie only.
    #[default]
    Cookie,
    /// Both; the cookie first.
    CookieThenBearer,
}

impl TokenSource {
    /// How the answer to a request without a token carries one.
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

    /// What a request with these headers sends. `cookie` is the name of ours.
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
    /// Two cookies that differ: somebody may have planted one, so neither is used.
    TwoCookies,
    /// Two tokens that differ, one of them at least as a bearer.
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
