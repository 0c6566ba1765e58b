//! The ticket of a sign-in that the limit refused.

use std::{error, fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer};

use crate::{
    model::{Realm, Token, UserId, from_text::from_text},
    store::Ticketed,
};

/// Returned when a sign-in is refused at the limit.
///
/// The client sends it back with the session to end, and is signed in without entering the password
/// again ([`Login::by_ticket`](crate::Login::by_ticket)). It works once, for five minutes from the first refusal, for this user
/// only. It opens no session and lists none. A user can have four tickets at a time: a fifth replaces the
/// oldest.
///
/// [`encode`](Self::encode) makes text of it for a form field or a JSON member. Never put it into a URL. Serde reads this
/// text, and writes none: call `encode`, so that a ticket is nowhere by accident.
/// [`Debug`](fmt::Debug) does not print it.
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

    /// The user that the ticket names.
    ///
    /// After `parse` this is what the client sent, and anyone can write it. Use it for nothing before
    /// [`commit`](crate::Session::commit) has succeeded.
    #[must_use]
    pub fn user_id(&self) -> &UserId {
        &self.user
    }

    /// The ticket as text, for the client only.
    #[must_use]
    pub fn encode(&self) -> String {
        let user = URL_SAFE_NO_PAD.encode(self.user.as_str());
        format!("{}.{user}", self.token.encode())
    }

    pub(super) fn token(&self) -> &Token {
        &self.token
    }

    pub(super) fn stored(token: &Token, realm: Realm) -> Ticketed {
        Ticketed {
            id: token.session_id(),
            digest: token.digest_in(realm),
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

impl<'de> Deserialize<'de> for Ticket {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer)
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket(..)")
    }
}

/// The text is not a ticket. The error does not contain the text.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ParseTicketError;

impl fmt::Display for ParseTicketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a ticket: send back the text of `Ticket::encode` as it is")
    }
}

impl error::Error for ParseTicketError {}
