//! The name of a device that signs in again and again.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

use super::random::{self, RandomError};

/// Keeps what is derived here apart from any other use of the same bytes.
const DOMAIN: &[u8] = b"tower-user-sessions/device/v1\0";

/// An opaque name of a device: random, kept by the device alone. It opens nothing.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) struct DeviceId([u8; 16]);

impl DeviceId {
    pub(crate) fn random() -> Result<Self, RandomError> {
        random::bytes().map(Self)
    }

    /// Reads its 22 characters of base64url, in their one canonical spelling.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; 16];
        if text.len() != 22 {
            return None;
        }
        match URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
            Ok(16) => Some(Self(bytes)),
            _ => None,
        }
    }

    pub(crate) fn encode(self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// What a store keeps of it.
    pub(crate) fn digest(self) -> [u8; 12] {
        let mut hash = Sha256::new();
        hash.update(DOMAIN);
        hash.update(self.0);
        let hash: [u8; 32] = hash.finalize().into();
        hash.first_chunk().copied().unwrap_or_default()
    }
}

impl std::fmt::Debug for DeviceId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DeviceId(..)")
    }
}
