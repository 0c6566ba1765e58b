//! Where the sessions of a list are.

use std::{fmt, net::IpAddr, sync::Arc};

use super::location::Location;
use crate::request::Geo;

/// Looks up places, if the app gave it something to look them up in.
#[derive(Clone)]
pub(super) struct Places(Option<Arc<dyn Geo>>);

impl Places {
    pub(super) fn unknown() -> Self {
        Self(None)
    }

    pub(super) fn from(geo: impl Geo) -> Self {
        Self(Some(Arc::new(geo)))
    }

    pub(super) fn of(&self, address: Option<IpAddr>) -> Option<Location> {
        let place = self.0.as_ref()?.place(address?)?;
        Some(Location {
            city: place.city,
            country: place.country,
        })
    }
}

impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = if self.0.is_some() { ".." } else { "" };
        write!(f, "Places({known})")
    }
}
