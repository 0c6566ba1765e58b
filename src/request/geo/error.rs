//! Why a database could not be opened.

use std::{error, fmt};

use maxminddb::MaxMindDbError;

/// A database of places could not be opened or read again.
#[derive(Debug)]
pub struct GeoIpError {
    kind: GeoIpErrorKind,
    source: MaxMindDbError,
}

/// What is wrong with a database of places.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum GeoIpErrorKind {
    /// The file is not a `MaxMind` DB, or not all of one.
    Corrupt,
    /// There is no such file, or it may not be read.
    Unreadable,
}

impl GeoIpError {
    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> GeoIpErrorKind {
        self.kind
    }
}

impl From<MaxMindDbError> for GeoIpError {
    fn from(source: MaxMindDbError) -> Self {
        let kind = match source {
            MaxMindDbError::Io(_) => GeoIpErrorKind::Unreadable,
            _ => GeoIpErrorKind::Corrupt,
        };
        Self { kind, source }
    }
}

impl fmt::Display for GeoIpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            GeoIpErrorKind::Corrupt => "not a database of places",
            GeoIpErrorKind::Unreadable => "database of places cannot be read",
        })
    }
}

impl error::Error for GeoIpError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        Some(&self.source)
    }
}
