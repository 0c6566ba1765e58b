//! Places in lists: who tells them.

use super::{device::DeviceApi, places::Places};
use crate::request::Geo;

impl DeviceApi {
    /// Who tells the place of an address, for `location`: a [`GeoIp`](crate::GeoIp), or yours. Asked
    /// once for each session in a list.
    ///
    /// Defaults to nobody.
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
