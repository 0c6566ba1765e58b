//! Reads the reply of a script, part by part.

use std::{error::Error, vec};

use bytes::Bytes;
use deadpool_redis::redis::Value;

use crate::{
    model::{Digest, EndNotice, Era, Record, SessionId, Timestamp, id::decode_12},
    store::{Deadlines, Presence, StoreError, StoreErrorKind},
};

/// The outcome of a reply that is only a record, or the header of one.
pub(super) const ALONE: i64 = -1;

/// The position of the last activity in a record.
const LAST_ACTIVITY: usize = 26;

/// Where a record has its digest.
const DIGEST: std::ops::Range<usize> = 50..82;

/// What a reply must contain to be the reply to this request.
///
/// A proxy that loses one reply hands every later one to the wrong caller.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected {
    /// The 8 bytes of the request that its script returns.
    pub(super) of: [u8; 8],
    /// What the reply is where it is no array.
    pub(super) alone: Alone,
}

/// A reply that is no array.
#[derive(Clone, Copy, Debug)]
pub(super) enum Alone {
    /// There is none.
    Never,
    /// The first 50 bytes of a record, then the 8 bytes of the request.
    Header,
    /// The record with this digest.
    Record(Digest),
}

/// A reply: an array of the outcome, the store's time, 8 bytes of the request and what else there is;
/// or [`ALONE`] a record, whose last activity is that time.
#[derive(Debug)]
pub(super) struct Reply {
    outcome: i64,
    now: i64,
    /// A record that stands alone.
    alone: Option<Vec<u8>>,
    rest: vec::IntoIter<Value>,
    /// Whether replicas that had to confirm it did not.
    unconfirmed: bool,
}

impl Reply {
    /// Takes a reply apart; `None` if it is the reply to another request.
    pub(super) fn new(value: Value, expected: &Expected) -> Option<Self> {
        let mut rest = match value {
            Value::Array(values) => values.into_iter(),
            Value::BulkString(bytes) => return Self::alone(bytes, expected),
            _ => return None,
        };
        match (rest.next(), rest.next(), rest.next()) {
            (Some(Value::Int(outcome)), Some(Value::Int(now)), Some(Value::BulkString(of)))
                if of == expected.of =>
            {
                Some(Self {
                    outcome,
                    now,
                    alone: None,
                    rest,
                    unconfirmed: false,
                })
            }
            _ => None,
        }
    }

    fn alone(mut bytes: Vec<u8>, expected: &Expected) -> Option<Self> {
        match &expected.alone {
            Alone::Never => return None,
            Alone::Header => {
                let header = bytes.len().checked_sub(expected.of.len())?;
                if header != DIGEST.start || bytes.get(header..)? != expected.of {
                    return None;
                }
                bytes.truncate(header);
            }
            Alone::Record(digest) => {
                let found = bytes.get(DIGEST)?.try_into().ok()?;
                if Digest::from_bytes(found) != *digest {
                    return None;
                }
            }
        }
        let now = bytes.get(LAST_ACTIVITY..)?.first_chunk()?;
        Some(Self {
            outcome: ALONE,
            now: i64::from_be_bytes(*now),
            alone: Some(bytes),
            rest: Vec::new().into_iter(),
            unconfirmed: false,
        })
    }

    /// The answer is none of those that the script's header names.
    pub(super) fn unexpected() -> StoreError {
        StoreError::new(StoreErrorKind::Corrupt)
    }

    /// The same reply, to a call that replicas did not confirm in time.
    pub(super) fn unconfirmed(self) -> Self {
        Self {
            unconfirmed: true,
            ..self
        }
    }

    /// An error if replicas had to confirm the call and did not.
    pub(super) fn confirmed(&self) -> Result<(), StoreError> {
        if self.unconfirmed {
            return Err(StoreError::new(StoreErrorKind::Unconfirmed));
        }
        Ok(())
    }

    pub(super) fn now(&self) -> i64 {
        self.now
    }

    /// The outcome and the store's time.
    pub(super) fn head(&self) -> (i64, Timestamp) {
        (self.outcome, Timestamp::from_millis(self.now))
    }

    pub(super) fn integer(&mut self) -> Result<Option<i64>, StoreError> {
        match self.rest.next() {
            Some(Value::Int(integer)) => Ok(Some(integer)),
            Some(Value::Nil) => Ok(None),
            _ => Err(Self::unexpected()),
        }
    }

