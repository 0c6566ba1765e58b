//! Why a session ended, and what stays of it for a while.

use bytes::{Buf, BufMut};

use super::{clock::Timestamp, id::SessionId, record, token::Digest};

/// Why a session ended.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum EndReason {
    /// The app's own administrator or a job ended it.
    Administrator,
    /// A sign-in of the same user needed its place.
    Evicted,
    /// The user signed out.
    LoggedOut,
    /// The same client signed in again, or a guest signed in.
    Replaced,
    /// The user ended it from another session.
    Revoked,
    /// The answer that carried its token never left.
    Undelivered,
    /// The sign-in was authenticated before the user's sessions were all ended.
    Void,
}

impl EndReason {
    /// The code for machines, as in the `reason` of an answer.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Administrator => "administrator",
            Self::Evicted => "evicted",
            Self::LoggedOut => "logged_out",
            Self::Replaced => "replaced",
            Self::Revoked => "revoked",
            Self::Undelivered => "undelivered",
            Self::Void => "void",
        }
    }

    /// The code in stored notices; `create.lua` and `end.lua` know 2 and 4.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::LoggedOut => 1,
            Self::Evicted => 2,
            Self::Revoked => 3,
            Self::Replaced => 4,
            Self::Administrator => 5,
            Self::Undelivered => 6,
            Self::Void => 7,
        }
    }

    const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::LoggedOut,
            2 => Self::Evicted,
            3 => Self::Revoked,
            4 => Self::Replaced,
            5 => Self::Administrator,
            6 => Self::Undelivered,
            7 => Self::Void,
            _ => return None,
        })
    }
}

/// What stays in the store for a while after a session ended, so that its owner can be told why.
///
/// Stored as `u8 version, u8 kind 3, i64 kept until, 32 bytes digest, u8 reason, i64 ended at`, then
/// the 12 bytes of the session that caused the end, if one did.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EndNotice {
    /// Why it ended.
    pub reason: EndReason,
    /// When it ended.
    pub ended_at: Timestamp,
    /// The session that ended it: the one that signed in, or the one that revoked it.
    pub by: Option<SessionId>,
    /// Up to when the notice is kept.
    pub kept_until: Timestamp,
    /// Digest of the former token: only its holder is shown the notice.
    pub digest: Digest,
}

impl EndNotice {
    /// The notice of a session with this digest that ends now.
    #[must_use]
    pub fn new(
        digest: Digest,
        reason: EndReason,
        ended_at: Timestamp,
        by: Option<SessionId>,
        kept_until: Timestamp,
    ) -> Self {
        Self {
            reason,
            ended_at,
            by,
            kept_until,
            digest,
        }
    }

    /// The stored form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(63);
        bytes.put_u8(record::VERSION);
        bytes.put_u8(record::NOTICE);
        bytes.put_i64(self.kept_until.as_millis());
        bytes.put_slice(self.digest.as_bytes());
        bytes.put_u8(self.reason.code());
        bytes.put_i64(self.ended_at.as_millis());
        if let Some(by) = self.by {
            bytes.put_slice(by.as_bytes());
        }
        bytes
    }

    /// Reads the stored form; `None` if these are other bytes, or of a version that is not ours.
    #[must_use]
    pub fn decode(mut bytes: &[u8]) -> Option<Self> {
        if !(bytes.len() == 51 || bytes.len() == 63)
            || bytes.get_u8() != record::VERSION
            || bytes.get_u8() != record::NOTICE
        {
            return None;
        }
        let kept_until = Timestamp::from_millis(bytes.get_i64());
        let mut digest = [0; 32];
        bytes.copy_to_slice(&mut digest);
        let reason = EndReason::from_code(bytes.get_u8())?;
        let ended_at = Timestamp::from_millis(bytes.get_i64());
        let by = bytes.first_chunk().map(|by| SessionId::from_bytes(*by));
        Some(Self::new(
            Digest::from_bytes(digest),
            reason,
            ended_at,
            by,
            kept_until,
        ))
    }
}
