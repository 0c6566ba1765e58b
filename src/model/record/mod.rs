//! A live session as a store keeps it, and its stored form.

mod clients;
mod error;
mod expiry;
mod lifetime;
mod order;

use std::{sync::Arc, time::Duration};

use bytes::{Buf, BufMut};

pub use self::error::RecordError;
#[cfg(feature = "live")]
pub(crate) use self::order::began_at;
use super::{
    body::Body,
    class::ClientClass,
    client::Client,
    clock::{Timestamp, millis},
    era::Era,
    id::SessionId,
    lifetime::Lifetime,
    proof::Proof,
    realm::Realm,
    rotation::{BLOCK, Rotation},
    token::Digest,
    user::UserId,
};

/// The version of the stored form.
pub(crate) const VERSION: u8 = 1;

/// The kinds of entries of a session set.
const USER: u8 = 1;
const GUEST: u8 = 2;
pub(crate) const NOTICE: u8 = 3;

/// Scripts add this to the kind of a session with data, and read data only then.
const WITH_DATA: u8 = 16;

/// Added to the kind of a session that had another token: it has a [`Rotation`] before its body.
const ROTATED: u8 = 32;

/// Added as well until a request sends the current token.
const UNSENT: u8 = 64;

/// Added until a request sends the first token.
const UNUSED: u8 = 128;

/// The class byte of a session that does not count for the limit.
pub(crate) const UNCOUNTED: u8 = 255;

/// The length of the header, which scripts read.
const HEADER: usize = 82;

/// The approximate length of a stored session.
const ABOUT: usize = HEADER + 192;

