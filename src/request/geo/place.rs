//! A place, and the trait that looks it up.

use std::{net::IpAddr, sync::Arc};

/// Looks up where an address is.
///
/// Pass it to `DeviceApi::geo` and `DevicePage::geo`, so that users see "Berlin, Germany" beside each
/// device. [`GeoIp`](super::GeoIp) reads places from a file. Implement it yourself to use a table or a
/// service of your own:
///
/// ```
/// use std::net::IpAddr;
/// use tower_user_sessions::{Geo, Place};
///
/// struct Office(IpAddr);
///
/// impl Geo for Office {
///     fn place(&self, address: IpAddr) -> Option<Place> {
///         (address == self.0).then(|| Place::new().with_city("Berlin").with_country("Germany"))
///     }
/// }
/// ```
pub trait Geo: Send + Sync + 'static {
    /// Returns the place of this address, if it is known.
    ///
    /// Called for each session in a list. It must not block: the list waits for it.
    fn place(&self, address: IpAddr) -> Option<Place>;
}

impl<G: Geo + ?Sized> Geo for Arc<G> {
    fn place(&self, address: IpAddr) -> Option<Place> {
        (**self).place(address)
    }
}

/// `None` knows no place.
impl<G: Geo> Geo for Option<G> {
    fn place(&self, address: IpAddr) -> Option<Place> {
        self.as_ref()?.place(address)
    }
}

/// A place, in the language that [`GeoIp::language`](super::GeoIp::language) chose.
#[non_exhaustive]
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Place {
    /// The city: "Berlin".
    pub city: Option<String>,
    /// The country: "Germany".
    pub country: Option<String>,
}

impl Place {
    /// A place of which nothing is known.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the city.
    #[must_use]
    pub fn with_city(mut self, city: impl Into<String>) -> Self {
        self.city = Some(city.into());
        self
    }

    /// Sets the country.
    #[must_use]
    pub fn with_country(mut self, country: impl Into<String>) -> Self {
        self.country = Some(country.into());
        self
    }
}
