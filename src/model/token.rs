//! The secret that a client shows, and the digest that a store keeps of it.

use std::{error, fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroize;

use super::{
    id::SessionId,
    random::{self, RandomError},
    rotation::Salt,
    tag::Tag,
};

/// Keeps what is derived here apart from any other use of the same bytes.
const SUCCESSOR: &[u8] = b"tower-user-sessions/successor/v1\0";

/// The secret a client shows to claim its session.
///
/// 48 bytes (tag 12, session id 12, secret 24), written as 64 characters of base64url. Whoever knows
/// it *is* the user, so [`Debug`](fmt::Debug) keeps it out of logs; only [`encode`](Self::encode)
/// writes it down. Its secret is zeroed on drop.
///
/// ```
/// use tower_user_sessions::store::{Tag, Token};
///
/// let token = Token::random(Tag::random()?)?;
/// assert_eq!(format!("{token:?}"), "Token(..)");
/// assert_eq!(token.encode().parse::<Token>()?.digest(), token.digest());
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
// Aligned, so that copies of what holds one read whole words of it: unaligned ones wait for the writes.
#[derive(Clone)]
#[repr(align(8))]
pub struct Token([u8; 48]);

impl Token {
    /// How long a token is as text.
    pub const TEXT_LEN: usize = 64;

    /// A new token in this session set, with a new session id and secret from the operating system's
    /// generator.
    ///
    /// # Errors
    ///
    /// If the operating system has no randomness to give.
    pub fn random(tag: Tag) -> Result<Self, RandomError> {
        let mut bytes = [0; 48];
        let (head, rest) = bytes.split_at_mut(12);
        head.copy_from_slice(tag.as_bytes());
        random::fill(rest)?;
        Ok(Self(bytes))
    }

    /// The token that takes this one's place in a rotation: of the same session, with a secret that
    /// only whoever holds this token can derive (HMAC-SHA256 over the salt, with this token as key).
    #[must_use]
    pub fn successor(&self, salt: &Salt) -> Self {
        let mut bytes = self.0;
        // HMAC takes keys of any length.
        if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) {
            mac.update(SUCCESSOR);
            mac.update(salt.as_bytes());
            let secret: [u8; 32] = mac.finalize().into_bytes().into();
            let (_, own) = bytes.split_at_mut(24);
            own.copy_from_slice(secret.split_at(24).0);
        }
        Self(bytes)
    }

    /// A new token of the same session, with a new secret from the operating system's generator.
    ///
    /// # Errors
    ///
    /// If the operating system has no randomness to give.
    pub fn renewed(&self) -> Result<Self, RandomError> {
        let mut token = Self(self.0);
        random::fill(token.0.split_at_mut(24).1)?;
        Ok(token)
    }

    /// Reads the 64 characters of a token.
    ///
    /// # Errors
    ///
    /// If it is anything but the one canonical spelling of 48 bytes.
    pub fn parse(text: &[u8]) -> Result<Self, ParseTokenError> {
        if text.len() != Self::TEXT_LEN {
            return Err(ParseTokenError);
        }
        let mut bytes = [0; 48];
        match URL_SAFE_NO_PAD.decode_slice_unchecked(text, &mut bytes) {
            Ok(48) => Ok(Self(bytes)),
            _ => Err(ParseTokenError),
        }
    }

    /// The 64 characters of this token: the secret itself, for the client alone.
    #[must_use]
    pub fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// The session set of the store that it points to.
    #[must_use]
    pub fn tag(&self) -> Tag {
        Tag::from_bytes(self.twelves().0)
    }

    /// The public name of its session.
    #[must_use]
    pub fn session_id(&self) -> SessionId {
        SessionId::from_bytes(self.twelves().1)
    }

    /// What a store keeps instead of it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest(Sha256::digest(self.0).into())
    }

    /// The tag and the session id.
    fn twelves(&self) -> ([u8; 12], [u8; 12]) {
        let (parts, _) = self.0.as_chunks::<12>();
        match parts {
            [tag, id, ..] => (*tag, *id),
            _ => ([0; 12], [0; 12]),
        }
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        // The rest is no secret: other places keep it too.
        let (_, secret) = self.0.split_at_mut(24);
        secret.zeroize();
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl FromStr for Token {
    type Err = ParseTokenError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text.as_bytes())
    }
}

/// SHA-256 of a whole token: what a store keeps and compares, in constant time.
#[derive(Clone, Copy)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        // Wide words: `subtle` puts a barrier around every one.
        let (ours, _) = self.0.as_chunks::<16>();
        let (theirs, _) = other.0.as_chunks::<16>();
        let same = ours
            .iter()
            .zip(theirs)
            .map(|(ours, theirs)| u128::from_ne_bytes(*ours).ct_eq(&u128::from_ne_bytes(*theirs)));
        same.fold(Choice::from(1), |all, same| all & same).into()
    }
}

impl Eq for Digest {}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(..)")
    }
}

/// The text is not a token: 64 characters of base64url. It does not say which text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ParseTokenError;

impl fmt::Display for ParseTokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a session token")
    }
}

impl error::Error for ParseTokenError {}
