//! What a request tells: the token in its cookie, where it comes from, and from what device.

#[cfg(feature = "client-ip")]
mod client_ip;
pub(crate) mod cookie;
#[cfg(feature = "geoip")]
mod geo;
#[cfg(feature = "device")]
mod hints;
#[cfg(not(feature = "device"))]
#[path = "no_hints.rs"]
mod hints;
mod peer;
#[cfg(feature = "device")]
mod user_agent;

#[cfg(feature = "client-ip")]
pub use self::client_ip::ClientIp;
#[cfg(feature = "geoip")]
pub use self::geo::{Geo, GeoIp, GeoIpError, GeoIpErrorKind, Place};
pub(crate) use self::hints::RawHints;
pub use self::peer::PeerAddr;
#[cfg(feature = "device")]
pub use self::user_agent::{Device, DeviceKind};
