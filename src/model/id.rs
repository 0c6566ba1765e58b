//! The id of a session, which is public.

use std::{error, fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    from_text::from_text,
    random::{self, RandomError},
};

/// The id of a session: it names the session in lists, logs and events, and signs nobody in.
///
/// It does not change when the session gets a new token. As text it has 16 characters of base64url (12
/// random bytes). Serde writes and reads this text, so it can be a part of a path, a form or a JSON document.
///
/// ```
/// use tower_user_sessions::SessionId;
///
/// let id: SessionId = "AAECAwQFBgcICQoL".parse()?;
/// assert_eq!(id.to_string(), "AAECAwQFBgcICQoL");
/// assert!("too short".parse::<SessionId>().is_err());
/// # Ok::<_, tower_user_sessions::ParseSessionIdError>(())
/// ```
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SessionId([u8; 12]);

impl SessionId {
    /// The id with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 12]) -> Self {
        Self(bytes)
    }

    /// A new id from the operating system's generator.
    ///
    /// # Errors
    ///
    /// If the operating system's random generator fails.
    pub fn random() -> Result<Self, RandomError> {
        random::bytes().map(Self)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 12] {
        &self.0
    }

    /// Its 16 characters.
    pub(crate) fn encode(self) -> [u8; 16] {
        encode_12(self.0)
    }
}

/// 12 bytes as 16 characters of base64url.
pub(super) fn encode_12(bytes: [u8; 12]) -> [u8; 16] {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = [0; 16];
    let (threes, _) = bytes.as_chunks::<3>();
    let (fours, _) = text.as_chunks_mut::<4>();
    // Each request writes two: an engine for text of any length takes three times as long.
    for ([a, b, c], four) in threes.iter().zip(fours) {
        let sixes = [a >> 2, (a << 4) | (b >> 4), (b << 2) | (c >> 6), *c];
        *four = sixes.map(|six| {
            ALPHABET
                .get(usize::from(six & 63))
                .copied()
                .unwrap_or_default()
        });
    }
    text
}

/// Writes [`encode_12`]; base64url is ASCII.
pub(super) fn fmt_12(bytes: [u8; 12], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str(str::from_utf8(&encode_12(bytes)).unwrap_or_default())
}

/// Reads [`encode_12`]; only the canonical spelling is accepted.
pub(crate) fn decode_12(text: &[u8]) -> Option<[u8; 12]> {
    let mut bytes = [0; 12];
    if text.len() != 16 {
        return None;
    }
    match URL_SAFE_NO_PAD.decode_slice_unchecked(text, &mut bytes) {
        Ok(12) => Some(bytes),
        _ => None,
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt_12(self.0, f)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({self})")
    }
}

impl FromStr for SessionId {
    type Err = ParseSessionIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        decode_12(text.as_bytes())
            .map(Self)
            .ok_or(ParseSessionIdError)
    }
}

impl Serialize for SessionId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SessionId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer)
    }
}

/// The text is not a session id, which has 16 characters of base64url.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ParseSessionIdError;

impl fmt::Display for ParseSessionIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a session id, which has 16 characters of base64url")
    }
}

impl error::Error for ParseSessionIdError {}
