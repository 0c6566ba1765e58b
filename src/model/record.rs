//! What a store keeps of a live session, and its stored form.

use std::{error, fmt, net::IpAddr, sync::Arc, time::Duration};

use bytes::{Buf, BufMut};
use serde::{Deserialize, Serialize};

use super::{
    client::Client,
    clock::{Timestamp, millis},
    hints::Hints,
    id::SessionId,
    lifetime::Lifetime,
    token::Digest,
    user::UserId,
};

/// The version of the stored form.
pub(crate) const VERSION: u8 = 1;

/// Kinds of what a hash holds.
const USER: u8 = 1;
const GUEST: u8 = 2;
pub(crate) const NOTICE: u8 = 3;

/// Scripts add this to the kind of a session that has data, so that they look for it only then.
const WITH_DATA: u8 = 16;

/// How long the header is that scripts read.
const HEADER: usize = 82;

/// About how long a body is.
const BODY: usize = 192;

/// A live session as a store keeps it, without the app's data.
///
/// Stored as a header that scripts read (`u8 version, u8 kind, i64 revision, i64 created, i64
/// authenticated, i64 last activity, i64 idle, i64 deadline, 32 bytes digest`, big-endian,
/// milliseconds), then a `MessagePack` body that only Rust reads (user id, address, user agent, and
/// the client hints where there are any).
///
/// Cloning it is cheap: what does not change is shared.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    /// The public name of the session.
    pub id: SessionId,
    /// Digest of its token.
    pub digest: Digest,
    /// Counts the writes to its data.
    pub revision: u64,
    /// When it began.
    pub created_at: Timestamp,
    /// When its user proved who they are; of a guest: when the request arrived that began it.
    pub authenticated_at: Timestamp,
    /// When it was last seen on a request that counts as activity.
    pub last_activity: Timestamp,
    /// How long it lives without activity.
    pub idle: Duration,
    /// When it ends, whatever its activity.
    pub deadline: Timestamp,
    body: Arc<Body>,
}

#[derive(Debug, Eq, PartialEq)]
struct Body {
    user: Option<UserId>,
    client: Client,
}

/// [`Body`] as it is written: user id, address, user agent, client hints.
#[derive(Deserialize, Serialize)]
struct Written<'a>(
    Option<&'a str>,
    Option<IpAddr>,
    Option<&'a str>,
    // Left out where there are none: every byte here is one for each session.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")] Option<WrittenHints<'a>>,
);

/// Brands, mobile, platform.
#[derive(Deserialize, Serialize)]
struct WrittenHints<'a>(Option<&'a str>, Option<&'a str>, Option<&'a str>);

impl<'a> From<&'a Hints> for WrittenHints<'a> {
    fn from(hints: &'a Hints) -> Self {
        Self(hints.brands(), hints.mobile(), hints.platform())
    }
}

impl From<WrittenHints<'_>> for Hints {
    fn from(WrittenHints(brands, mobile, platform): WrittenHints<'_>) -> Self {
        Self::new()
            .with_brands(brands.map(str::as_bytes))
            .with_mobile(mobile.map(str::as_bytes))
            .with_platform(platform.map(str::as_bytes))
    }
}

