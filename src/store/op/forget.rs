//! The arguments of [`forget`](crate::store::SessionStore::forget).

use crate::model::{Digest, SessionId, Tag};

/// The arguments of [`forget`](crate::store::SessionStore::forget): an end notice.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Forget {
    /// The session set.
    pub tag: Tag,
    /// The session that has ended.
    pub id: SessionId,
    /// The [`digest`](crate::EndNotice::digest) in the notice.
    pub digest: Digest,
}

impl Forget {
    /// The notice of this session, with this digest.
    #[must_use]
    pub fn new(tag: Tag, id: SessionId, digest: Digest) -> Self {
        Self { tag, id, digest }
    }
}
