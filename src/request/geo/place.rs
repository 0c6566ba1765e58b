//! A place on earth, and who knows it.

use std::{net::IpAddr, sync::Arc};

/// Tells where in the world an address is.
///
/// [`GeoIp`](super::GeoIp) reads it from a file; a service or a table of your own may know it too:
///
/// ```
/// use std::net::IpAddr;
/// use tower_user_sessions::{Geo, Place};
///
/// struct Office(IpAddr);
///
/// impl Geo for Office {
///     fn place(&self, address: IpAddr) -> Option<Place> {
///         (address == self.0).then(|| Place {
///             city: Some("Berlin".to_owned()),
///             country: Some("Germany".to_owned()),
///         })
///     }
/// }
/// ```
pub trait Geo: Send + Sync + 'static {
    /// Where this address is, as far as it is known.
    ///
    /// Called for each session in a list, on the thread that makes the list: it must not wait.
    fn place(&self, address: IpAddr) -> Option<Place>;
}

impl<G: Geo + ?Sized> Geo for Arc<G> {
    fn place(&self, address: IpAddr) -> Option<Place> {
        (**self).place(address)
    }
}

/// Without anybody who tells, no place is known.
impl<G: Geo> Geo for Option<G> {
    fn place(&self, address: IpAddr) -> Option<Place> {
        self.as_ref()?.place(address)
    }
}

/// A place, in the words of the language that was chosen.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Place {
    /// The city.
    pub city: Option<String>,
    /// The country.
    pub country: Option<String>,
}
