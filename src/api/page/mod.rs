//! The device page: "Where you're signed in", in HTML.

mod ago;
mod answer;
mod asset;
mod form;
#[cfg(feature = "geoip")]
mod geo;
mod icon;
mod policy;
mod route;
mod service;
mod setup;
mod view;
mod words;

pub use self::{service::DevicePage, words::Words};
