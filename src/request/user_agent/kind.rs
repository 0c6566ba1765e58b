//! What kind of thing a client is.

/// What kind of thing a client is.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum DeviceKind {
    /// A program that visits on its own account: a crawler, a link preview, a monitor.
    Bot,
    /// A computer.
    Desktop,
    /// A phone.
    Mobile,
    /// A television, a console, or nothing that can be told.
    Other,
    /// A tablet.
    Tablet,
    /// A program that somebody calls with: curl, a library, a backup job.
    Tool,
}

impl DeviceKind {
    /// The kind as the device API writes it: `desktop`, `mobile` …
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
