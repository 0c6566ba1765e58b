//! What a script answered, taken apart from the front.

use std::{error::Error, vec};

use bytes::Bytes;
use deadpool_redis::redis::Value;

use crate::{
    model::{Record, SessionId, Timestamp, id::decode_12},
    store::{StoreError, StoreErrorKind},
};

/// The outcome of a reply that is a record, or its header, and nothing else.
pub(super) const ALONE: i64 = -1;

/// Where a record has its last activity.
const LAST_ACTIVITY: usize = 26;

/// A reply: an array that begins with the outcome and the store's time; or [`ALONE`] a record, whose
/// last activity is that time.
#[derive(Debug)]
pub(super) struct Reply {
    outcome: i64,
    now: i64,
    rest: vec::IntoIter<Value>,
}

impl Reply {
    pub(super) fn new(value: Value) -> Result<Self, StoreError> {
        let mut rest = match value {
            Value::Array(values) => values.into_iter(),
            Value::BulkString(record) => {
                let now = record
                    .get(LAST_ACTIVITY..)
                    .and_then(|bytes| bytes.first_chunk())
                    .map(|bytes| i64::from_be_bytes(*bytes))
                    .ok_or_else(Self::unexpected)?;
                return Ok(Self {
                    outcome: ALONE,
                    now,
                    rest: vec![Value::BulkString(record)].into_iter(),
                });
            }
            _ => return Err(Self::unexpected()),
        };
        match (rest.next(), rest.next()) {
            (Some(Value::Int(outcome)), Some(Value::Int(now))) => Ok(Self { outcome, now, rest }),
            _ => Err(Self::unexpected()),
        }
    }

    /// The answer is none of those that the script's header names.
    pub(super) fn unexpected() -> StoreError {
        StoreError::new(StoreErrorKind::Corrupt)
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

    /// A number that counts something.
    pub(super) fn count(&mut self) -> Result<u64, StoreError> {
        self.integer()?
            .and_then(|integer| u64::try_from(integer).ok())
            .ok_or_else(Self::unexpected)
    }

    pub(super) fn optional_bytes(&mut self) -> Result<Option<Bytes>, StoreError> {
        match self.rest.next() {
            Some(Value::BulkString(bytes)) => Ok(Some(bytes.into())),
            Some(Value::Nil) => Ok(None),
            _ => Err(Self::unexpected()),
        }
    }

    pub(super) fn bytes(&mut self) -> Result<Bytes, StoreError> {
        self.optional_bytes()?.ok_or_else(Self::unexpected)
    }

    /// All that is left: id, id, …
    pub(super) fn ids(&mut self) -> Result<Vec<SessionId>, StoreError> {
        let mut ids = Vec::with_capacity(self.rest.len());
        while !self.rest.as_slice().is_empty() {
            let id = decode_12(&self.bytes()?).ok_or_else(Self::unexpected)?;
            ids.push(SessionId::from_bytes(id));
        }
        Ok(ids)
    }

    /// The record of this session; none where nobody can read what scripts took for one.
    pub(super) fn record(&mut self, id: SessionId) -> Result<Option<Record>, StoreError> {
        let record = Record::decode(id, &self.bytes()?).inspect_err(|error| {
            tracing::warn!(
                error = error as &dyn Error,
                "a stored session cannot be read"
            );
        });
        Ok(record.ok())
    }

    /// All that is left, and can be read: id, record, id, record, …
    pub(super) fn records(&mut self) -> Result<Vec<Record>, StoreError> {
        let mut records = Vec::with_capacity(self.rest.len() / 2);
        while !self.rest.as_slice().is_empty() {
            let id = decode_12(&self.bytes()?).ok_or_else(Self::unexpected)?;
            // One that cannot be read must not hide the others.
            records.extend(self.record(SessionId::from_bytes(id))?);
        }
        Ok(records)
    }
}
