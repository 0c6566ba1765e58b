//! The client of a session, as it was at the sign-in.

use std::{net::IpAddr, sync::Arc};

use super::{clean::clean, hints::Hints};

/// The most bytes of a user agent.
const USER_AGENT_MAX: usize = 512;

/// A client: address, user agent and client hints.
///
/// The layer fills it from a request: of a session from its sign-in, of an event from the request that caused it. Lists of
/// devices, events and end notices contain it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Client {
    address: Option<IpAddr>,
    user_agent: Option<Arc<str>>,
    // Boxed, because most clients have none and every session has a client.
    hints: Option<Box<Hints>>,
}

impl Client {
    /// A client without address, user agent and hints.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the address.
    ///
    /// Defaults to none.
    #[must_use]
    pub fn with_address(mut self, address: Option<IpAddr>) -> Self {
        self.address = address;
        self
    }

    /// Sets the user agent from the bytes of the header.
    ///
    /// Bytes that are not UTF-8 are replaced. Control characters are dropped, and everything beyond 512
    /// bytes.
    ///
    /// Defaults to none.
    #[must_use]
    pub fn with_user_agent(mut self, raw: Option<&[u8]>) -> Self {
        self.user_agent = raw.and_then(|raw| clean(raw, USER_AGENT_MAX));
        self
    }

    /// Whether both have the same user agent, and known addresses in the same network: the first 24 bits of
    /// IPv4, 56 of IPv6.
    pub(crate) fn is_near(&self, other: &Self) -> bool {
        let (Some(one), Some(two)) = (self.address, other.address) else {
            return false;
        };
        let is_same_network = network(one) == network(two);
        is_same_network && self.user_agent.is_some() && self.user_agent == other.user_agent
    }

    /// Sets the client hints.
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

    /// A client from a stored record. Its texts were cleaned before they were stored.
    pub(super) fn stored(
        address: Option<IpAddr>,
        user_agent: Option<&str>,
        hints: Option<Hints>,
    ) -> Self {
        Self {
            address,
            user_agent: user_agent.map(Arc::from),
            hints: hints.map(Box::new),
        }
    }

    /// Replaces the user agent by an equal one that is shared with other clients.
    pub(crate) fn share_user_agent(&mut self, shared: impl FnOnce(&Arc<str>) -> Arc<str>) {
        if let Some(agent) = &mut self.user_agent {
            *agent = shared(agent);
        }
    }

    /// The address of the client, if it is known.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// The user agent, cleaned; `None` if there was none.
    #[must_use]
    pub fn user_agent(&self) -> Option<&str> {
        self.user_agent.as_deref()
    }

    /// The client hints, cleaned; `None` if there were none.
    #[must_use]
    pub fn hints(&self) -> Option<&Hints> {
        self.hints.as_deref()
    }
}

/// The first 24 bits of an IPv4 address, the first 56 of an IPv6 address.
pub(crate) fn network(address: IpAddr) -> [u8; 16] {
    let mut network = [0; 16];
    let (bytes, kept): (&[u8], usize) = match address.to_canonical() {
        IpAddr::V4(v4) => (&v4.octets(), 3),
        IpAddr::V6(v6) => (&v6.octets(), 7),
    };
    for (to, from) in network.iter_mut().zip(bytes.iter().take(kept)) {
        *to = *from;
    }
    // An IPv4 address is no IPv6 address that begins with the same bytes.
    let [.., last] = &mut network;
    *last = u8::from(kept == 3);
    network
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

        let invisible = "a\u{61c}\u{180e}\u{2028}\u{2029}\u{fff9}\u{e0001}é";
        let client = Client::new().with_user_agent(Some(invisible.as_bytes()));
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
