//! Where the address of the client is read from.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::{HeaderMap, HeaderName};

use super::{
    forwarded::{self, Node},
    logged::Logged,
};

/// Where the client's address is read from: the peer, or a header that a trusted proxy sets.
///
/// Name the header of your proxy if all requests pass it, and if it overwrites or extends what the client
/// sent. Otherwise a client can send any address it likes. The page
/// [`behind_a_proxy`](crate::guide::behind_a_proxy#the-address-of-the-client) says which header that is for nginx, haproxy, Caddy,
/// Apache and Varnish.
///
/// Then only that header counts. If it is missing or unreadable, there is no address. The same is true if a header
/// that holds one address is sent twice. The peer's is not used instead, because that is the proxy's own. A port after the
/// address is removed: `198.51.100.4:8000`, `[2001:db8::1]:443`.
///
/// A header that is missing is a line at `debug`. The first one that cannot be read is a warning in the log. It does not have the value, which may be an
/// address.
///
/// ```
/// use http::HeaderMap;
/// use tower_user_sessions::ClientIp;
///
/// let peer = Some("10.0.0.7".parse().unwrap());
/// let mut headers = HeaderMap::new();
/// headers.insert("x-real-ip", "198.51.100.4:8000".parse().unwrap());
///
/// assert_eq!(ClientIp::Peer.address(&headers, peer), peer);
/// assert_eq!(
///     ClientIp::XRealIp.address(&headers, peer),
///     Some("198.51.100.4".parse().unwrap()),
/// );
/// assert_eq!(ClientIp::CfConnectingIp.address(&headers, peer), None);
/// ```
///
/// Behind several proxies, say how many of them you trust. Each of them adds one address to the list, that
/// of its own peer:
///
/// ```
/// # use http::HeaderMap;
/// # use tower_user_sessions::ClientIp;
/// let mut headers = HeaderMap::new();
/// // The client invented the first, the CDN added the second, the load balancer the third.
/// headers.insert("x-forwarded-for", "1.1.1.1, 198.51.100.4, 10.0.0.9".parse().unwrap());
///
/// assert_eq!(
///     ClientIp::XForwardedFor { proxies: 2 }.address(&headers, None),
///     Some("198.51.100.4".parse().unwrap()),
/// );
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum ClientIp {
    /// `CF-Connecting-IP`, set by Cloudflare.
    CfConnectingIp,
    /// `CloudFront-Viewer-Address`, set by AWS `CloudFront`: address and port.
    CloudFrontViewerAddress,
    /// `Fly-Client-IP`, set by Fly.io.
    FlyClientIp,
    /// `Forwarded` (RFC 7239): the address in the `for` that the outermost of your proxies added.
    ///
    /// A client can invent all elements to the left of it. There is no address if the proxy wrote `unknown`
    /// or a name of its own (`_gateway`), or if the list is shorter than `proxies`.
    Forwarded {
        /// How many proxies before your app you trust; 0 counts as 1.
        proxies: u8,
    },
    /// Another header that holds one address and nothing else.
    Header(HeaderName),
    /// The peer's address; no header is trusted.
    #[default]
    Peer,
    /// The rightmost address in the last `X-Forwarded-For`, which the nearest proxy added. A client can
    /// invent all addresses to the left of it.
    RightmostXForwardedFor,
    /// `True-Client-IP`, set by Akamai and Cloudflare.
    TrueClientIp,
    /// `X-Envoy-External-Address`, set by Envoy.
    XEnvoyExternalAddress,
    /// `X-Forwarded-For`: the address that the outermost of your proxies added.
    ///
    /// A client can invent all addresses to the left of it. There is no address if the list is shorter than
    /// `proxies`.
    XForwardedFor {
        /// How many proxies before your app you trust; 0 counts as 1.
        proxies: u8,
    },
    /// `X-Real-Ip`, set by nginx if it has the line `proxy_set_header X-Real-IP $remote_addr;`. Behind other proxies it
    /// comes from the client.
    XRealIp,
}

/// Headers whose value could not be read. Each is logged once.
static LOGGED: Logged<HeaderName> = Logged::new();

