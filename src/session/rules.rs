//! The settings of a layer that its sessions work by.

use std::time::Duration;

use crate::{
    model::{Lifetime, Limit, Timestamp},
    store::SharedStore,
};

#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) store: SharedStore,
    pub(crate) lifetime: Lifetime,
    pub(crate) limit: Limit,
    pub(crate) data_limit: usize,
    pub(crate) guests: Guests,
    pub(crate) not_before: Option<Timestamp>,
}

/// What a guest may keep: they cost memory before anybody has signed in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guests {
    pub(crate) allowed: bool,
    pub(crate) idle: Duration,
    pub(crate) data_limit: usize,
}
