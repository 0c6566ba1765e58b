//! What is known of the client that signed in.

use std::net::IpAddr;

/// The longest user agent that is kept, in bytes.
const USER_AGENT_MAX: usize = 512;

/// What is known of the client that signed in.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Client {
    address: Option<IpAddr>,
    user_agent: Option<Box<str>>,
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
        self.user_agent = raw.and_then(clean);
        self
    }

    /// What a store kept: it was cleaned when it was noted.
    pub(super) fn stored(address: Option<IpAddr>, user_agent: Option<&str>) -> Self {
        Self {
            address,
            user_agent: user_agent.map(Box::from),
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
}

fn clean(raw: &[u8]) -> Option<Box<str>> {
    // Each byte makes at most one replacement character, so this is enough to fill the 512.
    let head = raw.get(..4 * USER_AGENT_MAX).unwrap_or(raw);
    if head.len() <= USER_AGENT_MAX && head.iter().all(|byte| matches!(byte, b' '..=b'~')) {
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
        if kept.len() + c.len_utf8() > USER_AGENT_MAX {
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
