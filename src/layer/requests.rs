//! Which requests have a session, in an outage too, and which of them count as activity.

use std::{sync::Arc, time::Duration};

use http::request::Parts;

use super::{config::OnOutage, layer::SessionLayer};
use crate::model::Hidden;
#[cfg(feature = "live")]
use crate::session::Registry;

impl<R> SessionLayer<R> {
    /// Which requests have a session. The others pass without a `Session` and without a store call.
    ///
    /// Return false for static files and health checks. A handler on such a path that asks for a
    /// `Session` answers 500, and the log says why.
    ///
    /// Inside of axum's `nest` the path has no prefix: a layer of the router that is nested at `/api` sees `/poll`, not
    /// `/api/poll`.
    ///
    /// Defaults to all.
    ///
    /// ```
    /// use tower_user_sessions::{MemoryStore, SessionLayer};
    ///
    /// let layer = SessionLayer::new(MemoryStore::new())
    ///     .resolve_if(|request| !request.uri.path().starts_with("/static/"));
    /// # let _ = layer;
    /// ```
    pub fn resolve_if(
        mut self,
        predicate: impl Fn(&Parts) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.config().resolve_if = Some(Hidden(Arc::new(predicate)));
        self
    }

    /// Which requests prolong their session and make it the most recently active one.
    ///
    /// Return false for what a page does without its user, such as polling in the background. Such a
    /// request has its session and its user like any other. Only the idle time and the order of eviction
    /// do not change.
    ///
    /// The countdown of `DeviceApi` never counts, whatever you return, see
    /// [`countdown_path`](Self::countdown_path). Its `POST` has to count, or "stay signed in" does not
    /// work.
    ///
    /// Nor does a [speculative](crate::Session::is_speculative) request count: its user has not opened the page
    /// yet. The guide has the few lines of JavaScript by which a prerendered page counts once it is opened,
    /// see [`guide::devices`](crate::guide::devices).
    ///
    /// Inside of axum's `nest` the path has no prefix, see [`resolve_if`](Self::resolve_if).
    ///
    /// Defaults to all but the countdown and speculative requests.
    ///
    /// ```
    /// use tower_user_sessions::{MemoryStore, SessionLayer};
    ///
    /// let layer = SessionLayer::new(MemoryStore::new())
    ///     .counts_as_activity(|request| request.uri.path() != "/poll");
    /// # let _ = layer;
    /// ```
    pub fn counts_as_activity(
        mut self,
        predicate: impl Fn(&Parts) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.config().counts_as_activity = Some(Hidden(Arc::new(predicate)));
        self
    }

    /// The last segments of the path of the countdown. GET and HEAD requests there do not prolong their session.
    ///
    /// Set it if `DeviceApi` is mounted at another place than `/sessions`. A layer around the `DeviceApi` inside of axum's
    /// `nest_service` sees the path without its prefix: set `/current` there. It may be the whole path or
    /// its last segments, starting with `/`. Slashes at the end of
    /// this text do not matter. The path of a request is compared as it is, without its query. For anything else, such as `/` alone, an
    /// error is logged and nothing changes.
    ///
    /// Defaults to `/sessions/current`.
    ///
    /// ```
    /// # #[cfg(all(feature = "api", feature = "axum"))] {
    /// use axum::Router;
    /// use tower_user_sessions::{DeviceApi, MemoryStore, SessionLayer};
    ///
    /// let layer = SessionLayer::new(MemoryStore::new()).countdown_path("/account/devices/current");
    /// let app: Router = Router::new()
    ///     .nest_service("/account/devices", DeviceApi::new())
    ///     .layer(layer);
    /// # }
    /// ```
    pub fn countdown_path(mut self, path: &str) -> Self {
        let trimmed = path.trim_end_matches('/');
        if trimmed.starts_with('/') {
            self.config().countdown_path = trimmed.to_owned().into();
        } else {
            tracing::error!(
                path,
                "`countdown_path` has no effect: it takes a path such as `/devices/current`"
            );
        }
        self
    }

    /// Writes the activity of a session at most once in each `step`, so that most requests only read.
    ///
    /// Choose it if the writes cost you too much, for example with an append-only file or replicas. A page
    /// with twenty requests then writes once. One second is a good choice.
    ///
    /// - A request is written if the stored activity is older than `step`. The first request with a new
    ///   token is always written.
    /// - [`Session::last_activity`](crate::Session::last_activity) and lists may be older than the last
    ///   request by the step. The order of eviction is as old as that.
    /// - No session expires before its idle time is over. It may live longer by the step: sessions are stored
    ///   with an idle time that is longer by that, and
    ///   [`Session::idle_expires_at`](crate::Session::idle_expires_at) includes it.
    /// - The step is at most a sixteenth of the idle time: 56 s if that is 15 minutes.
    ///
    /// Set the same step on all layers of one store. Sessions that were stored with a shorter step may
    /// expire too early, by the difference of the steps.
    ///
    /// Defaults to zero: each request is written.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_user_sessions::{MemoryStore, SessionLayer};
    ///
    /// let layer = SessionLayer::new(MemoryStore::new()).activity_every(Duration::from_secs(1));
    /// # let _ = layer;
    /// ```
    pub fn activity_every(mut self, step: Duration) -> Self {
        self.rules().activity_every = step;
        self
    }

    /// How often open streams ask the store whether their session is live, if no message made them ask before.
    ///
    /// A stream may outlive its session by this time and 20 %, when the store reports no
    /// changes or its messages are lost. Each user with open streams costs one question in this time. If the store
    /// cannot be asked for five times as long, the streams end. See [`guide::streams`](crate::guide::streams).
    ///
    /// Defaults to 60 s. Less than 100 ms counts as that, and more than an hour as an hour.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_user_sessions::{MemoryStore, SessionLayer};
    ///
    /// let layer = SessionLayer::new(MemoryStore::new()).look_every(Duration::from_secs(20));
    /// # let _ = layer;
    /// ```
    #[cfg(feature = "live")]
    pub fn look_every(mut self, every: Duration) -> Self {
        let rules = self.rules();
        rules.live = Registry::with_lease(&rules.store, every);
        self
    }

    /// What happens to requests with a token while the store does not answer.
    ///
    /// Defaults to [`OnOutage::Refuse`].
    pub fn on_outage(mut self, on_outage: OnOutage) -> Self {
        self.config().on_outage = on_outage;
        self
    }
}
