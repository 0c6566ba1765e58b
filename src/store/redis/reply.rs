//! Reads the reply of a script, part by part.

use std::{error::Error, vec};

use bytes::Bytes;
use deadpool_redis::redis::Value;

use crate::{
    model::{Record, SessionId, Timestamp, id::decode_12},
    store::{StoreError, StoreErrorKind},
};

/// The outcome of a reply that is only a record, or the header of one.
pub(super) const ALONE: i64 = -1;

/// The position of the last activity in a record.
const LAST_ACTIVITY: usize = 26;

/// A reply. It is an array that begins with the outcome and the store's time. Or it is a record alone
/// ([`ALONE`]), whose last activity is the store's time.
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

    /// The reply is none that the script's header lists.
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

    /// A number that is not negative.
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

    /// The rest of the reply: id, id, …
    pub(super) fn ids(&mut self) -> Result<Vec<SessionId>, StoreError> {
        let mut ids = Vec::with_capacity(self.rest.len());
        while !self.rest.as_slice().is_empty() {
            let id = decode_12(&self.bytes()?).ok_or_else(Self::unexpected)?;
            ids.push(SessionId::from_bytes(id));
        }
        Ok(ids)
    }

    /// The record of this session; `None` if its body cannot be read, which scripts do not check.
    pub(super) fn record(&mut self, id: SessionId) -> Result<Option<Record>, StoreError> {
        let record = Record::decode(id, &self.bytes()?).inspect_err(|error| {
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
            let id = decode_12(&self.bytes()?).ok_or_else(Self::unexpected)?;
            // An unreadable record must not hide the others.
            records.extend(self.record(SessionId::from_bytes(id))?);
        }
        Ok(records)
    }
}
