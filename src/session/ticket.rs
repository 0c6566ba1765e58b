//! What a sign-in that the limit refused may come back with.

use std::{error, fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{
    model::{Token, UserId},
    store::Ticketed,
};

/// What a sign-in that the limit refused may come back with: it proves that the user did, so that they
/// end a session of their choice and are in without proving it again.
///
/// It works once, within five minutes, for its user, and is worth nothing else: it opens no session
/// and lists none. `encode` writes it down for the client, in a form field or a JSON member, never in
/// a URL; [`Debug`](fmt::Debug) does not. A newer refusal leaves it good, up to four at a time.
///
/// ```
/// use tower_user_sessions::Ticket;
///
/// assert!("anything else".parse::<Ticket>().is_err());
/// ```
#[derive(Clone)]
pub struct Ticket {
    token: Token,
    user: UserId,
}

impl Ticket {
    pub(super) fn new(token: Token, user: UserId) -> Self {
        Self { token, user }
    }

    /// Who signs in with it.
    #[must_use]
    pub fn user_id(&self) -> &UserId {
        &self.user
    }

    /// The ticket as text, for the client alone.
    #[must_use]
    pub fn encode(&self) -> String {
        let user = URL_SAFE_NO_PAD.encode(self.user.as_str());
        format!("{}.{user}", self.token.encode())
    }

    pub(super) fn token(&self) -> &Token {
        &self.token
    }

    pub(super) fn stored(token: &Token) -> Ticketed {
        Ticketed {
            id: token.session_id(),
            digest: token.digest(),
        }
    }
}

impl FromStr for Ticket {
    type Err = ParseTicketError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (token, user) = text.split_once('.').ok_or(ParseTicketError)?;
        let token = token.parse().map_err(|_token| ParseTicketError)?;
        let user = URL_SAFE_NO_PAD
            .decode(user)
            .ok()
            .and_then(|user| String::from_utf8(user).ok())
            .and_then(|user| UserId::new(user).ok())
            .ok_or(ParseTicketError)?;
        Ok(Self { token, user })
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket(..)")
    }
}

/// The text is not a ticket. It does not say which text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ParseTicketError;

impl fmt::Display for ParseTicketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a ticket")
    }
}

impl error::Error for ParseTicketError {}
