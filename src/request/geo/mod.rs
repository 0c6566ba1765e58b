//! Where an address is.

mod database;
mod error;
mod place;
mod reach;

pub use self::{
    database::GeoIp,
    error::{GeoIpError, GeoIpErrorKind},
    place::{Geo, Place},
};
