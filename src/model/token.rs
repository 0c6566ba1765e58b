//! The secret that a client sends, and the digest of it that a store keeps.

use std::{error, fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroize;

use super::{
    id::SessionId,
    random::{self, RandomError},
    realm::Realm,
    rotation::Salt,
    spelled,
    tag::Tag,
};

/// Separates this derivation from any other use of the same bytes.
const SUCCESSOR: &[u8] = b"tower-user-sessions/successor/v1\0";

/// The secret that a client sends with each request, in the cookie or as a bearer token.
///
/// Anyone who has it is signed in as the user. So [`Debug`](fmt::Debug) does not print it; only
/// [`encode`](Self::encode) does. The secret part is zeroed on drop. The text that `encode` made is not, nor are
/// copies that the compiler leaves on the stack.
///
/// ```
/// use tower_user_sessions::store::{Tag, Token};
///
/// let token = Token::random(Tag::random()?)?;
/// assert_eq!(format!("{token:?}"), "Token(..)");
/// assert_eq!(token.encode().parse::<Token>()?.digest(), token.digest());
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
// Aligned, so that a copy reads whole words: unaligned reads wait for the writes before them.
#[derive(Clone)]
#[repr(align(8))]
pub struct Token([u8; 48]);

impl Token {
    /// How many characters a token has as text.
    pub const TEXT_LEN: usize = 64;

    /// A token of a new session in this session set: its session id and its secret are random.
    ///
    /// # Errors
    ///
    /// If the operating system's random generator fails.
    pub fn random(tag: Tag) -> Result<Self, RandomError> {
        let mut bytes = [0; 48];
        let (head, rest) = bytes.split_at_mut(12);
        head.copy_from_slice(tag.as_bytes());
        random::fill(rest)?;
        Ok(Self(bytes))
    }

    /// The token that replaces this one in a rotation, for the same session.
    ///
    /// Its secret is an HMAC-SHA256 of the salt, with this token as key. So only a request that sent
    /// this token can derive it.
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

    /// A token of the same session with a new random secret.
    ///
    /// # Errors
    ///
    /// If the operating system's random generator fails.
    pub fn renewed(&self) -> Result<Self, RandomError> {
        let mut token = Self(self.0);
        random::fill(token.0.split_at_mut(24).1)?;
        Ok(token)
    }

    /// Reads the 64 characters of a token.
    ///
    /// # Errors
    ///
    /// If the text is not the canonical spelling of 48 bytes.
    #[inline]
    pub fn parse(text: &[u8]) -> Result<Self, ParseTokenError> {
        let bytes = text.try_into().ok().and_then(spelled::decode);
        bytes.map(Self).ok_or(ParseTokenError)
    }

    /// The token as text, for the client only: 64 characters of base64url.
    ///
    /// They spell 48 bytes: the tag (12), the session id (12) and the secret (24).
    #[must_use]
    pub fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// The session set that it belongs to.
    #[must_use]
    #[inline]
    pub fn tag(&self) -> Tag {
        Tag::from_bytes(self.twelves().0)
    }

    /// The id of its session.
    #[must_use]
    #[inline]
    pub fn session_id(&self) -> SessionId {
        SessionId::from_bytes(self.twelves().1)
    }

    /// The digest that a store keeps instead of the token.
    #[must_use]
    #[inline]
    pub fn digest(&self) -> Digest {
        Digest(Sha256::digest(self.0).into())
    }

    /// The digest of this token in a realm. Without a realm it is [`digest`](Self::digest).
    #[must_use]
    #[inline]
    pub fn digest_in(&self, realm: Realm) -> Digest {
        if realm == Realm::NONE {
            return self.digest();
        }
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update(realm.as_bytes());
        Digest(hash.finalize().into())
    }

    /// The tag and the session id.
    #[inline]
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
        // The tag and the session id are no secrets.
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

/// The SHA-256 hash of a token. A store keeps it instead of the token, and compares it in constant time.
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
        // Few wide words, because `subtle` puts a barrier around each.
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

/// The text is not a token, which has 64 characters of base64url. The error does not contain the text.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ParseTokenError;

impl fmt::Display for ParseTokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a session token, which has 64 characters of base64url")
    }
}

impl error::Error for ParseTokenError {}

#[cfg(test)]
mod tests {
    use super::*;

    // T4
    #[test]
    fn digests_that_differ_in_one_bit_are_not_equal() {
        let digest = Digest::from_bytes([7; 32]);
        assert_eq!(digest, Digest::from_bytes([7; 32]));
        for at in 0..32 {
            let mut bytes = [7; 32];
            bytes[at] ^= 1;
            assert_ne!(digest, Digest::from_bytes(bytes), "{at}");
        }
    }
}
