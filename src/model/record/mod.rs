//! What a store keeps of a live session, and its stored form.

use std::{error, fmt, sync::Arc, time::Duration};

use bytes::{Buf, BufMut};

use super::{
    body::{Body, NOTED_MAX},
    class::ClientClass,
    client::Client,
    clock::{Timestamp, millis},
    id::SessionId,
    lifetime::Lifetime,
    proof::Proof,
    rotation::{BLOCK, Rotation},
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

/// Added to the kind of a session that had another token, which has a [`Rotation`] before its body.
const ROTATED: u8 = 32;

/// Added besides until a request has sent the present token.
const UNUSED: u8 = 64;

/// The class byte of a session that does not count against the limit.
pub(crate) const UNCOUNTED: u8 = 255;

/// The length of the header that scripts read.
const HEADER: usize = 82;

/// About how long a stored session is.
const ABOUT: usize = HEADER + 192;

/// A live session as a store keeps it, without the app's data.
///
/// You need it only if you write a store. [`encode`](Self::encode) has the stored form. Cloning it is
/// cheap: what does not change is shared.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    /// The public name of the session.
    pub id: SessionId,
    /// Digest of its token.
    pub digest: Digest,
    /// Counts the writes to its data; below 2 to the power of 56.
    pub revision: u64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its user last signed in or authenticated again. Of a guest session: when the request that
    /// began it arrived.
    pub authenticated_at: Timestamp,
    /// When it was last active.
    pub last_activity: Timestamp,
    /// How long it lives without activity.
    pub idle: Duration,
    /// When it ends, whatever its activity.
    pub deadline: Timestamp,
    /// The class of its client; the default one if it does not count.
    pub class: ClientClass,
    /// Whether it counts against its user's limit.
    pub counts: bool,
    /// Its previous tokens, if it had any.
    pub rotation: Option<Arc<Rotation>>,
    body: Arc<Body>,
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
            class: ClientClass::default(),
            counts: true,
            rotation: None,
            body: Arc::new(Body {
                user,
                client,
                proof: None,
                persistent: true,
            }),
        }
    }

    /// Notes how the user authenticated.
    #[must_use]
    pub fn with_proof(mut self, proof: Proof) -> Self {
        let Body {
            user,
            client,
            persistent,
            ..
        } = &*self.body;
        self.body = Arc::new(Body {
            user: user.clone(),
            client: client.clone(),
            proof: (!proof.is_empty()).then(|| Box::new(proof)),
            persistent: *persistent,
        });
        self
    }

    /// Notes whether the browser keeps the session's cookie when it closes.
    #[must_use]
    pub fn with_persistent(mut self, persistent: bool) -> Self {
        if persistent == self.body.persistent {
            return self;
        }
        let Body {
            user,
            client,
            proof,
            ..
        } = &*self.body;
        self.body = Arc::new(Body {
            user: user.clone(),
            client: client.clone(),
            proof: proof.clone(),
            persistent,
        });
        self
    }

    /// Whether the browser keeps the session's cookie when it closes.
    #[must_use]
    pub fn persistent(&self) -> bool {
        self.body.persistent
    }

    /// The same session with a shorter life from now on, never a longer one.
    #[must_use]
    pub fn shortened(mut self, to: Lifetime, now: Timestamp) -> Self {
        self.idle = self.idle.min(to.idle());
        self.deadline = self.deadline.min(now.plus(to.absolute()));
        self
    }

    /// How the user authenticated, if the app noted it.
    #[must_use]
    pub fn proof(&self) -> Option<&Proof> {
        self.body.proof.as_deref()
    }

    /// When its present token was made.
    #[must_use]
    pub fn issued_at(&self) -> Timestamp {
        self.rotation
            .as_ref()
            .map_or(self.created_at, |rotation| rotation.issued_at)
    }

    /// Its client, for the end notice of a session that this one ends. `None` if it is too large for a
    /// notice.
    #[must_use]
    pub fn noted_client(&self) -> Option<Client> {
        let body = self.body.encode().ok()?;
        (body.len() <= NOTED_MAX).then(|| self.client().clone())
    }

    /// The part that does not change.
    pub(super) fn shared(&self) -> Arc<Body> {
        Arc::clone(&self.body)
    }

    /// The user; `None` for a guest session.
    #[must_use]
    pub fn user_id(&self) -> Option<&UserId> {
        self.body.user.as_ref()
    }

    /// What is known of the client.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.body.client
    }

    /// When it ends if there is no further activity. Never later than its deadline.
    #[must_use]
    pub fn idle_expires_at(&self) -> Timestamp {
        self.last_activity.plus(self.idle).min(self.deadline)
    }

    /// Whether it is live: neither deadline has been reached, and it did not begin before
    /// `not_before`.
    #[must_use]
    pub fn is_live(&self, now: Timestamp, not_before: Option<Timestamp>) -> bool {
        now < self.idle_expires_at() && not_before.is_none_or(|moment| self.created_at >= moment)
    }

    /// The order of eviction: the least recently active first, ties by creation, then by id.
    #[must_use]
    pub fn eviction_order(&self) -> (Timestamp, Timestamp, [u8; 16]) {
        // The id as text, as scripts compare it.
        (self.last_activity, self.created_at, self.id.encode())
    }

    /// The stored form: a header that scripts read, and a body that only Rust reads.
    ///
    /// The header is `u8 version, u8 kind, u8 class, u56 revision, i64 created, i64 authenticated, i64
    /// last activity, i64 idle, i64 deadline, 32 bytes digest`: big-endian, in milliseconds. A
    /// [`Rotation`] follows if the session had another token before.
    ///
    /// The body is a `MessagePack` array: user id, address, user agent, client hints, proof, and whether
    /// the cookie is for the browser session only. What a session does not have at the end is left out.
    ///
    /// # Errors
    ///
    /// If the body cannot be written; no value that can be built does that.
    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        let mut bytes = Vec::with_capacity(ABOUT);
        bytes.put_u8(VERSION);
        bytes.put_u8(self.kind());
        let class = if self.counts {
            self.class.number()
        } else {
            UNCOUNTED
        };
        bytes.put_u8(class);
        bytes.put_uint(self.revision, 7);
        bytes.put_i64(self.created_at.as_millis());
        bytes.put_i64(self.authenticated_at.as_millis());
        bytes.put_i64(self.last_activity.as_millis());
        bytes.put_i64(millis(self.idle));
        bytes.put_i64(self.deadline.as_millis());
        bytes.put_slice(self.digest.as_bytes());
        if let Some(rotation) = &self.rotation {
            rotation.encode(&mut bytes);
        }
        bytes.extend(self.encode_body()?);
        Ok(bytes)
    }

    fn kind(&self) -> u8 {
        let kind = if self.user_id().is_some() {
            USER
        } else {
            GUEST
        };
        match &self.rotation {
            None => kind,
            Some(rotation) if rotation.is_unused() => kind + ROTATED + UNUSED,
            Some(_) => kind + ROTATED,
        }
    }

    /// The part of the stored form that only Rust reads.
    pub(crate) fn encode_body(&self) -> Result<Vec<u8>, RecordError> {
        self.body.encode()
    }

    /// Reads the stored form.
    ///
    /// # Errors
    ///
    /// If these are other bytes, or of a version that is not ours.
    pub fn decode(id: SessionId, bytes: &[u8]) -> Result<Self, RecordError> {
        let (header, rest) = bytes.split_at_checked(HEADER).ok_or(RecordError(None))?;
        let (times, digest) = header.split_last_chunk().ok_or(RecordError(None))?;
        let rotated = times.get(1).is_some_and(|kind| kind & ROTATED != 0);
        let (rotation, body) = if rotated {
            let (block, body) = rest.split_first_chunk::<BLOCK>().ok_or(RecordError(None))?;
            let rotation = Rotation::decode(block).ok_or(RecordError(None))?;
            (Some(Arc::new(rotation)), body)
        } else {
            (None, rest)
        };
        let body = Arc::new(Body::decode(body)?);
        let mut record = Self::from_parts(id, times, Digest::from_bytes(*digest), body)?;
        record.rotation = rotation;
        Ok(record)
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
        let flags = WITH_DATA | ROTATED | UNUSED;
        let (version, written) = (header.get_u8(), header.get_u8());
        let unused_of_none = written & (UNUSED | ROTATED) == UNUSED;
        if version != VERSION || written & !flags != kind || unused_of_none {
            return Err(RecordError(None));
        }
        let class = header.get_u8();
        let counts = class != UNCOUNTED;
        let revision = header.get_uint(7);
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
            class: ClientClass::new(if counts { class } else { 0 }),
            counts,
            rotation: None,
            body,
        })
    }
}

/// The bytes are not a stored session.
#[derive(Debug)]
pub struct RecordError(Option<Box<dyn error::Error + Send + Sync>>);

impl RecordError {
    pub(super) fn because(source: impl error::Error + Send + Sync + 'static) -> Self {
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
mod tests;
