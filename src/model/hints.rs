//! The client hints of a browser.

use serde::{Deserialize, Serialize};

use super::clean::clean;

/// The most bytes of each hint: 256 in all.
const BRANDS_MAX: usize = 220;
const MOBILE_MAX: usize = 4;
const PLATFORM_MAX: usize = 32;

/// The client hints that Chromium browsers send with every request: brand, mobile, platform.
///
/// With the feature `device` the layer stores them at a sign-in and uses them for the device's name in
/// lists. You need this type only to build a [`Client`](crate::Client) yourself, or to read the stored
/// hints.
///
/// Control characters are dropped, and everything beyond 220 bytes of brands, 4 of the mobile flag and
/// 32 of the platform.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Hints {
    brands: Option<Box<str>>,
    mobile: Option<Box<str>>,
    platform: Option<Box<str>>,
}

impl Hints {
    /// No hints.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the value of the header `Sec-CH-UA`.
    ///
    /// Defaults to none.
    #[must_use]
    pub fn with_brands(mut self, raw: Option<&[u8]>) -> Self {
        self.brands = raw.and_then(|raw| clean(raw, BRANDS_MAX));
        self
    }

    /// Sets the value of the header `Sec-CH-UA-Mobile`.
    ///
    /// Defaults to none.
    #[must_use]
    pub fn with_mobile(mut self, raw: Option<&[u8]>) -> Self {
        self.mobile = raw.and_then(|raw| clean(raw, MOBILE_MAX));
        self
    }

    /// Sets the value of the header `Sec-CH-UA-Platform`.
    ///
    /// Defaults to none.
    #[must_use]
    pub fn with_platform(mut self, raw: Option<&[u8]>) -> Self {
        self.platform = raw.and_then(|raw| clean(raw, PLATFORM_MAX));
        self
    }

    /// The brands and their versions, for example `"Chromium";v="142", "Google Chrome";v="142"`.
    #[must_use]
    pub fn brands(&self) -> Option<&str> {
        self.brands.as_deref()
    }

    /// Whether the browser asks for a mobile layout: `?1` or `?0`.
    #[must_use]
    pub fn mobile(&self) -> Option<&str> {
        self.mobile.as_deref()
    }

    /// The platform in quotes, for example `"Windows"`.
    #[must_use]
    pub fn platform(&self) -> Option<&str> {
        self.platform.as_deref()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The hints in this order: brands, mobile, platform.
#[derive(Deserialize, Serialize)]
pub(super) struct WrittenHints<'a>(Option<&'a str>, Option<&'a str>, Option<&'a str>);

impl<'a> From<&'a Hints> for WrittenHints<'a> {
    fn from(hints: &'a Hints) -> Self {
        Self(hints.brands(), hints.mobile(), hints.platform())
    }
}

impl From<WrittenHints<'_>> for Hints {
    fn from(WrittenHints(brands, mobile, platform): WrittenHints<'_>) -> Self {
        Self::new()
            .with_brands(brands.map(str::as_bytes))
            .with_mobile(mobile.map(str::as_bytes))
            .with_platform(platform.map(str::as_bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // T37
    #[test]
    fn hints_lose_controls_and_take_256_bytes_at_most() {
        let long = "\x1bü".repeat(40_000);
        let raw = Some(long.as_bytes());

        let hints = Hints::new()
            .with_brands(raw)
            .with_mobile(raw)
            .with_platform(raw);

        assert_eq!(hints.brands(), Some("ü".repeat(110).as_str()));
        assert_eq!(hints.mobile(), Some("üü"));
        assert_eq!(hints.platform(), Some("ü".repeat(16).as_str()));
    }

    #[test]
    fn white_space_is_no_hint() {
        let hints = Hints::new()
            .with_brands(Some(b" \t"))
            .with_mobile(Some(b"\r\n"));

        assert!(hints.is_empty());
    }
}
