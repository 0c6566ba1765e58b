//! Places on the page: who tells them.

use super::DevicePage;
use crate::{api::places::Places, request::Geo};

impl DevicePage {
    /// Who tells the place of an address: a [`GeoIp`](crate::GeoIp), or yours. Asked once for each
    /// session on the page.
    ///
    /// Defaults to nobody.
    pub fn geo(mut self, geo: impl Geo) -> Self {
        self.setup().places = Places::from(geo);
        self
    }
}
