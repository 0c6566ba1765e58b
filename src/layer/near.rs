//! Which requests a near cache may answer.

use http::{HeaderMap, HeaderName, Method, header::UPGRADE, request::Parts};

#[cfg(feature = "live")]
use super::layer::SessionLayer;
use super::{config::Predicate, require::is_navigation};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

#[cfg(feature = "live")]
impl<R> SessionLayer<R> {
    /// Which requests a near cache may answer, if the store is a [`Near`](crate::store::Near): without it, none.
    ///
    /// Choose requests that may see a session as it was up to 5 s ago on another node, such as those of an API that
    /// only read. Leave out what checks an OAuth state, shows a flash message, or follows a redirect after a POST. Or
    /// let their handlers call [`Session::verify`](crate::Session::verify).
    ///
    /// Whatever you return, these ask the store: guest sessions, requests with `Upgrade` or `CONNECT`, such as
    /// a WebSocket, and pages that a browser opens from another site. `DeviceApi`, `DevicePage` and
    /// [`RequireFresh`](crate::RequireFresh) verify the session at the store.
    ///
    /// Defaults to none. See [`guide::near_cache`](crate::guide::near_cache).
    ///
    /// ```
    /// use http::Method;
    /// use tower_user_sessions::{MemoryStore, SessionLayer, store::Near};
    ///
    /// let layer = SessionLayer::new(Near::new(MemoryStore::new()))
    ///     .near(|request| request.method == Method::GET && request.uri.path().starts_with("/api/"));
    /// # let _ = layer;
    /// ```
    pub fn near(mut self, predicate: impl Fn(&Parts) -> bool + Send + Sync + 'static) -> Self {
        self.config().near = Some(Predicate::new(predicate));
        self
    }
}

/// Whether the app and the kind of the request allow it.
pub(super) fn may_answer(predicate: Option<&Predicate>, parts: &Parts) -> bool {
    predicate.is_some_and(|predicate| predicate.holds(parts))
        && parts.method != Method::CONNECT
        && !parts.headers.contains_key(UPGRADE)
        && !(is_navigation(&parts.method, &parts.headers)
            && may_come_from_elsewhere(&parts.headers))
}

/// Whether another site may have sent the browser here, as at the end of a sign-in by OAuth. Older browsers do not say
/// it.
fn may_come_from_elsewhere(headers: &HeaderMap) -> bool {
    let site = headers.get(SEC_FETCH_SITE);
    site.is_none_or(|site| site != "same-origin" && site != "none")
}