impl Record {
    /// A session that begins at `now`.
    #[must_use]
    pub fn new(
        id: SessionId,
        digest: Digest,
        user: Option<UserId>,
        client: Client,
        lifetime: Lifetime,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            digest,
            revision: 0,
            created_at: now,
            authenticated_at: now,
            last_activity: now,
            idle: lifetime.idle(),
            deadline: now.plus(lifetime.absolute()),
            body: Arc::new(Body { user, client }),
        }
    }

    /// Whose session it is; `None` of a guest.
    #[must_use]
    pub fn user_id(&self) -> Option<&UserId> {
        self.body.user.as_ref()
    }

    /// What is known of the client.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.body.client
    }

    /// When it ends unless it is seen again.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.last_activity.plus(self.idle).min(self.deadline)
    }

    /// Whether it is live: neither deadline has been reached, and it did not begin before
    /// `not_before`.
    #[must_use]
    pub fn is_live(&self, now: Timestamp, not_before: Option<Timestamp>) -> bool {
        now < self.expires_at() && not_before.is_none_or(|moment| self.created_at >= moment)
    }

    /// The order of eviction: the least recently active first, ties by creation, then by id.
    #[must_use]
    pub fn eviction_order(&self) -> (Timestamp, Timestamp, [u8; 16]) {
        // The id as text, as scripts compare it.
        (self.last_activity, self.created_at, self.id.encode())
    }

    /// The stored form.
    ///
    /// # Errors
    ///
    /// If the body cannot be written; no value that can be built does that.
    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        let mut bytes = Vec::with_capacity(HEADER + BODY);
        bytes.put_u8(VERSION);
        bytes.put_u8(if self.user_id().is_some() {
            USER
        } else {
            GUEST
        });
        bytes.put_i64(i64::try_from(self.revision).unwrap_or(i64::MAX));
        bytes.put_i64(self.created_at.as_millis());
        bytes.put_i64(self.authenticated_at.as_millis());
        bytes.put_i64(self.last_activity.as_millis());
        bytes.put_i64(millis(self.idle));
        bytes.put_i64(self.deadline.as_millis());
        bytes.put_slice(self.digest.as_bytes());
        bytes.extend(self.encode_body()?);
        Ok(bytes)
    }

    /// The part of the stored form that only Rust reads.
    pub(crate) fn encode_body(&self) -> Result<Vec<u8>, RecordError> {
        let Body { user, client } = &*self.body;
        let written = Written(
            user.as_ref().map(UserId::as_str),
            client.address(),
            client.user_agent(),
            client.hints().map(WrittenHints::from),
        );
        let mut bytes = Vec::with_capacity(BODY);
        rmp_serde::encode::write(&mut bytes, &written).map_err(RecordError::because)?;
        Ok(bytes)
    }

    /// Reads the stored form.
    ///
    /// # Errors
    ///
    /// If these are other bytes, or of a version that is not ours.
    pub fn decode(id: SessionId, bytes: &[u8]) -> Result<Self, RecordError> {
        let (header, body) = bytes.split_at_checked(HEADER).ok_or(RecordError(None))?;
        let (times, digest) = header.split_last_chunk().ok_or(RecordError(None))?;
        let Written(user, address, user_agent, hints) =
            rmp_serde::from_slice(body).map_err(RecordError::because)?;
        let user = user.map(UserId::new).transpose();
        let body = Body {
            user: user.map_err(RecordError::because)?,
            client: Client::stored(address, user_agent, hints.map(Hints::from)),
        };
        Self::from_parts(id, times, Digest::from_bytes(*digest), Arc::new(body))
    }

    /// This session as its store has just begun it: what the store decided is read from the header,
    /// which may end before the digest.
    #[cfg(feature = "redis")]
    pub(crate) fn begun(self, header: &[u8]) -> Result<Self, RecordError> {
        Self::from_parts(self.id, header, self.digest, self.body)
    }

    fn from_parts(
        id: SessionId,
        mut header: &[u8],
        digest: Digest,
        body: Arc<Body>,
    ) -> Result<Self, RecordError> {
        if header.len() < HEADER - 32 {
            return Err(RecordError(None));
        }
        let kind = if body.user.is_some() { USER } else { GUEST };
        if header.get_u8() != VERSION || header.get_u8() & !WITH_DATA != kind {
            return Err(RecordError(None));
        }
        let revision = u64::try_from(header.get_i64()).map_err(RecordError::because)?;
        let created_at = Timestamp::from_millis(header.get_i64());
        let authenticated_at = Timestamp::from_millis(header.get_i64());
        let last_activity = Timestamp::from_millis(header.get_i64());
        let idle = u64::try_from(header.get_i64()).map_err(RecordError::because)?;
        let deadline = Timestamp::from_millis(header.get_i64());
        Ok(Self {
            id,
            digest,
            revision,
            created_at,
            authenticated_at,
            last_activity,
            idle: Duration::from_millis(idle),
            deadline,
            body,
        })
    }
}

/// The bytes are not a stored session.
#[derive(Debug)]
pub struct RecordError(Option<Box<dyn error::Error + Send + Sync>>);

impl RecordError {
    fn because(source: impl error::Error + Send + Sync + 'static) -> Self {
        Self(Some(Box::new(source)))
    }
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a stored session")
    }
}

impl error::Error for RecordError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.0.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Tag, Token};

    /// [`Written`] before there were hints.
    #[derive(Serialize)]
    struct Before<'a>(Option<&'a str>, Option<IpAddr>, Option<&'a str>);

    const AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";

    fn client() -> Client {
        Client::new()
            .with_address(Some([192, 0, 2, 1].into()))
            .with_user_agent(Some(AGENT.as_bytes()))
    }

    fn record(client: Client) -> Record {
        let user = UserId::new("alice").unwrap();
        let token = Token::random(Tag::random().unwrap()).unwrap();
        Record::new(
            token.session_id(),
            token.digest(),
            Some(user),
            client,
            Lifetime::default(),
            Timestamp::from_millis(1),
        )
    }

    #[test]
    fn without_hints_the_body_is_what_it_was_before_there_were_any() {
        let before = Before(Some("alice"), client().address(), Some(AGENT));
        let before = rmp_serde::to_vec(&before).unwrap();

        let body = record(client()).encode_body().unwrap();

        assert_eq!(body, before);
    }

    #[test]
    fn a_body_from_before_there_were_hints_is_still_read() {
        let record = record(client());
        let before = Before(Some("alice"), client().address(), Some(AGENT));
        let mut stored = record.encode().unwrap();
        stored.truncate(HEADER);
        stored.extend(rmp_serde::to_vec(&before).unwrap());

        let decoded = Record::decode(record.id, &stored).unwrap();

        assert_eq!(decoded, record);
    }

    #[test]
    fn hints_come_back_as_they_were_stored() {
        let hints = Hints::new()
            .with_brands(Some(br#""Chromium";v="142""#))
            .with_platform(Some(br#""Windows""#));
        let record = record(client().with_hints(hints));

        let decoded = Record::decode(record.id, &record.encode().unwrap()).unwrap();

        assert_eq!(decoded, record);
    }
}
