//! The id of a device, so that the next sign-in on it is not reported as a new device.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

use super::random::{self, RandomError};

/// Separates this hash from any other hash of the same bytes.
const DOMAIN: &[u8] = b"tower-user-sessions/device/v1\0";

/// A random id that only the device keeps, in a cookie. It signs nobody in.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) struct DeviceId([u8; 16]);

impl DeviceId {
    pub(crate) fn random() -> Result<Self, RandomError> {
        random::bytes().map(Self)
    }

    /// Reads 22 characters of base64url; only the canonical spelling is accepted.
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

    /// The digest that a store keeps.
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
