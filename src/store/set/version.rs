//! The version of a stored session set.

use crate::store::op::nonce;

/// Names one state of one session set. The next write of the set gives it another version.
///
/// `SetStore` makes the versions. No two writes have the same one, also after the set was deleted and made
/// again. A storage compares them, and never counts or orders them.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Version([u8; 8]);

impl Version {
    /// One that no other write has: it counts from a random number that each process has for itself.
    pub(in super::super) fn new() -> Self {
        Self(nonce())
    }

    /// The version with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }
}