impl ClientIp {
    /// Returns the client's address. An IPv4 address that is mapped into IPv6 becomes IPv4.
    ///
    /// Returns `None` if the header is missing or unreadable, or if the peer is unknown.
    #[must_use]
    pub fn address(&self, headers: &HeaderMap, peer: Option<IpAddr>) -> Option<IpAddr> {
        let Some(name) = self.header() else {
            return peer.map(|address| address.to_canonical());
        };
        let node = match self {
            Self::RightmostXForwardedFor => listed(headers, &name, 1, node_of),
            Self::XForwardedFor { proxies } => listed(headers, &name, *proxies, node_of),
            Self::Forwarded { proxies } => listed(headers, &name, *proxies, forwarded::node),
            Self::CloudFrontViewerAddress => only(headers, &name, before_port),
            _ => only(headers, &name, node_of),
        };
        match node {
            Some(Node::Address(address)) => return Some(address.to_canonical()),
            Some(Node::Unknown) => {
                tracing::debug!(header = %name, "no client address where the trusted proxy puts it");
            }
            None => unreadable(&name),
        }
        None
    }

    /// The header that is read; `None` for the peer.
    fn header(&self) -> Option<HeaderName> {
        Some(HeaderName::from_static(match self {
            Self::Peer => return None,
            Self::Header(name) => return Some(name.clone()),
            Self::CfConnectingIp => "cf-connecting-ip",
            Self::CloudFrontViewerAddress => "cloudfront-viewer-address",
            Self::FlyClientIp => "fly-client-ip",
            Self::Forwarded { .. } => "forwarded",
            Self::RightmostXForwardedFor | Self::XForwardedFor { .. } => "x-forwarded-for",
            Self::TrueClientIp => "true-client-ip",
            Self::XEnvoyExternalAddress => "x-envoy-external-address",
            Self::XRealIp => "x-real-ip",
        }))
    }
}

/// A header that must be there once.
fn only(headers: &HeaderMap, name: &HeaderName, read: fn(&str) -> Option<Node>) -> Option<Node> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Some(Node::Unknown),
        (Some(value), None) => read(value.to_str().ok()?),
        (Some(_), Some(_)) => None,
    }
}

/// What the outermost of the trusted proxies added to a list, which may have several lines.
fn listed(
    headers: &HeaderMap,
    name: &HeaderName,
    proxies: u8,
    read: fn(&str) -> Option<Node>,
) -> Option<Node> {
    if !headers.contains_key(name) {
        return Some(Node::Unknown);
    }
    let mut left = proxies.max(1);
    for line in headers.get_all(name).iter().rev() {
        // The client wrote the beginning: bytes in it that are no text must not hide what the proxies added.
        let line = String::from_utf8_lossy(line.as_bytes());
        let mut rest = Some(&*line);
        while let Some(text) = rest {
            let (before, element) = forwarded::last_element(text);
            left -= 1;
            if left == 0 {
                return if element.is_ascii() {
                    read(element)
                } else {
                    None
                };
            }
            rest = before;
        }
    }
    None
}

/// An address, with or without a port. IPv6 before a port is in brackets.
pub(super) fn node_of(text: &str) -> Option<Node> {
    let text = text.trim();
    if let Ok(address) = text.parse() {
        return Some(Node::Address(address));
    }
    if text.eq_ignore_ascii_case("unknown") {
        return Some(Node::Unknown);
    }
    if let Some(bracketed) = text.strip_prefix('[') {
        let (address, port) = bracketed.split_once(']')?;
        let address: Ipv6Addr = address.parse().ok()?;
        let is_alone = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        return is_alone.then_some(Node::Address(address.into()));
    }
    let (address, port) = text.split_once(':')?;
    let address: Ipv4Addr = address.parse().ok()?;
    is_port(port).then_some(Node::Address(address.into()))
}

/// `CloudFront` writes a port behind every address, and IPv6 without brackets.
fn before_port(text: &str) -> Option<Node> {
    let (address, port) = text.trim().rsplit_once(':')?;
    let address = address.parse().ok()?;
    is_port(port).then_some(Node::Address(address))
}

/// A number, or a name that a proxy gave it (RFC 7239 §6).
fn is_port(port: &str) -> bool {
    let is_number = port.parse::<u16>().is_ok() && !port.starts_with('+');
    is_number || port.len() > 1 && port.starts_with('_')
}

fn unreadable(name: &HeaderName) {
    if !LOGGED.is_new(name.clone()) {
        tracing::debug!(header = %name, "no client address: the header cannot be read");
        return;
    }
    tracing::warn!(
        header = %name,
        "this header has no readable address of the client, so the session has none; check that your proxy \
         sets it once, to an address with or without a port. The next one is logged at debug"
    );
}
