//! What a request tells: the token that it sends, where it comes from, and from what device.

mod bearer;
#[cfg(feature = "client-ip")]
mod client_ip;
mod cookie;
mod end_words;
#[cfg(feature = "geoip")]
mod geo;
#[cfg(feature = "device")]
mod hints;
#[cfg(not(feature = "device"))]
#[path = "no_hints.rs"]
mod hints;
#[cfg(feature = "device")]
mod label;
#[cfg(not(feature = "device"))]
#[path = "no_label.rs"]
mod label;
pub(crate) mod passed;
mod peer;
mod raw;
mod source;
#[cfg(feature = "device")]
mod user_agent;

#[cfg(feature = "client-ip")]
pub use self::client_ip::ClientIp;
#[cfg(feature = "geoip")]
pub use self::geo::{Geo, GeoIp, GeoIpError, GeoIpErrorKind, Place};
#[cfg(feature = "device")]
pub use self::user_agent::{Device, DeviceKind};
pub(crate) use self::{
    cookie::named as named_cookie,
    hints::RawHints,
    label::label,
    source::{Sent, Way},
};
pub use self::{end_words::EndWords, peer::PeerAddr, source::TokenSource};
