//! The parts of a session set: the data of each session, stored beside it.

use bytes::{Buf, BufMut, Bytes};

use super::{
    Live, Part, SessionSet,
    codec::{VERSION, corrupt, version},
};
use crate::{
    model::{Data, SessionId, Timestamp},
    store::{Create, StoreError, StoreErrorKind},
};

impl SessionSet {
    /// Whether this session has data, read or not.
    #[must_use]
    pub fn has_part(&self, id: SessionId) -> bool {
        self.part(id).is_some_and(|part| !part.is_empty())
    }

    /// Whether this session has data that was not read. [`add_part`](Self::add_part) adds it.
    #[must_use]
    pub fn lacks_part(&self, id: SessionId) -> bool {
        self.part(id).is_some_and(|part| *part == Part::Away)
    }

    /// The session whose data a `create` needs and the set lacks.
    ///
    /// `resolve` and `save` need those of their session, and `end` those of the one session that it names.
    #[must_use]
    pub fn lacks_for(&self, create: &Create, now: Timestamp) -> Option<SessionId> {
        let needed = if self.find(create.id).is_some() {
            Some(create.id)
        } else {
            self.replaced(create.replaces, now)
        };
        needed.filter(|id| self.lacks_part(*id))
    }

    /// The stored form of the data of this session. `None` if it has none, or it was not read.
    ///
    /// It is `u8 version, u64 revision`, then [`Data::as_bytes`].
    #[must_use]
    pub fn encode_part(&self, id: SessionId) -> Option<Bytes> {
        let live = self.find(id)?;
        let data = live.data();
        if data.is_empty() {
            return None;
        }
        let mut bytes = Vec::with_capacity(9 + data.as_bytes().len());
        bytes.put_u8(VERSION);
        bytes.put_u64(live.record.revision);
        bytes.put_slice(data.as_bytes());
        Some(bytes.into())
    }

    /// Adds the data of this session. If it has none now, nothing happens.
    ///
    /// # Errors
    ///
    /// The kind is [`TooNew`](StoreErrorKind::TooNew) if a newer version of this crate wrote the part. It is
    /// [`Corrupt`](StoreErrorKind::Corrupt) if the bytes are no part, or one of another revision.
    pub fn add_part(&mut self, id: SessionId, mut bytes: Bytes) -> Result<(), StoreError> {
        let Some(live) = self.live.iter_mut().find(|live| live.record.id == id) else {
            return Ok(());
        };
        let Live { record, more } = live;
        let Some(more) = more.as_mut().filter(|more| more.data == Part::Away) else {
            return Ok(());
        };
        version(bytes.first(), VERSION)?;
        bytes.advance(1);
        if bytes.try_get_u64().map_err(corrupt)? != record.revision {
            return Err(StoreError::new(StoreErrorKind::Corrupt));
        }
        more.data = Part::Here(Data::from_bytes(bytes)?);
        Ok(())
    }

    fn part(&self, id: SessionId) -> Option<&Part> {
        let live = self.find(id)?;
        live.more.as_ref().map(|more| &more.data)
    }
}
