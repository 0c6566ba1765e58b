//! The option for places in lists.

use super::{device::DeviceApi, places::Places};
use crate::request::Geo;

impl DeviceApi {
    /// Looks up the place of each session's address for `location`, with a [`GeoIp`](crate::GeoIp) or a
    /// [`Geo`](crate::Geo) of yours.
    ///
    /// Called once for each session in the list.
    ///
    /// Defaults to no places.
    ///
    /// ```no_run
    /// use tower_user_sessions::{DeviceApi, GeoIp};
    ///
    /// let api = DeviceApi::new().geo(GeoIp::open("GeoLite2-City.mmdb")?);
    /// # let _ = api;
    /// # Ok::<(), tower_user_sessions::GeoIpError>(())
    /// ```
    pub fn geo(mut self, geo: impl Geo) -> Self {
        self.places = Places::from(geo);
        self
    }
}
