//! Why a database could not be opened.

use std::{error, fmt};

use maxminddb::MaxMindDbError;

/// A [`GeoIp`](super::GeoIp) file could not be opened or read again.
#[derive(Debug)]
pub struct GeoIpError {
    kind: GeoIpErrorKind,
    source: MaxMindDbError,
}

/// What is wrong with a [`GeoIp`](super::GeoIp) file.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum GeoIpErrorKind {
    /// The file is not a `MaxMind` DB, or only a part of one.
    Corrupt,
    /// The file does not exist, or this process may not read it.
    Unreadable,
}

impl GeoIpError {
    /// Returns what is wrong.
    #[must_use]
    pub const fn kind(&self) -> GeoIpErrorKind {
        self.kind
    }

    pub(super) fn of(source: MaxMindDbError) -> Self {
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
            GeoIpErrorKind::Corrupt => {
                "the file is not a MaxMind DB: download it again, and unpack it"
            }
            GeoIpErrorKind::Unreadable => "the file cannot be read: check its path and permissions",
        })
    }
}

impl error::Error for GeoIpError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        Some(&self.source)
    }
}
