//! What is known of the client that signed in.

use std::net::IpAddr;

use super::hints::Hints;

/// The longest user agent that is kept, in bytes.
const USER_AGENT_MAX: usize = 512;

/// What is known of the client that signed in.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Client {
    address: Option<IpAddr>,
    user_agent: Option<Box<str>>,
    // Boxed as a whole: most clients have none, and there is one client for each session.
    hints: Option<Box<Hints>>,
}

impl Client {
    /// A client of which nothing is known.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes the address.
    ///
    /// Defaults to none.
    #[must_use]
    pub fn with_address(mut self, address: Option<IpAddr>) -> Self {
        self.address = address;
        self
    }

    /// Notes the user agent as it came over the wire: bytes that are not UTF-8 are replaced, control
    /// characters are dropped, and all that does not fit into 512 bytes.
    ///
    /// Defaults to none.
    #[must_use]
    pub fn with_user_agent(mut self, raw: Option<&[u8]>) -> Self {
        self.user_agent = raw.and_then(|raw| clean(raw, USER_AGENT_MAX));
        self
    }

    /// Notes the client hints.
    ///
    /// Defaults to none.
    ///
    /// ```
    /// use tower_user_sessions::{Client, Hints};
    ///
    /// let client = Client::new().with_hints(
    ///     Hints::new()
    ///         .with_brands(Some(br#""Chromium";v="142", "Google Chrome";v="142""#))
    ///         .with_mobile(Some(b"?0"))
    ///         .with_platform(Some(br#""Windows""#)),
    /// );
    ///
    /// assert_eq!(client.hints().unwrap().mobile(), Some("?0"));
    /// ```
    #[must_use]
    pub fn with_hints(mut self, hints: Hints) -> Self {
        self.hints = (!hints.is_empty()).then(|| Box::new(hints));
        self
    }

    /// What a store kept: it was cleaned when it was noted.
    pub(super) fn stored(
        address: Option<IpAddr>,
        user_agent: Option<&str>,
        hints: Option<Hints>,
    ) -> Self {
        Self {
            address,
            user_agent: user_agent.map(Box::from),
            hints: hints.map(Box::new),
        }
    }

    /// The peer's address at the sign-in.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// The cleaned user agent at the sign-in.
    #[must_use]
    pub fn user_agent(&self) -> Option<&str> {
        self.user_agent.as_deref()
    }

    /// The cleaned client hints at the sign-in, where there were any.
    #[must_use]
    pub fn hints(&self) -> Option<&Hints> {
        self.hints.as_deref()
    }
}

/// Text of at most so many bytes, without control characters; `None` if nothing is left.
pub(super) fn clean(raw: &[u8], max: usize) -> Option<Box<str>> {
    // What is longer than this is hostile, and work on it has to end.
    let head = raw.get(..4 * max).unwrap_or(raw);
    if head.len() <= max && head.iter().all(|byte| matches!(byte, b' '..=b'~')) {
        // What nearly every client sends, at a tenth of the time.
        let text = str::from_utf8(head).ok()?.trim();
        return (!text.is_empty()).then(|| Box::from(text));
    }
    let text = String::from_utf8_lossy(head);
    let mut kept = String::new();
    let plain = text
        .chars()
        .filter(|c| !c.is_control() && !is_invisible(*c));
    for c in plain.skip_while(|c| c.is_whitespace()) {
        if kept.len() + c.len_utf8() > max {
            break;
        }
        kept.push(c);
    }
    // After the cut, so that cleaning again, as a stored record is, changes nothing.
    kept.truncate(kept.trim_end().len());
    (!kept.is_empty()).then(|| kept.into_boxed_str())
}

/// Characters that only turn or hide others: with them, a label would read as another device's.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_agent_loses_controls_and_all_beyond_512_bytes() {
        let client = Client::new().with_user_agent(Some(b"a\x00b\r\n\x1b[31mc\xff"));
        assert_eq!(client.user_agent(), Some("ab[31mc\u{fffd}"));

        let client = Client::new().with_user_agent(Some("\u{202e}a\u{200b}é\u{feff}".as_bytes()));
        assert_eq!(client.user_agent(), Some("aé"));

        let long = "ü".repeat(40_000);
        let client = Client::new().with_user_agent(Some(long.as_bytes()));
        assert_eq!(client.user_agent(), Some("ü".repeat(256).as_str()));
        assert_eq!(
            Client::new().with_user_agent(Some(b" \t")).user_agent(),
            None
        );
    }
}
