//! The arguments of [`note_client`](crate::store::SessionStore::note_client).

use crate::model::{LastSeen, Record, Tag, Timestamp};

/// The arguments of [`note_client`](crate::store::SessionStore::note_client): the client of a request.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct NoteClient {
    /// The session set.
    pub tag: Tag,
    /// The session as the request read it.
    pub record: Record,
    /// The client to note, in place of the [`last_seen`](Record::last_seen) of that record.
    pub last_seen: LastSeen,
    /// A session that [began](Record::began_at) earlier is not live.
    pub not_before: Option<Timestamp>,
}

impl NoteClient {
    /// Notes this client in the session that this record was read of.
    #[must_use]
    pub fn new(tag: Tag, record: Record, last_seen: LastSeen) -> Self {
        Self {
            tag,
            record,
            last_seen,
            not_before: None,
        }
    }
}
