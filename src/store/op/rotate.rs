//! The arguments and the outcome of [`rotate`](crate::store::SessionStore::rotate).

use std::time::Duration;

use super::Authenticated;
use crate::model::{Digest, Lifetime, Realm, Record, Salt, SessionId, Tag, Timestamp, Token};

/// The arguments of [`rotate`](crate::store::SessionStore::rotate): a new token for a live session.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Rotate {
    /// The session set.
    pub tag: Tag,
    /// The session.
    pub id: SessionId,
    /// Digest of the token that the request sent.
    pub previous: Digest,
    /// Digest of the new token.
    pub digest: Digest,
    /// Whether the new token is derived, or follows a re-authentication.
    pub renewal: Renewal,
    /// How long the previous token still works after a request has sent its successor.
    ///
    /// After a re-authentication the previous token does not work at all. `resolve` answers it with
    /// [`Resolved::Ended`](super::Resolved::Ended) for this long, and with
    /// [`Resolved::Reused`](super::Resolved::Reused) later.
    pub grace: Duration,
    /// Whether reuse of a previous token ends the session.
    pub reuse_ends: bool,
    /// A session that [began](Record::began_at) earlier is not live.
    pub not_before: Option<Timestamp>,
}

impl Rotate {
    /// The next token of the same session, with a grace period of 30 s; reuse ends the session. The layer sets the grace period
    /// of [`SessionLayer::rotation_grace`](crate::SessionLayer::rotation_grace) in place of it.
    #[must_use]
    pub fn new(previous: &Token, next: &Token, renewal: Renewal) -> Self {
        Self {
            tag: previous.tag(),
            id: previous.session_id(),
            previous: previous.digest(),
            digest: next.digest(),
            renewal,
            grace: Duration::from_secs(30),
            reuse_ends: true,
            not_before: None,
        }
    }

    /// The same in a realm.
    #[must_use]
    pub fn within(mut self, previous: &Token, next: &Token, realm: Realm) -> Self {
        self.previous = previous.digest_in(realm);
        self.digest = next.digest_in(realm);
        self
    }
}

/// Why a session gets a new token.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_enums, reason = "a store must know both")]
pub enum Renewal {
    /// It is derived from the previous token and this salt, see [`Token::successor`]. The previous token
    /// works until a request sends the new one.
    Derived(Salt),
    /// The user authenticated again. The secret is random, and previous tokens stop working at once.
    ///
    /// Two requests may do this with one token. Then the tokens of both work for the grace period.
    Proven {
        /// When the user authenticated.
        authenticated: Authenticated,
        /// How long the session lives from now on. A part that is longer than the stored one counts as that.
        lifetime: Lifetime,
    },
}

/// The outcome of [`rotate`](crate::store::SessionStore::rotate).
#[non_exhaustive]
#[derive(Clone, Debug)]
pub enum Rotated {
    /// The session is not live, or the token is not one of its tokens. Nothing changed.
    Ended,
    /// It is too early: a previous token still works, or a request has sent the successor of this one.
    /// The tokens stay. The one that the request sent counts as sent, as after `resolve`.
    Kept,
    /// The session has the new token.
    Rotated(Box<Record>),
    /// Another request rotated first. Derive the same new token with this salt.
    Took(Salt),
}
