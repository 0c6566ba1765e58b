//! The address of the peer, if the app or the framework provides it.

use std::net::{IpAddr, SocketAddr};

use http::Extensions;

/// The address of the peer, for the list of devices. Insert it as a request extension, and a sign-in
/// stores it.
///
/// A tonic server provides it by itself, with the feature `tonic`, unless an axum `Router` serves it. Behind a proxy the peer is
/// the proxy: use [`SessionLayer::client_ip`](crate::SessionLayer) instead.
///
/// Insert it outside of the `SessionLayer`, which reads it first. Inside of the layer it has no effect, and no line of the
/// log says so unless tokens rotate. In axum it comes from `ConnectInfo`, and its middleware is added after the `SessionLayer`:
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
/// // app.layer(sessions).layer(axum::middleware::from_fn(note_peer))
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct PeerAddr(IpAddr);

impl PeerAddr {
    /// Returns the address.
    #[must_use]
    pub const fn ip(self) -> IpAddr {
        self.0
    }

    /// The address that the app inserted, or else that of the framework.
    pub(crate) fn of(extensions: &Extensions) -> Option<IpAddr> {
        let noted = extensions.get().map(|peer: &Self| peer.ip());
        noted.or_else(|| connected(extensions))
    }
}

/// The peer of a connection that a tonic server accepted.
#[cfg(feature = "tonic")]
fn connected(extensions: &Extensions) -> Option<IpAddr> {
    let info: &tonic::transport::server::TcpConnectInfo = extensions.get()?;
    info.remote_addr()
        .map(|address| PeerAddr::from(address).ip())
}

#[cfg(not(feature = "tonic"))]
const fn connected(_extensions: &Extensions) -> Option<IpAddr> {
    None
}

impl From<IpAddr> for PeerAddr {
    /// An IPv4 address that is mapped into IPv6 (`::ffff:192.0.2.1`) becomes IPv4.
    fn from(address: IpAddr) -> Self {
        Self(address.to_canonical())
    }
}

impl From<SocketAddr> for PeerAddr {
    fn from(address: SocketAddr) -> Self {
        Self::from(address.ip())
    }
}
