//! Where the sessions of a list are.

use std::{net::IpAddr, sync::Arc};

use super::location::Location;
use crate::{model::Hidden, request::Geo};

/// Looks up places, if the app gave it something to look them up in.
#[derive(Clone, Debug)]
pub(super) struct Places(Option<Hidden<dyn Geo>>);

impl Places {
    pub(super) fn unknown() -> Self {
        Self(None)
    }

    pub(super) fn from(geo: impl Geo) -> Self {
        Self(Some(Hidden(Arc::new(geo))))
    }

    pub(super) fn of(&self, address: Option<IpAddr>) -> Option<Location> {
        let place = self.0.as_ref()?.place(address?)?;
        Some(Location {
            city: place.city,
            country: place.country,
        })
    }
}
