//! What the fuzz targets share.

mod counting;
mod request;
mod shown;

pub use self::{
    counting::Counting,
    request::{Act, Request},
    shown::Shown,
};
