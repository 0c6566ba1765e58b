//! The address that a request came from, where the app made it known.

use std::net::{IpAddr, SocketAddr};

/// The address of the peer: insert it as a request extension, and a sign-in notes it.
///
/// No header is trusted for it. In axum it comes from `ConnectInfo`:
///
/// ```
/// use std::net::SocketAddr;
/// use axum::{extract::{ConnectInfo, Request}, middleware::Next, response::Response};
/// use tower_user_sessions::PeerAddr;
///
/// async fn note_peer(peer: ConnectInfo<SocketAddr>, mut request: Request, next: Next) -> Response {
///     request.extensions_mut().insert(PeerAddr::from(peer.0));
///     next.run(request).await
/// }
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct PeerAddr(IpAddr);

impl PeerAddr {
    /// The address.
    #[must_use]
    pub const fn ip(self) -> IpAddr {
        self.0
    }
}

impl From<IpAddr> for PeerAddr {
    /// An IPv4 address that came mapped into IPv6 (`::ffff:192.0.2.1`) is noted as IPv4.
    fn from(address: IpAddr) -> Self {
        Self(address.to_canonical())
    }
}

impl From<SocketAddr> for PeerAddr {
    fn from(address: SocketAddr) -> Self {
        Self::from(address.ip())
    }
}
