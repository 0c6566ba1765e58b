//! Bytes that are no record.

use std::{error, fmt};

/// The bytes are no stored session, or one of another version.
#[derive(Debug)]
pub struct RecordError(pub(super) Option<Box<dyn error::Error + Send + Sync>>);

impl RecordError {
    pub(in super::super) fn because(source: impl error::Error + Send + Sync + 'static) -> Self {
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
