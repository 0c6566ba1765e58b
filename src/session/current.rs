//! What the store said of the session of a request.

use super::live::Mark;
use crate::{
    model::{Data, Record, Tag, Timestamp},
    store::Found,
};

/// What is stored of the session.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "a box would be one more allocation of each request"
)]
pub(crate) enum Current {
    /// A guest session that has nothing stored.
    Nothing,
    /// A session of a user, or a guest session with data.
    Live(Live),
    /// The session ended while the request was running, so what is staged for it is lost. Its record, if that was known.
    Gone(Option<Box<Record>>),
    /// The store could not be asked.
    Unavailable,
}

/// A stored session as it was read last.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) tag: Tag,
    pub(crate) record: Record,
    pub(crate) data: Data,
    /// The revision of `data`. `None` if other requests wrote in between and it is not complete: an update
    /// must read again.
    pub(crate) data_at: Option<u64>,
    pub(crate) now: Timestamp,
    /// The point in the store's feed from before it was read, if streams are open.
    pub(crate) mark: Option<Mark>,
    /// A near cache answered, and whether the request counts as activity. `None` if the store did.
    pub(crate) near: Option<bool>,
}

impl Live {
    pub(crate) fn new(tag: Tag, found: Found) -> Self {
        let Found {
            record, data, now, ..
        } = found;
        Self {
            tag,
            data_at: Some(record.revision),
            record,
            data,
            now,
            mark: None,
            near: None,
        }
    }
}
