//! The settings of a layer, behind one pointer.

use std::{fmt, sync::Arc};

use http::{Request, request::Parts};

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

/// What a request asks of its session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Asks {
    /// To pass untouched.
    Nothing,
    /// To be resolved, without prolonging it.
    Resolve,
    /// To be resolved and prolonged.
    Activity,
}

impl Config {
    /// What the predicates say. Without any, the request is not even taken apart.
    #[inline]
    pub(super) fn asks<B>(&self, request: Request<B>) -> (Request<B>, Asks) {
        if self.resolve_if.is_none() && self.counts_as_activity.is_none() {
            return (request, Asks::Activity);
        }
        let (parts, body) = request.into_parts();
        let holds =
            |predicate: &Option<Predicate>| predicate.as_ref().is_none_or(|it| it.holds(&parts));
        let asks = if !holds(&self.resolve_if) {
            Asks::Nothing
        } else if !holds(&self.counts_as_activity) {
            Asks::Resolve
        } else {
            Asks::Activity
        };
        (Request::from_parts(parts, body), asks)
    }
}
