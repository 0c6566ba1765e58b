//! Why a session ended, and the notice that the store keeps about it.

use std::fmt;

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
///
/// You see it in `Session::ended`, to explain to the user why they were signed out, and in `LiveEnd` for an open stream. It is
/// also in the [`Event`](crate::events::Event) of kind `Ended`, in metrics, and in the layer's own responses as their `reason`.
///
/// `Session::ended` never returns [`Undelivered`](Self::Undelivered): a request with the token of such a session is that of a
/// guest. [`Rejected`](Self::Rejected) is only in the store: no client ever had the token of such a session.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum EndReason {
    /// An administrator or a job of the app ended it.
    Administrator,
    /// The user's password or another factor changed.
    CredentialsChanged,
    /// The session was used from another address or agent, and the app decided to end it.
    ClientChanged,
    /// The app disabled the user.
    Disabled,
    /// The user signed in elsewhere, and the limit left no room for this session.
    Evicted,
    /// The sessions of all users were ended: [`Everyone::end_all`](crate::Everyone::end_all), or
    /// [`SessionLayer::not_before`](crate::SessionLayer::not_before).
    Everyone,
    /// It expired: it was not used for its idle time, or its absolute time is over. You see this only while the
    /// store still has the session.
    Expired,
    /// The identity provider ended it, for example by an `OpenID` back-channel logout.
    IdentityProvider,
    /// The user signed out.
    LoggedOut,
    /// The same client signed in again, as this or another user, or a guest session became a signed-in
    /// one. A token from before a re-authentication has this reason too.
    Replaced,
    /// The user ended it from another session, for example from the list of devices.
    Revoked,
    /// A request sent a previous token after its grace period: another client may have a copy.
    TokenReuse,
    /// The response with its token was never sent. Or a sign-in replaced the session while the store could not be reached.
    Undelivered,
    /// The user was signed out everywhere while this sign-in was in progress.
    Rejected,
}

impl EndReason {
    /// The code of this reason, as in the `reason` of a response, an event and a metric.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Administrator => "administrator",
            Self::CredentialsChanged => "credentials_changed",
            Self::ClientChanged => "client_changed",
            Self::Disabled => "disabled",
            Self::Evicted => "evicted",
            Self::Everyone => "everyone",
            Self::Expired => "expired",
            Self::IdentityProvider => "identity_provider",
            Self::LoggedOut => "logged_out",
            Self::Replaced => "replaced",
            Self::Revoked => "revoked",
            Self::TokenReuse => "token_reuse",
            Self::Undelivered => "undelivered",
            Self::Rejected => "void",
        }
    }

    /// Whether an app may end a session for this reason. The others say what became of a session in this crate: a sign-in
    /// follows the notice of one that was replaced to the session that ended it.
    pub(crate) const fn is_for_apps(self) -> bool {
        !matches!(
            self,
            Self::Replaced | Self::Expired | Self::Undelivered | Self::Rejected
        )
    }

    /// The code in stored notices; the scripts for Redis know 2, 3, 4, 6 and 10.
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
            Self::Expired => 12,
            Self::ClientChanged => 13,
            Self::Everyone => 14,
        }
    }

    pub(crate) const fn from_code(code: u8) -> Option<Self> {
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
            12 => Self::Expired,
            13 => Self::ClientChanged,
            14 => Self::Everyone,
            _ => return None,
        })
    }
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Added to the kind of a notice that a previous token may read too.
const WITH_PREVIOUS: u8 = 32;

/// Added if it names the call that ended the session.
const WITH_CALL: u8 = 64;

/// Why, when and by which session a session was ended.
///
/// You get it from `Session::ended` when a request sends the token of a session that was ended. Use
/// it to explain to the user why they are signed out. The store keeps it for a while, by default for
/// an hour, and of each user only the newest ones. After that the token is unknown.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EndNotice {
    /// Why it ended.
    pub reason: EndReason,
    /// When it ended.
    pub ended_at: Timestamp,
    /// The session that caused the end: the one that signed in, or the one that revoked it. `None` if no session
    /// of this user did: a job of yours, or an administrator with `Session::sessions_of`.
    pub by: Option<SessionId>,
    /// A pointer, because most notices have none.
    pub(crate) by_client: Option<Box<Client>>,
    /// The store keeps the notice until this moment. For an expired session: the moment when it expired. How
    /// long that is known depends on the store.
    pub kept_until: Timestamp,
    /// Digest of the session's last token: only a request with that token gets the notice.
    pub digest: Digest,
    /// Digest of the token before that one, if the client may never have received the last one.
    pub previous: Option<Digest>,
    /// The [`End::call`](crate::store::End::call) that ended it, if one did.
    pub call: Option<[u8; 8]>,
}

