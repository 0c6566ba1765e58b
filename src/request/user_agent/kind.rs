//! Kinds of devices.

use std::fmt;

/// The kind of a device.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum DeviceKind {
    /// A program that visits by itself: a crawler, a link preview, a monitor.
    Bot,
    /// A computer.
    Desktop,
    /// A phone.
    Mobile,
    /// A television, a console, or unknown.
    Other,
    /// A tablet.
    Tablet,
    /// A program that a user runs: curl, a library, a backup job.
    Tool,
}

impl DeviceKind {
    /// Returns the kind as the device API writes it: `desktop`, `mobile` …
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bot => "bot",
            Self::Desktop => "desktop",
            Self::Mobile => "mobile",
            Self::Other => "other",
            Self::Tablet => "tablet",
            Self::Tool => "tool",
        }
    }
}

impl fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
