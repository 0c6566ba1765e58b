//! What a record keeps of the tokens before its present one.

use std::time::Duration;

use bytes::{Buf, BufMut};

use super::{
    clock::{Timestamp, millis},
    random::{self, RandomError},
    token::Digest,
};

/// How many bytes the stored form takes.
pub(super) const BLOCK: usize = 123;

/// Makes a token's successor together with that token; worth nothing alone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Salt([u8; 16]);

impl Salt {
    /// The salt with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// A new salt from the operating system's generator.
    ///
    /// # Errors
    ///
    /// If the operating system has no randomness to give.
    pub fn random() -> Result<Self, RandomError> {
        random::bytes().map(Self)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// A token that a session had before its present one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "every store must keep all of it")]
pub struct Previous {
    /// Its digest.
    pub digest: Digest,
    /// From when on showing it is reuse; [`UNSEEN`](Self::UNSEEN) until its successor was seen.
    pub until: Timestamp,
    /// Whether it opens nothing even before that: the user signed in again.
    pub rejected: bool,
}

impl Previous {
    /// Its successor has not been seen yet.
    pub const UNUSED: Timestamp = Timestamp::from_millis(i64::MAX);
}

/// What a session that was rotated or re-authenticated keeps of it.
///
/// Stored between the header and the body of its record: `i64 issued at, i64 grace, i64 how long its
/// notice is kept, u8 whether reuse ends it, 16 bytes salt`, then twice `32 bytes digest, i64 until, u8
/// void`, the newest previous token first, zeros where there is none; big-endian, milliseconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "every store must keep all of it")]
pub struct Rotation {
    /// When the present token was made.
    pub issued_at: Timestamp,
    /// How long a previous token still opens the session once its successor was seen.
    pub grace: Duration,
    /// How long a notice is kept, should reuse end the session.
    pub notice_kept: Duration,
    /// Whether reuse of a previous token ends the session.
    pub reuse_ends: bool,
    /// What the present token was derived with.
    pub salt: Salt,
    /// The previous tokens, the newest first.
    pub previous: [Option<Previous>; 2],
}

impl Rotation {
    /// Whether the present token has been derived and not been shown yet.
    #[must_use]
    pub fn is_unused(&self) -> bool {
        matches!(self.previous[0], Some(previous) if previous.until == Previous::UNUSED)
    }

    /// The previous token with this digest.
    #[must_use]
    pub fn previous(&self, digest: &Digest) -> Option<Previous> {
        self.previous
            .into_iter()
            .flatten()
            .find(|previous| previous.digest == *digest)
    }

    /// The present token was shown: the time of the one before it begins to run out.
    pub fn seen(&mut self, now: Timestamp) {
        if self.is_unused()
            && let [Some(previous), _] = &mut self.previous
        {
            previous.until = now.plus(self.grace);
        }
    }

    pub(super) fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.put_i64(self.issued_at.as_millis());
        bytes.put_i64(millis(self.grace));
        bytes.put_i64(millis(self.notice_kept));
        bytes.put_u8(u8::from(self.reuse_ends));
        bytes.put_slice(self.salt.as_bytes());
        for previous in self.previous {
            match previous {
                Some(previous) => {
                    bytes.put_slice(previous.digest.as_bytes());
                    bytes.put_i64(previous.until.as_millis());
                    bytes.put_u8(u8::from(previous.rejected));
                }
                None => bytes.put_bytes(0, 41),
            }
        }
    }

    /// Reads the stored form; `None` if it holds a time that cannot be.
    pub(super) fn decode(block: &[u8; BLOCK]) -> Option<Self> {
        let mut bytes = &block[..];
        let issued_at = Timestamp::from_millis(bytes.get_i64());
        let grace = duration(bytes.get_i64())?;
        let notice_kept = duration(bytes.get_i64())?;
        let reuse_ends = bytes.get_u8() != 0;
        let mut salt = [0; 16];
        bytes.copy_to_slice(&mut salt);
        let mut previous = [None; 2];
        for slot in &mut previous {
            let mut digest = [0; 32];
            bytes.copy_to_slice(&mut digest);
            let until = Timestamp::from_millis(bytes.get_i64());
            let rejected = bytes.get_u8() != 0;
            *slot = (digest != [0; 32]).then_some(Previous {
                digest: Digest::from_bytes(digest),
                until,
                rejected,
            });
        }
        Some(Self {
            issued_at,
            grace,
            notice_kept,
            reuse_ends,
            salt: Salt(salt),
            previous,
        })
    }
}

fn duration(millis: i64) -> Option<Duration> {
    u64::try_from(millis).ok().map(Duration::from_millis)
}
