//! What stands for the streams without the feature `live`.

use std::sync::Arc;

use super::Session;
use crate::{model::Tag, store::SharedStore};

/// No streams.
#[derive(Debug)]
pub(crate) struct Registry;

/// No point in a feed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark;

impl Registry {
    pub(crate) fn new(_store: &SharedStore) -> Arc<Self> {
        Arc::new(Self)
    }

    #[expect(clippy::unused_self, reason = "as with the feature")]
    pub(crate) const fn mark(&self, _tag: Tag) -> Option<Mark> {
        None
    }
}

/// There are none to note anything of.
#[derive(Default)]
pub(super) struct Streams(());

impl Session {
    #[expect(clippy::unused_self, reason = "as with the feature")]
    pub(super) const fn look_again(&self) {}
}
