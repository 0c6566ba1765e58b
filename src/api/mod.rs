//! What users see of their sessions: the device API, the device page, and extractors for axum.

#[cfg(feature = "api")]
mod answer;
#[cfg(feature = "api")]
mod body;
#[cfg(feature = "api")]
mod current;
#[cfg(all(feature = "api", feature = "device"))]
mod described;
#[cfg(all(feature = "api", not(feature = "device")))]
#[path = "undescribed.rs"]
mod described;
#[cfg(feature = "api")]
mod device;
#[cfg(feature = "api")]
mod entry;
#[cfg(feature = "axum")]
mod extract;
#[cfg(all(feature = "api", feature = "geoip"))]
mod geo;
#[cfg(feature = "api")]
mod location;
#[cfg(feature = "api")]
mod mount;
#[cfg(feature = "api")]
mod origin;
#[cfg(feature = "page")]
mod page;
#[cfg(all(feature = "api", feature = "geoip"))]
mod places;
#[cfg(all(feature = "api", not(feature = "geoip")))]
#[path = "no_places.rs"]
mod places;
#[cfg(feature = "axum")]
mod respond;
#[cfg(feature = "api")]
mod route;
#[cfg(feature = "axum")]
mod user;

#[cfg(feature = "page")]
pub use self::page::{DevicePage, Words};
#[cfg(feature = "axum")]
pub use self::user::User;
#[cfg(feature = "api")]
pub use self::{
    body::DeviceBody,
    device::{DeviceApi, DeviceFuture},
    origin::OriginError,
};
