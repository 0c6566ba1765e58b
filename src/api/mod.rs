//! What users see of their sessions: the device API, and the extractor for axum.

#[cfg(feature = "api")]
mod answer;
#[cfg(feature = "api")]
mod body;
#[cfg(feature = "api")]
mod device;
#[cfg(feature = "axum")]
mod extract;
#[cfg(feature = "api")]
mod route;
#[cfg(feature = "axum")]
mod user;

#[cfg(feature = "api")]
pub use self::{
    body::DeviceBody,
    device::{DeviceApi, DeviceFuture},
};
#[cfg(feature = "axum")]
pub use self::{extract::MissingSession, user::User};
