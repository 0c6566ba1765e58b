//! Session sets in any storage that can write under a condition.

mod storage;
mod stored;
mod version;
mod write;

pub use self::{
    storage::SetStorage,
    stored::Stored,
    version::Version,
    write::{Row, Write, WriteKind, Written},
};
