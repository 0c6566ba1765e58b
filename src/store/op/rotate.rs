//! What a change of token asks of a store, and what comes of it.

use std::time::Duration;

use super::Authenticated;
use crate::model::{Digest, Lifetime, Record, Salt, SessionId, Tag, Token};

/// Asks for another token of a live session.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Rotate {
    /// The session set.
    pub tag: Tag,
    /// The session.
    pub id: SessionId,
    /// Digest of the token that the client showed.
    pub previous: Digest,
    /// Digest of the new one.
    pub digest: Digest,
    /// How the new one came about.
    pub renewal: Renewal,
    /// How long a previous token still opens the session once its successor was seen; after a
    /// re-authentication, how long it is taken for a late request rather than for reuse.
    pub grace: Duration,
    /// Whether reuse of a previous token ends the session.
    pub reuse_ends: bool,
}

impl Rotate {
    /// The next token of this one's session, with defaults for the rest: 30 s, and reuse ends it.
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
        }
    }
}

/// How a session's new token came about.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_enums, reason = "a store must know both")]
pub enum Renewal {
    /// Derived from the previous one and this salt, see [`Token::successor`]: the previous one goes on
    /// until its successor is seen.
    Derived(Salt),
    /// The user proved who they are: the secret is new, and previous tokens are void at once.
    Proven {
        /// When.
        authenticated: Authenticated,
        /// How long the session lives from now on.
        lifetime: Lifetime,
    },
}

/// What became of a token.
#[derive(Clone, Debug)]
#[expect(
    clippy::exhaustive_enums,
    reason = "every caller must answer all of them"
)]
pub enum Rotated {
    /// The session is not live, or the token that was shown is none of its tokens. Nothing changed.
    Ended,
    /// A previous token is still in its time, or this one's successor was seen. Nothing changed.
    Kept,
    /// The new token is the present one.
    Rotated(Box<Record>),
    /// Another request was first: the successor, not seen yet, is derived with this salt.
    Took(Salt),
}
