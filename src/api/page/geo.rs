//! The option for places on the page.

use super::DevicePage;
use crate::{api::places::Places, request::Geo};

impl DevicePage {
    /// Looks up the place of each session's address, with a [`GeoIp`](crate::GeoIp) or a
    /// [`Geo`](crate::Geo) of yours.
    ///
    /// Called once for each session in the list.
    ///
    /// Defaults to no places.
    ///
    /// ```no_run
    /// use tower_user_sessions::{DevicePage, GeoIp};
    ///
    /// let page = DevicePage::at("/devices").geo(GeoIp::open("GeoLite2-City.mmdb")?);
    /// # let _ = page;
    /// # Ok::<(), tower_user_sessions::GeoIpError>(())
    /// ```
    pub fn geo(mut self, geo: impl Geo) -> Self {
        self.setup().places = Places::from(geo);
        self
    }
}
