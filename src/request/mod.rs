//! What a request says: its token, the client's address and device, and where it may be redirected.

mod alike;
mod bearer;
#[cfg(feature = "client-ip")]
mod client_ip;
mod cookie;
mod copied;
mod end_words;
#[cfg(feature = "client-ip")]
mod forwarded;
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
mod local_path;
mod logged;
mod other_site;
pub(crate) mod passed;
mod peer;
mod plain_http;
mod raw;
mod source;
mod speculative;
#[cfg(feature = "device")]
mod user_agent;

#[cfg(feature = "client-ip")]
pub use self::client_ip::ClientIp;
pub(crate) use self::end_words::NAMED;
#[cfg(feature = "geoip")]
pub use self::geo::{Geo, GeoIp, GeoIpError, GeoIpErrorKind, Place};
#[cfg(feature = "device")]
pub use self::user_agent::{Device, DeviceKind};
pub(crate) use self::{
    alike::{alike, mark, same_client},
    bearer::token_of,
    cookie::{GUEST, named as named_cookie},
    copied::copied,
    hints::RawHints,
    label::label,
    logged::Logged,
    other_site::{SEC_FETCH_MODE, is_script_of_other_site},
    plain_http::{SEC_FETCH_SITE, is_from_plain_http, is_from_webkit_on_this_machine},
    source::{Reading, Sent, Tokens, Way},
    speculative::says_speculative,
};
pub use self::{end_words::EndWords, local_path::local_path, peer::PeerAddr, source::TokenSource};