impl EndNotice {
    /// A notice about the session whose token has this digest.
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
            call: None,
        }
    }

    /// The notice for a request with the token of an expired session.
    pub(crate) fn expired(digest: Digest, at: Timestamp) -> Self {
        Self::new(digest, EndReason::Expired, at, None, at)
    }

    /// The notice for a request with a token of a session that began before `moment`, when the sessions of
    /// all users ended.
    pub(crate) fn everyone(digest: Digest, moment: Timestamp, record: &Record) -> Self {
        Self::new(digest, EndReason::Everyone, moment, None, record.deadline)
    }

    /// The notice for a request with a token from before a re-authentication.
    pub(crate) fn superseded(record: &Record, previous: &Previous) -> Self {
        Self::new(
            previous.digest,
            EndReason::Replaced,
            record.issued_at(),
            Some(record.id),
            previous.until,
        )
    }

    /// Sets the [client that caused the end](Self::by_client).
    #[must_use]
    pub fn with_by_client(mut self, client: Option<Client>) -> Self {
        self.by_client = client.map(Box::new);
        self
    }

    /// The client that caused the end: the one that signed in, or from which the session was ended.
    #[must_use]
    pub fn by_client(&self) -> Option<&Client> {
        self.by_client.as_deref()
    }

    /// Whether a request with the token of this digest gets the notice.
    #[must_use]
    pub fn opens_to(&self, digest: &Digest) -> bool {
        self.digest == *digest || self.previous.is_some_and(|previous| previous == *digest)
    }

    /// The stored form, big-endian.
    ///
    /// | part | bytes |
    /// |---|---|
    /// | version | 1 |
    /// | kind: 3; 32 more with the digest of a previous token, 64 more with a call | 1 |
    /// | kept until, in ms | 8 |
    /// | digest of the last token | 32 |
    /// | reason | 1 |
    /// | ended at, in ms | 8 |
    /// | id of the session that caused the end; zeros for none | 16, or none if nothing follows |
    /// | digest of the previous token, if there is one | 32 |
    /// | the call that ended it, if there is one | 8 |
    /// | body of the session that caused the end: only its client | the rest |
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let client = if self.by_client.is_some() { 208 } else { 0 };
        let mut bytes = Vec::with_capacity(67 + client);
        bytes.put_u8(record::VERSION);
        let mut kind = record::NOTICE;
        if self.previous.is_some() {
            kind += WITH_PREVIOUS;
        }
        if self.call.is_some() {
            kind += WITH_CALL;
        }
        bytes.put_u8(kind);
        bytes.put_i64(self.kept_until.as_millis());
        bytes.put_slice(self.digest.as_bytes());
        bytes.put_u8(self.reason.code());
        bytes.put_i64(self.ended_at.as_millis());
        if let Some(by) = self.by {
            bytes.put_slice(&by.encode());
        } else if self.previous.is_some() || self.call.is_some() || self.by_client.is_some() {
            bytes.put_bytes(0, 16);
        }
        if let Some(previous) = self.previous {
            bytes.put_slice(previous.as_bytes());
        }
        if let Some(call) = self.call {
            bytes.put_slice(&call);
        }
        if let Some(client) = &self.by_client {
            let body = Body::new(None, (**client).clone());
            // A client can always be written.
            let _ = body.encode_to(&mut bytes);
        }
        bytes
    }

    /// Whether these bytes are a notice of this version with a reason, or another part, that only a newer node knows.
    pub(crate) fn is_newer(bytes: &[u8]) -> bool {
        let (kind, reason) = (bytes.get(1), bytes.get(42));
        let more = |kind: &u8| kind & !(WITH_PREVIOUS | WITH_CALL) != record::NOTICE;
        bytes.first() == Some(&record::VERSION)
            && (kind.is_some_and(more)
                || reason.is_some_and(|code| EndReason::from_code(*code).is_none()))
    }

    /// Reads the stored form; `None` if the bytes are not a notice of this version.
    #[must_use]
    pub fn decode(mut bytes: &[u8]) -> Option<Self> {
        if bytes.len() < 51 || bytes.get_u8() != record::VERSION {
            return None;
        }
        let kind = bytes.get_u8();
        if kind & !(WITH_PREVIOUS | WITH_CALL) != record::NOTICE {
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
        if kind & WITH_PREVIOUS != 0 {
            let previous = bytes.split_off(..32)?.first_chunk().copied()?;
            notice.previous = Some(Digest::from_bytes(previous));
        }
        if kind & WITH_CALL != 0 {
            notice.call = Some(bytes.split_off(..8)?.first_chunk().copied()?);
        }
        if !bytes.is_empty() {
            let Body { client, .. } = Body::decode(bytes).ok()?;
            notice.by_client = Some(Box::new(client));
        }
        Some(notice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_with_each_of_its_parts_alone_comes_back_as_it_was_written() {
        let digest = |byte| Digest::from_bytes([byte; 32]);
        let notice = || {
            let (ended, kept) = (Timestamp::from_millis(1), Timestamp::from_millis(2));
            EndNotice::new(digest(1), EndReason::Revoked, ended, None, kept)
        };
        let mut notices = [(); 5].map(|()| notice());
        notices[1].by = Some(SessionId::from_bytes([3; 12]));
        notices[2].previous = Some(digest(4));
        notices[3].call = Some([5; 8]);
        let client = Client::new().with_user_agent(Some(b"curl/8.5.0"));
        notices[4].by_client = Some(Box::new(client));

        let read = notices
            .clone()
            .map(|notice| EndNotice::decode(&notice.encode()));

        assert_eq!(read, notices.map(Some));
    }

    // T42
    #[test]
    fn a_notice_opens_to_the_last_and_to_the_previous_token_and_to_no_other() {
        let digest = |byte| Digest::from_bytes([byte; 32]);
        let moment = Timestamp::from_millis(1);
        let mut notice = EndNotice::new(digest(1), EndReason::TokenReuse, moment, None, moment);
        notice.previous = Some(digest(2));

        let opens = [1, 2, 3].map(|byte| notice.opens_to(&digest(byte)));

        assert_eq!(opens, [true, true, false]);
    }
}
