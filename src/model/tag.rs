//! The name of one user's session set in the store.

use std::{
    error, fmt,
    hash::{Hash, Hasher},
};

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest as _, Sha256};

use super::{
    id,
    random::{self, RandomError},
    user::UserId,
};

const DOMAIN: &[u8] = b"tower-user-sessions/user/v1\0";

/// Names one user's session set in the store. It is part of the token, so that a token finds its set.
///
/// For a user it is derived from the user id, for a guest session it is random. `Display` writes 16
/// characters of base64url.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Tag([u8; 12]);

impl Tag {
    /// The tag with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 12]) -> Self {
        Self(bytes)
    }

    /// The tag of a user: the first 12 bytes of a SHA-256 hash of the user id.
    #[must_use]
    pub fn of(user: &UserId) -> Self {
        let mut hash = Sha256::new();
        hash.update(DOMAIN);
        hash.update(user.as_str());
        Self::first_12(hash.finalize().into())
    }

    /// The tag of a user under a secret key: the first 12 bytes of an HMAC of the user id.
    ///
    /// With a key, user ids cannot be guessed from cookies and from keys of the store.
    #[must_use]
    pub fn keyed(key: &TagKey, user: &UserId) -> Self {
        let mut mac = key.0.clone();
        mac.update(DOMAIN);
        mac.update(user.as_str().as_bytes());
        Self::first_12(mac.finalize().into_bytes().into())
    }

    /// The tag of a user under this key, if there is one.
    pub(crate) fn with(key: Option<&TagKey>, user: &UserId) -> Self {
        key.map_or_else(|| Self::of(user), |key| Self::keyed(key, user))
    }

    /// The tag of a new guest session.
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

    pub(crate) fn encode(self) -> [u8; 16] {
        id::encode_12(self.0)
    }

    fn first_12(hash: [u8; 32]) -> Self {
        let mut tag = [0; 12];
        tag.copy_from_slice(hash.split_at(12).0);
        Self(tag)
    }
}

/// The secret key that a store derives tags with, so that user ids cannot be guessed from cookies and keys.
///
/// At least 16 random bytes, the same on every server. Keep it with your other secrets. Anyone who has it can compare user
/// ids with cookies and keys of the store. It signs nobody in.
///
/// Setting a key, or another key, signs all users out. Guest sessions go on. What the store keeps about users is not found any more:
/// who is [disabled](crate::UserSessions::disable_for), remembered devices, reasons of ends, open tickets. So users who were
/// disabled can sign in again.
///
/// A node without the key accepts sessions that were made with it, but its lists, limits and ends do not reach them. So
/// [stop all nodes](crate::guide::new_versions#a-setting-that-changes) before you set a key. If you remove the key, call
/// [`Everyone::end_all`](crate::Everyone::end_all) at once: until then such sessions go on, and no list has them.
///
/// ```
/// use tower_user_sessions::{MemoryStore, store::TagKey};
///
/// let secret = "q8Yw3Fz0mJ7vTn1KxRb6"; // from your configuration
/// let store = MemoryStore::builder().tag_key(TagKey::new(secret)?).build();
/// # let _ = store;
/// # Ok::<_, tower_user_sessions::store::TagKeyError>(())
/// ```
#[derive(Clone)]
pub struct TagKey(Hmac<Sha256>);

impl TagKey {
    /// The key with these bytes.
    ///
    /// # Errors
    ///
    /// If there are fewer than 16: such a key could be found by trying all.
    pub fn new(key: impl Into<Vec<u8>>) -> Result<Self, TagKeyError> {
        let key = key.into();
        if key.len() < 16 {
            return Err(TagKeyError);
        }
        // HMAC takes keys of any length.
        let mac = Hmac::new_from_slice(&key).map_err(|_never| TagKeyError)?;
        Ok(Self(mac))
    }
}

/// Does not print the key.
impl fmt::Debug for TagKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TagKey(..)")
    }
}

/// The key of tags has fewer than 16 bytes.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TagKeyError;

impl fmt::Display for TagKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the key of tags has fewer than 16 bytes: set a longer random one")
    }
}

impl error::Error for TagKeyError {}

/// Without the length that an array adds: all tags have the same.
impl Hash for Tag {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.0);
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        id::fmt_12(self.0, f)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tag({self})")
    }
}
