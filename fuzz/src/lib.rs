//! Code that the fuzz targets share.

mod counting;
mod request;
mod sent;

pub use self::{
    counting::Counting,
    request::{Act, Request},
    sent::Sent,
};
