//! The settings of a layer, behind one pointer.

use std::{fmt, sync::Arc};

use http::request::Parts;

use super::cookie::SessionCookie;
use crate::session::Rules;

/// What happens to a request whose token cannot be looked up because the store does not answer.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum OnOutage {
    /// 503 with `Retry-After`; the service is not called and the cookie stays, so that an outage does
    /// not look like a sign-out.
    #[default]
    Refuse,
    /// The service is called with an unavailable `Session`: no user, nothing can be staged, no cookie
    /// is set.
    Guest,
}

#[derive(Clone)]
pub(super) struct Predicate(Arc<dyn Fn(&Parts) -> bool + Send + Sync>);

impl Predicate {
    pub(super) fn new(predicate: impl Fn(&Parts) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(predicate))
    }

    fn holds(&self, parts: &Parts) -> bool {
        (self.0)(parts)
    }
}

impl fmt::Debug for Predicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Predicate(..)")
    }
}

#[derive(Clone, Debug)]
pub(super) struct Config {
    /// Every session holds these by a pointer of its own.
    pub(super) rules: Arc<Rules>,
    pub(super) cookie: SessionCookie,
    pub(super) on_outage: OnOutage,
    pub(super) resolve_if: Option<Predicate>,
    pub(super) counts_as_activity: Option<Predicate>,
}

impl Config {
    pub(super) fn resolves(&self, parts: &Parts) -> bool {
        self.resolve_if
            .as_ref()
            .is_none_or(|predicate| predicate.holds(parts))
    }

    pub(super) fn counts_as_activity(&self, parts: &Parts) -> bool {
        self.counts_as_activity
            .as_ref()
            .is_none_or(|predicate| predicate.holds(parts))
    }
}
