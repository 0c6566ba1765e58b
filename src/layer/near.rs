//! Which requests a near cache may answer.

#[cfg(feature = "live")]
use std::sync::Arc;

use http::{Method, request::Parts};

#[cfg(feature = "live")]
use super::layer::SessionLayer;
use super::{config::Predicate, opened::Opened};
#[cfg(feature = "live")]
use crate::model::Hidden;

#[cfg(feature = "live")]
impl<R> SessionLayer<R> {
    /// Which requests a near cache may answer, if the store is a [`Near`](crate::store::Near). Without a `Near` the setting
    /// does nothing, and the first request logs a warning.
    ///
    /// Choose requests that may see a session as it was on another node some seconds ago, such as those of an API that only
    /// read. The [lease](crate::store::NearBuilder::lease) says how long ago at most, 5 s by default. Leave out what checks an
    /// OAuth state, shows a flash message, or follows a redirect after a POST. Or let their handlers call
    /// [`Session::verify`](crate::Session::verify).
    ///
    /// Whatever you return, these ask the store: guest sessions, requests with `Upgrade` or `CONNECT`, such as
    /// a WebSocket, and pages that a browser opens from another site, by a link or a form. A page that the user opens from the
    /// same origin, or by typing its address, may come from the near cache. Browsers that do not send `Sec-Fetch-Site` do not
    /// say where a page was opened from: there all pages ask the store. `DeviceApi`, `DevicePage` and
    /// [`RequireFresh`](crate::RequireFresh) verify the session at the store.
    ///
    /// Inside of axum's `nest` the path has no prefix, see [`resolve_if`](Self::resolve_if).
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
        self.config().near = Some(Hidden(Arc::new(predicate)));
        self
    }
}

/// Whether the app and the kind of the request allow it.
pub(super) fn may_answer(predicate: Option<&Predicate>, parts: &Parts) -> bool {
    if !predicate.is_some_and(|holds| holds(parts)) || parts.method == Method::CONNECT {
        return false;
    }
    let opened = Opened::read(&parts.headers);
    // A form of another site is one too: OpenID Connect answers so with `response_mode=form_post`.
    let from_elsewhere = opened.opens_page() && opened.may_come_from_elsewhere();
    !opened.upgrades && !from_elsewhere
}
