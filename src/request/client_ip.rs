//! Where the address of the client is read from.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, header::AsHeaderName};

/// Where the client's address is read from: the peer, or a header that a trusted proxy sets.
///
/// Name the header of your proxy if all requests pass it, and if it overwrites what the client sent.
/// Otherwise a client can send any address it likes.
///
/// Then only that header counts. If it is missing, malformed or sent twice, there is no address. The
/// peer's is not used instead, because that is the proxy's own.
///
/// ```
/// use http::HeaderMap;
/// use tower_user_sessions::ClientIp;
///
/// let peer = Some("10.0.0.7".parse().unwrap());
/// let mut headers = HeaderMap::new();
/// headers.insert("x-real-ip", "198.51.100.4".parse().unwrap());
///
/// assert_eq!(ClientIp::Peer.address(&headers, peer), peer);
/// assert_eq!(
///     ClientIp::XRealIp.address(&headers, peer),
///     Some("198.51.100.4".parse().unwrap()),
/// );
/// assert_eq!(ClientIp::CfConnectingIp.address(&headers, peer), None);
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
    /// `X-Real-Ip`, set by nginx.
    XRealIp,
}

impl ClientIp {
    /// Returns the client's address. An IPv4 address that is mapped into IPv6 becomes IPv4.
    ///
    /// Returns `None` if the header is missing or malformed, or if the peer is unknown.
    #[must_use]
    pub fn address(&self, headers: &HeaderMap, peer: Option<IpAddr>) -> Option<IpAddr> {
        let found = match self {
            Self::Peer => return peer.map(|address| address.to_canonical()),
            Self::Header(name) => only(headers, name),
            Self::CfConnectingIp => client_ip::cf_connecting_ip(headers).ok(),
            // The crate takes the last of two, which may not be the proxy's.
            Self::CloudFrontViewerAddress if is_twice(headers, "cloudfront-viewer-address") => None,
            Self::CloudFrontViewerAddress => client_ip::cloudfront_viewer_address(headers).ok(),
            Self::FlyClientIp => client_ip::fly_client_ip(headers).ok(),
            Self::RightmostXForwardedFor => client_ip::rightmost_x_forwarded_for(headers).ok(),
            Self::TrueClientIp => client_ip::true_client_ip(headers).ok(),
            Self::XEnvoyExternalAddress => client_ip::x_envoy_external_address(headers).ok(),
            Self::XRealIp => client_ip::x_real_ip(headers).ok(),
        };
        if found.is_none() {
            // The crate's errors hold the value, which is an address: they stay out of the log.
            tracing::debug!(source = ?self, "no client address where the trusted proxy puts it");
        }
        found.map(|address| address.to_canonical())
    }
}

/// The address in a header that is there once.
fn only(headers: &HeaderMap, name: &HeaderName) -> Option<IpAddr> {
    if is_twice(headers, name) {
        return None;
    }
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

fn is_twice(headers: &HeaderMap, name: impl AsHeaderName) -> bool {
    headers.get_all(name).iter().nth(1).is_some()
}
