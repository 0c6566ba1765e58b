//! The name and version of a browser, an app, a bot or a tool.

use std::borrow::Cow;

/// The longest name that is taken from a request, in characters.
const NAME_MAX: usize = 40;

/// The longest version, in bytes.
const VERSION_MAX: usize = 20;

/// The name and version of a browser, an app, a bot or a tool.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Named {
    pub(super) name: Cow<'static, str>,
    pub(super) version: Option<Box<str>>,
}

impl Named {
    /// A known one.
    pub(super) fn known(name: &'static str, version: Option<&str>) -> Self {
        Self {
            name: Cow::Borrowed(name),
            version: version.and_then(digits),
        }
    }

    /// One that the request names; `None` if nothing remains. The texts of a client have no invisible characters.
    pub(super) fn sent(name: &str, version: Option<&str>) -> Option<Self> {
        let name: String = name.chars().take(NAME_MAX).collect();
        let name = name.trim();
        (!name.is_empty()).then(|| Self {
            name: Cow::Owned(name.to_owned()),
            version: version.and_then(digits),
        })
    }

    /// The same without its version.
    pub(super) fn unversioned(self) -> Self {
        Self {
            version: None,
            ..self
        }
    }
}

/// The digits and dots at the start, without zeros at the end: `142.0.0.0` is 142.
fn digits(text: &str) -> Option<Box<str>> {
    let end = text
        .bytes()
        .take(VERSION_MAX)
        .take_while(|byte| byte.is_ascii_digit() || *byte == b'.')
        .count();
    let mut version = text.get(..end)?.trim_matches('.');
    while let Some(shorter) = version.strip_suffix(".0") {
        version = shorter.trim_end_matches('.');
    }
    (!version.is_empty()).then(|| Box::from(version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_ends_where_its_digits_do() {
        for (text, version) in [
            ("142.0.0.0", Some("142")),
            ("8.10.0-DEV", Some("8.10")),
            ("18.5", Some("18.5")),
            ("10", Some("10")),
            ("0", Some("0")),
            ("..1..0.", Some("1")),
            ("", None),
            ("...", None),
            ("FBIOS", None),
            ("١٢", None),
        ] {
            assert_eq!(digits(text).as_deref(), version, "{text}");
        }
    }
}
