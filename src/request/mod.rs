//! What a request tells: the token in its cookie, where it comes from, and from what device.

#[cfg(feature = "client-ip")]
mod client_ip;
pub(crate) mod cookie;
mod peer;

#[cfg(feature = "client-ip")]
pub use self::client_ip::ClientIp;
pub use self::peer::PeerAddr;