/// A live session as a store keeps it, without the app's data.
///
/// You need it only to write a store. Handlers use `Session`, and lists of devices use `SessionInfo`.
/// Cloning it is cheap, because clones share the parts that do not change.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    /// The id of the session.
    pub id: SessionId,
    /// Digest of its token.
    pub digest: Digest,
    /// The number of writes to its data. After 2 to the power of 32 of them it begins at 0.
    pub revision: u64,
    /// When the session was made.
    pub created_at: Timestamp,
    /// When the user authenticated. For a guest session: when its first request arrived.
    pub authenticated_at: Timestamp,
    /// When the last request arrived that counts as activity and was written.
    pub last_activity: Timestamp,
    /// How long the session lives without activity.
    pub idle: Duration,
    /// The absolute deadline: the session ends then, with activity or without.
    pub deadline: Timestamp,
    /// The class of the client; the default class if the session does not count for the limit.
    pub class: ClientClass,
    /// Whether the session counts for the user's limit.
    pub counts: bool,
    /// Whether no request has sent a token of the session yet.
    pub unused: bool,
    /// The previous tokens, if there were any.
    pub rotation: Option<Arc<Rotation>>,
    /// Its times are of this era.
    era: Era,
    /// The mark of its realm.
    mark: [u8; 3],
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
            unused: true,
            rotation: None,
            era: Era::default(),
            mark: Realm::NONE.mark(),
            body: Arc::new(Body::new(user, client)),
        }
    }

    /// Sets the era in which the session begins.
    #[must_use]
    pub(crate) const fn with_era(mut self, era: Era) -> Self {
        self.era = era;
        self
    }

    /// Sets the realm of the layer that makes the session.
    #[must_use]
    pub fn with_realm(mut self, realm: Realm) -> Self {
        self.mark = realm.mark();
        self
    }

    /// Whether the session is for layers of this realm.
    #[must_use]
    pub fn is_in(&self, realm: Realm) -> bool {
        self.mark == realm.mark()
    }

    /// Sets how the user authenticated.
    #[must_use]
    pub fn with_proof(mut self, proof: Proof) -> Self {
        self.change(|body| body.proof = (!proof.is_empty()).then(|| Box::new(proof)));
        self
    }

    /// Sets whether the browser keeps the session's cookie when it closes.
    #[must_use]
    pub fn with_persistent(mut self, persistent: bool) -> Self {
        if persistent == self.body.persistent {
            return self;
        }
        self.change(|body| body.persistent = persistent);
        self
    }

    /// Whether the browser keeps the session's cookie when it closes.
    #[must_use]
    pub fn persistent(&self) -> bool {
        self.body.persistent
    }

    /// How the user authenticated, if the app stated it.
    #[must_use]
    pub fn proof(&self) -> Option<&Proof> {
        self.body.proof.as_deref()
    }

    /// When the current token was made.
    #[must_use]
    pub fn issued_at(&self) -> Timestamp {
        self.rotation
            .as_ref()
            .map_or(self.created_at, |rotation| rotation.issued_at)
    }

    fn change(&mut self, change: impl FnOnce(&mut Body)) {
        let body = Arc::make_mut(&mut self.body);
        change(body);
        body.settle();
    }

    /// The part that requests rarely change.
    pub(crate) fn shared(&self) -> Arc<Body> {
        Arc::clone(&self.body)
    }

    /// The user; `None` for a guest session.
    #[must_use]
    pub fn user_id(&self) -> Option<&UserId> {
        self.body.user.as_ref()
    }

    /// Whether a request at `now` that counts as activity is written, see
    /// [`Resolve::activity_every`](crate::store::Resolve::activity_every).
    ///
    /// It is if the stored activity is older than `step`. A step longer than a seventeenth of the idle
    /// time counts as that.
    #[must_use]
    pub fn activity_is_due(&self, now: Timestamp, step: Duration) -> bool {
        // The layer adds a sixteenth to the idle time at most, which is a seventeenth of the sum.
        now.since(self.last_activity) > step.min(self.idle / 17)
    }

    /// The stored form: a header that scripts read, and a body that only Rust reads.
    ///
    /// The header is big-endian, with times in milliseconds:
    ///
    /// | part | type |
    /// |---|---|
    /// | version, kind, class | `u8` each |
    /// | mark of the realm, zeros for none | 3 bytes |
    /// | revision | `u32` |
    /// | created, authenticated: each with the [era](Self::began_at); last activity | `i64` each |
    /// | idle, deadline | `i64` each |
    /// | digest of the token | 32 bytes |
    /// | [`Rotation`], if the session had another token | 123 bytes |
    ///
    /// The body is `MessagePack`: user id, address, user agent, client hints, proof, whether the cookie ends
    /// with the browser session, last seen, and how long it lives after a re-authentication. Missing fields at the end are
    /// left out.
    ///
    /// # Errors
    ///
    /// If the body cannot be written; no value that can be built does that.
    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        let mut bytes = Vec::with_capacity(ABOUT);
        self.encode_to(&mut bytes)?;
        Ok(bytes)
    }

    /// Adds the stored form to these bytes.
    pub(crate) fn encode_to(&self, bytes: &mut Vec<u8>) -> Result<(), RecordError> {
        bytes.put_u8(VERSION);
        bytes.put_u8(self.kind());
        let class = if self.counts {
            self.class.number()
        } else {
            UNCOUNTED
        };
        bytes.put_u8(class);
        bytes.put_slice(&self.mark);
        bytes.put_u32(u32::try_from(self.revision).unwrap_or(u32::MAX));
        bytes.put_i64(self.created_at.in_era(self.era).as_millis());
        bytes.put_i64(self.authenticated_at.in_era(self.era).as_millis());
        bytes.put_i64(self.last_activity.as_millis());
        bytes.put_i64(millis(self.idle));
        bytes.put_i64(self.deadline.as_millis());
        bytes.put_slice(self.digest.as_bytes());
        if let Some(rotation) = &self.rotation {
            rotation.encode(bytes);
        }
        self.body.encode_to(bytes)
    }

    fn kind(&self) -> u8 {
        let kind = if self.user_id().is_some() {
            USER
        } else {
            GUEST
        };
        match &self.rotation {
            None if self.unused => kind + UNUSED,
            None => kind,
            Some(rotation) if rotation.is_unused() => kind + ROTATED + UNSENT,
            Some(_) => kind + ROTATED,
        }
    }

    /// The part of the stored form that only Rust reads.
    #[cfg(any(test, feature = "redis"))]
    pub(crate) fn encode_body(&self) -> Result<Vec<u8>, RecordError> {
        self.body.encode()
    }

    /// How many bytes of that part, from its start, name the user, the address and the user agent.
    #[cfg(feature = "redis")]
    pub(crate) fn named(&self) -> u16 {
        self.body.named()
    }

    /// Reads the stored form.
    ///
    /// # Errors
    ///
    /// If the bytes are no stored session, or one of another version.
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

    /// This session as the store made it: times and class come from the header, which may end before the
    /// digest.
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
        let flags = WITH_DATA | ROTATED | UNSENT | UNUSED;
        let (version, written) = (header.get_u8(), header.get_u8());
        let unused = written & UNUSED != 0;
        let contradicts = match written & (ROTATED | UNSENT) {
            0 => false,
            UNSENT => true,
            _ => unused,
        };
        if version != VERSION || written & !flags != kind || contradicts {
            return Err(RecordError(None));
        }
        let class = header.get_u8();
        let counts = class != UNCOUNTED;
        let mut mark = [0; 3];
        header.copy_to_slice(&mut mark);
        let revision = header.get_u32().into();
        let moments = [header.get_i64(), header.get_i64()].map(Timestamp::from_millis);
        let (era, [created_at, authenticated_at]) = Era::of_session(moments);
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
            unused,
            rotation: None,
            era,
            mark,
            body,
        })
    }
}

#[cfg(test)]
mod tests;
