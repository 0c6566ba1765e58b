//! The previous tokens of a session, as its record keeps them.

use std::time::Duration;

use bytes::{Buf, BufMut};

use super::{
    clock::{Timestamp, millis},
    random::{self, RandomError},
    token::Digest,
};

/// How many bytes the stored form takes.
pub(super) const BLOCK: usize = 123;

/// Random bytes from which, together with a token, its successor is derived. No secret on its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Salt([u8; 16]);

impl Salt {
    /// In place of a salt, after a re-authentication.
    pub(crate) const NONE: Self = Self([0; 16]);

    /// The salt with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// A new salt from the operating system's generator.
    ///
    /// # Errors
    ///
    /// If the operating system's random generator fails.
    pub fn random() -> Result<Self, RandomError> {
        random::bytes().map(Self)
    }

    /// The same salt, with the mark of the client that gets the new token first in its last four bytes. The
    /// others are enough, because a salt is no secret.
    pub(crate) fn with_mark(mut self, mark: u64) -> Self {
        if let Some(last) = self.0.last_chunk_mut() {
            *last = short(mark);
        }
        self
    }

    /// Whether the new token was first given to a client with this mark.
    pub(crate) fn has_mark(&self, mark: u64) -> bool {
        self.0.last_chunk() == Some(&short(mark))
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

fn short(mark: u64) -> [u8; 4] {
    let [a, b, c, d, ..] = mark.to_be_bytes();
    [a, b, c, d]
}

/// A token that a session had before its present one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "every store must keep all of it")]
pub struct Previous {
    /// Its digest.
    pub digest: Digest,
    /// From this moment on a request with this token is reuse. [`UNUSED`](Self::UNUSED) until a request
    /// has sent its successor.
    pub until: Timestamp,
    /// Whether the token is invalid even before that, because the user authenticated again.
    pub rejected: bool,
}

impl Previous {
    /// No request has sent the successor yet: the latest moment that there is.
    pub const UNUSED: Timestamp = Timestamp::from_millis(i64::MAX);
}

/// The previous tokens of a session that was rotated or re-authenticated, and how long they work.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "every store must keep all of it")]
pub struct Rotation {
    /// When the current token was made.
    pub issued_at: Timestamp,
    /// How long the previous token still works after a request has sent its successor.
    pub grace: Duration,
    /// How long the end notice is kept if reuse ends the session.
    pub notice_kept: Duration,
    /// Whether reuse of a previous token ends the session.
    pub reuse_ends: bool,
    /// The salt that the current token was derived with.
    pub salt: Salt,
    /// The previous tokens, the newest first.
    pub previous: [Option<Previous>; 2],
}

impl Rotation {
    /// Whether no request has sent the current, derived token yet.
    #[must_use]
    pub fn is_unused(&self) -> bool {
        matches!(self.previous[0], Some(previous) if previous.until == Previous::UNUSED)
    }

    /// Whether two requests re-authenticated with one token, and the tokens of both work. The newest previous one is then
    /// the other of the two, and no token was derived: there is no salt.
    pub(crate) fn has_two(&self) -> bool {
        self.salt == Salt::NONE && matches!(self.previous[0], Some(previous) if !previous.rejected)
    }

    /// Whether this is the digest of the other of the [two](Self::has_two).
    pub(crate) fn is_other(&self, digest: &Digest) -> bool {
        self.has_two() && matches!(self.previous[0], Some(other) if other.digest == *digest)
    }

    /// The previous token with this digest.
    #[must_use]
    pub fn previous(&self, digest: &Digest) -> Option<Previous> {
        self.previous
            .into_iter()
            .flatten()
            .find(|previous| previous.digest == *digest)
    }

    /// A request sent the current token: the grace period of the previous one begins.
    pub fn seen(&mut self, now: Timestamp) {
        if self.is_unused()
            && let [Some(previous), _] = &mut self.previous
        {
            previous.until = now.plus(self.grace);
        }
    }

    /// Drops a previous token: it is unknown from now on.
    pub fn forget(&mut self, digest: &Digest) {
        for slot in &mut self.previous {
            slot.take_if(|previous| previous.digest == *digest);
        }
    }

    /// Appends the stored form, which stands between the header and the body of a record.
    ///
    /// It is `i64 issued at, i64 grace, i64 notice kept, u8 reuse ends, 16 bytes salt`. Then comes each
    /// previous token, the newest first: `32 bytes digest, i64 until, u8 rejected`, or zeros. All is
    /// big-endian, times are in milliseconds.
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

    /// Reads the stored form; `None` if a duration in it is negative.
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
