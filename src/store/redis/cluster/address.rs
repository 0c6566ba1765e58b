//! Where a node of a Cluster is reached.

use std::fmt;

/// The host and port of a node.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Address {
    pub(super) host: Box<str>,
    pub(super) port: u16,
}

impl Address {
    pub(super) fn new(host: &str, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
        }
    }

    /// Reads `host:port` as a node writes it; `None` where it does not know the host.
    ///
    /// An empty host is the one under which the node that answered was reached. IPv6 comes with or without brackets.
    pub(super) fn parse(text: &str, answered: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let port = port.parse().ok().filter(|port| *port > 0)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        match host {
            "?" => None,
            // Over a Unix socket, or it is not known any more.
            "" if answered.is_empty() => None,
            "" => Some(Self::new(answered, port)),
            host => Some(Self::new(host, port)),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') {
            write!(f, "[{host}]:{port}")
        } else {
            write!(f, "{host}:{port}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_after_the_last_colon() {
        for (text, host) in [
            ("10.0.0.1:7001", "10.0.0.1"),
            ("2001:db8::1:7001", "2001:db8::1"),
            ("[2001:db8::1]:7001", "2001:db8::1"),
            ("node-1.example:7001", "node-1.example"),
            (":7001", "asked.example"),
        ] {
            let address = Address::parse(text, "asked.example");

            assert_eq!(address, Some(Address::new(host, 7001)), "{text}");
        }
    }

    #[test]
    fn an_empty_host_is_no_address_if_the_node_was_reached_under_none() {
        assert_eq!(Address::parse(":7001", ""), None);
        assert_eq!(Address::parse("[]:7001", ""), None);
    }

    #[test]
    fn an_unknown_host_or_port_is_no_address() {
        for text in ["?:7001", "10.0.0.1:0", "10.0.0.1:", "10.0.0.1", ""] {
            assert_eq!(Address::parse(text, "asked.example"), None, "{text}");
        }
    }

    #[test]
    fn an_ipv6_address_is_written_in_brackets() {
        assert_eq!(Address::new("::1", 7001).to_string(), "[::1]:7001");
        assert_eq!(Address::new("host", 7001).to_string(), "host:7001");
    }
}
