//! Why a session ended, and what stays of it for a while.

use bytes::{Buf, BufMut};

use super::{
    body::Body,
    client::Client,
    clock::Timestamp,
    id::{SessionId, decode_12},
    record::{self, Record},
    rotation::Previous,
    token::Digest,
};

/// Why a session ended.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum EndReason {
    /// The app's own administrator or a job ended it.
    Administrator,
    /// The user's password or another factor changed.
    CredentialsChanged,
    /// The user may not sign in for now.
    Disabled,
    /// A sign-in of the same user needed its place.
    Evicted,
    /// The identity provider ended it (`OpenID` back-channel logout).
    IdentityProvider,
    /// The user signed out.
    LoggedOut,
    /// The same client signed in again, or a guest signed in.
    Replaced,
    /// The user ended it from another session.
    Revoked,
    /// A previous token of it was shown after its time: somebody has a copy.
    TokenReuse,
    /// The answer that carried its token never left.
    Undelivered,
    /// The sign-in was authenticated before the user's sessions were all ended.
    Rejected,
}

impl EndReason {
    /// The code for machines, as in the `reason` of an answer.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Administrator => "administrator",
            Self::CredentialsChanged => "credentials_changed",
            Self::Disabled => "disabled",
            Self::Evicted => "evicted",
            Self::IdentityProvider => "identity_provider",
            Self::LoggedOut => "logged_out",
            Self::Replaced => "replaced",
            Self::Revoked => "revoked",
            Self::TokenReuse => "token_reuse",
            Self::Undelivered => "undelivered",
            Self::Rejected => "void",
        }
    }

    /// The code in stored notices; `create.lua` and `end.lua` know 2, 3, 4, 6 and 10.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::LoggedOut => 1,
            Self::Evicted => 2,
            Self::Revoked => 3,
            Self::Replaced => 4,
            Self::Administrator => 5,
            Self::Undelivered => 6,
            Self::Rejected => 7,
            Self::CredentialsChanged => 8,
            Self::Disabled => 9,
            Self::TokenReuse => 10,
            Self::IdentityProvider => 11,
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
            7 => Self::Rejected,
            8 => Self::CredentialsChanged,
            9 => Self::Disabled,
            10 => Self::TokenReuse,
            11 => Self::IdentityProvider,
            _ => return None,
        })
    }
}

/// Added to the kind of a notice that opens to a previous token too.
const WITH_FORMER: u8 = 32;

/// What stays in the store for a while after a session ended, so that its owner can be told why.
///
/// Stored as `u8 version, u8 kind 3, i64 kept until, 32 bytes digest, u8 reason, i64 ended at`, then
/// the 16 characters of the session that caused the end, if one did. Where more follows, zeros keep
/// its place: `32 bytes digest of the token before` (kind 35), and the body of the session that caused
/// the end.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EndNotice {
    /// Why it ended.
    pub reason: EndReason,
    /// When it ended.
    pub ended_at: Timestamp,
    /// The session that ended it: the one that signed in, or the one that revoked it.
    pub by: Option<SessionId>,
    /// What is known of that session's client.
    pub by_client: Option<Box<Client>>,
    /// Up to when the notice is kept.
    pub kept_until: Timestamp,
    /// Digest of the previous token: only its holder is shown the notice.
    pub digest: Digest,
    /// Digest of the token before that one, where that one may never have reached its client.
    pub previous: Option<Digest>,
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
            by_client: None,
            kept_until,
            digest,
            previous: None,
        }
    }

    /// What the holder of a previous token is told when the user of its session has proved again who they
    /// are.
    pub(crate) fn superseded(record: &Record, previous: &Previous) -> Self {
        Self::new(
            previous.digest,
            EndReason::Replaced,
            record.issued_at(),
            Some(record.id),
            previous.until,
        )
    }

    /// What is known of the client that caused the end: the one that signed in, or from which it was
    /// ended.
    #[must_use]
    pub fn by_client(&self) -> Option<&Client> {
        self.by_client.as_deref()
    }

    /// Whether it is shown to the holder of the token with this digest.
    #[must_use]
    pub fn opens_to(&self, digest: &Digest) -> bool {
        self.digest == *digest || self.previous.is_some_and(|previous| previous == *digest)
    }

    /// The stored form.
    ///
    /// Of the session that caused the end it holds the client alone.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(67);
        bytes.put_u8(record::VERSION);
        let with_previous = if self.previous.is_some() {
            WITH_FORMER
        } else {
            0
        };
        bytes.put_u8(record::NOTICE + with_previous);
        bytes.put_i64(self.kept_until.as_millis());
        bytes.put_slice(self.digest.as_bytes());
        bytes.put_u8(self.reason.code());
        bytes.put_i64(self.ended_at.as_millis());
        if let Some(by) = self.by {
            bytes.put_slice(&by.encode());
        } else if self.previous.is_some() || self.by_client.is_some() {
            bytes.put_bytes(0, 16);
        }
        if let Some(previous) = self.previous {
            bytes.put_slice(previous.as_bytes());
        }
        if let Some(client) = &self.by_client {
            let body = Body {
                user: None,
                client: (**client).clone(),
                proof: None,
                persistent: true,
            };
            bytes.extend(body.encode().unwrap_or_default());
        }
        bytes
    }

    /// Reads the stored form; `None` if these are other bytes, or of a version that is not ours.
    #[must_use]
    pub fn decode(mut bytes: &[u8]) -> Option<Self> {
        if bytes.len() < 51 || bytes.get_u8() != record::VERSION {
            return None;
        }
        let kind = bytes.get_u8();
        if kind & !WITH_FORMER != record::NOTICE {
            return None;
        }
        let kept_until = Timestamp::from_millis(bytes.get_i64());
        let digest = bytes.split_off(..32)?.first_chunk().copied()?;
        let reason = EndReason::from_code(bytes.get_u8())?;
        let ended_at = Timestamp::from_millis(bytes.get_i64());
        let mut notice = Self::new(
            Digest::from_bytes(digest),
            reason,
            ended_at,
            None,
            kept_until,
        );
        if !bytes.is_empty() {
            let by = bytes.split_off(..16)?;
            if by != [0; 16] {
                notice.by = Some(SessionId::from_bytes(decode_12(by)?));
            }
        }
        if kind & WITH_FORMER != 0 {
            let previous = bytes.split_off(..32)?.first_chunk().copied()?;
            notice.previous = Some(Digest::from_bytes(previous));
        }
        if !bytes.is_empty() {
            let Body { client, .. } = Body::decode(bytes).ok()?;
            notice.by_client = Some(Box::new(client));
        }
        Some(notice)
    }
}