    /// A number that is not negative.
    pub(super) fn count(&mut self) -> Result<u64, StoreError> {
        self.integer()?
            .and_then(|integer| u64::try_from(integer).ok())
            .ok_or_else(Self::unexpected)
    }

    pub(super) fn optional_bytes(&mut self) -> Result<Option<Bytes>, StoreError> {
        Ok(self.optional_vec()?.map(Bytes::from))
    }

    pub(super) fn bytes(&mut self) -> Result<Bytes, StoreError> {
        self.vec().map(Bytes::from)
    }

    fn optional_vec(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        if let Some(bytes) = self.alone.take() {
            return Ok(Some(bytes));
        }
        match self.rest.next() {
            Some(Value::BulkString(bytes)) => Ok(Some(bytes)),
            Some(Value::Nil) => Ok(None),
            _ => Err(Self::unexpected()),
        }
    }

    fn vec(&mut self) -> Result<Vec<u8>, StoreError> {
        self.optional_vec()?.ok_or_else(Self::unexpected)
    }

    pub(super) fn text(&mut self) -> Result<String, StoreError> {
        String::from_utf8(self.vec()?).map_err(|_error| Self::unexpected())
    }

    /// The rest of the reply: text, text, … Keys that are no text belong to others.
    pub(super) fn texts(&mut self) -> Result<Vec<String>, StoreError> {
        let mut texts = Vec::with_capacity(self.rest.len());
        while !self.rest.as_slice().is_empty() {
            texts.extend(String::from_utf8(self.vec()?));
        }
        Ok(texts)
    }

    /// The rest of the reply: id, id, …
    pub(super) fn ids(&mut self) -> Result<Vec<SessionId>, StoreError> {
        let mut ids = Vec::with_capacity(self.rest.len());
        while !self.rest.as_slice().is_empty() {
            let id = decode_12(&self.vec()?).ok_or_else(Self::unexpected)?;
            ids.push(SessionId::from_bytes(id));
        }
        Ok(ids)
    }

    /// What the next session is, as `look.lua` says it.
    pub(super) fn presence(
        &mut self,
        id: SessionId,
        not_before: Option<Timestamp>,
    ) -> Result<Presence, StoreError> {
        match self.rest.next() {
            Some(Value::Nil) => Ok(Presence::Unknown),
            Some(Value::BulkString(bytes)) => {
                let everyone = || {
                    let record = Record::decode(id, &bytes).ok()?;
                    let moment = record.ended_with_all(not_before)?;
                    Some(EndNotice::everyone(record.digest, moment, &record))
                };
                let notice = EndNotice::decode(&bytes).or_else(everyone);
                Ok(notice.map_or(Presence::Unknown, Presence::Ended))
            }
            Some(Value::Array(times)) => match times[..] {
                [
                    Value::Int(created),
                    Value::Int(authenticated),
                    Value::Int(idle),
                    Value::Int(absolute),
                ] => {
                    let moments = [created, authenticated].map(Timestamp::from_millis);
                    let (era, [created_at, authenticated_at]) = Era::of_session(moments);
                    Ok(Presence::Live(Deadlines {
                        created_at,
                        authenticated_at,
                        idle: Timestamp::from_millis(idle),
                        absolute: Timestamp::from_millis(absolute),
                        era,
                    }))
                }
                _ => Err(Self::unexpected()),
            },
            _ => Err(Self::unexpected()),
        }
    }

    /// An error if the reply has more parts.
    pub(super) fn is_over(&self) -> Result<(), StoreError> {
        if self.alone.is_none() && self.rest.as_slice().is_empty() {
            return Ok(());
        }
        Err(Self::unexpected())
    }

    /// The record of this session; `None` if its body cannot be read, which scripts do not check.
    pub(super) fn record(&mut self, id: SessionId) -> Result<Option<Record>, StoreError> {
        let record = Record::decode(id, &self.vec()?).inspect_err(|error| {
            tracing::warn!(
                error = error as &dyn Error,
                "a stored session cannot be read and is treated as unknown"
            );
        });
        Ok(record.ok())
    }

    /// The readable records in the rest of the reply: id, record, id, record, …
    pub(super) fn records(&mut self) -> Result<Vec<Record>, StoreError> {
        let mut records = Vec::with_capacity(self.rest.len() / 2);
        while !self.rest.as_slice().is_empty() {
            let id = decode_12(&self.vec()?).ok_or_else(Self::unexpected)?;
            // An unreadable record must not hide the others.
            records.extend(self.record(SessionId::from_bytes(id))?);
        }
        Ok(records)
    }
}
