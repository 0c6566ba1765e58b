//! Which layers a session is for.

use std::fmt;

use sha2::{Digest as _, Sha256};

const DOMAIN: &[u8] = b"tower-user-sessions/realm/v1\0";

/// Which layers a session is for: those whose
/// [`SessionLayer::realm`](crate::SessionLayer::realm) has this name.
///
/// The digest of a token depends on it, see [`Token::digest_in`](super::Token::digest_in). So a token of
/// another realm is unknown.
#[derive(Clone, Copy, Default, Eq, Hash, PartialEq)]
pub struct Realm([u8; 7]);

impl Realm {
    /// The realm of layers that name none.
    pub const NONE: Self = Self([0; 7]);

    /// The realm with this name. Without a text it is [`NONE`](Self::NONE).
    #[must_use]
    pub fn named(name: &str) -> Self {
        if name.is_empty() {
            return Self::NONE;
        }
        let mut hash = Sha256::new();
        hash.update(DOMAIN);
        hash.update(name);
        let hash: [u8; 32] = hash.finalize().into();
        let mut bytes = [0; 7];
        bytes.copy_from_slice(hash.split_at(7).0);
        // Only the realm without a name has zeros in its mark.
        if let Some(first) = bytes.first_mut() {
            *first |= 1;
        }
        Self(bytes)
    }

    /// What is hashed with a token. With it the token is still one block of SHA-256.
    pub(super) const fn as_bytes(&self) -> &[u8; 7] {
        &self.0
    }

    /// The mark in records: zeros for no realm.
    pub(crate) const fn mark(self) -> [u8; 3] {
        let [one, two, three, ..] = self.0;
        [one, two, three]
    }
}

impl fmt::Debug for Realm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [one, two, three] = self.mark();
        write!(f, "Realm({one:02x}{two:02x}{three:02x})")
    }
}
