//! Without the feature `device` no client hints are read.

use http::{HeaderMap, HeaderName};

use crate::model::Hints;

/// No client hints.
#[derive(Debug, Default)]
pub(crate) struct RawHints(());

impl RawHints {
    pub(crate) const fn begin_with(_name: &HeaderName) -> bool {
        false
    }

    pub(crate) fn read(_headers: &HeaderMap) -> Self {
        Self(())
    }

    #[expect(
        clippy::unused_self,
        clippy::needless_pass_by_ref_mut,
        reason = "as with the feature"
    )]
    pub(crate) const fn detach(&mut self) {}

    #[expect(clippy::unused_self, reason = "as with the feature")]
    pub(crate) fn cleaned(&self) -> Hints {
        Hints::new()
    }
}
