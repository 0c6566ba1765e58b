//! [`SessionLayer`] and its options.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use http::{HeaderName, Response, request::Parts};
use tower_layer::Layer;

use super::{
    config::{Config, OnOutage, Predicate, TOKEN_HEADER},
    cookie::SessionCookie,
    device_cookie::DeviceCookie,
    reject::{Bare, Rejection},
    service::SessionService,
};
use crate::{
    model::{Client, ClientClass, Lifetime, Limit, Timestamp, UserId},
    request::TokenSource,
    session::{Audit, ClassOf, EventSink, LimitOf, Rules},
    store::SharedStore,
};

/// Gives every request its [`Session`](crate::Session).
///
/// See the [crate docs](crate) for an example. Options are consuming and cannot fail; cookie settings
/// that clash fail where the [`SessionCookie`] is built.
#[derive(Clone)]
#[must_use]
pub struct SessionLayer<R = Bare> {
    config: Arc<Config>,
    reply: R,
}

impl SessionLayer {
    /// A layer that keeps sessions in this store.
    pub fn new(store: impl Into<SharedStore>) -> Self {
        Self {
            config: Arc::new(Config {
                rules: Arc::new(Rules::new(store.into())),
                cookie: SessionCookie::default(),
                source: TokenSource::default(),
                token_header: TOKEN_HEADER,
                address_from: None,
                device_cookie: None,
                clear_site_data: false,
                on_outage: OnOutage::default(),
                resolve_if: None,
                counts_as_activity: None,
            }),
            reply: Bare,
        }
    }
}

impl<R> SessionLayer<R> {
    fn config(&mut self) -> &mut Config {
        Arc::make_mut(&mut self.config)
    }

    fn rules(&mut self) -> &mut Rules {
        Arc::make_mut(&mut self.config().rules)
    }

    /// The cookie that carries the token.
    ///
    /// Defaults to `__Host-session`, Secure, `HttpOnly`, SameSite=Lax, Path=/.
    pub fn cookie(mut self, cookie: SessionCookie) -> Self {
        self.config().cookie = cookie;
        self
    }

    /// Where requests show their token: the cookie, `Authorization: Bearer`, or both.
    ///
    /// Defaults to [`TokenSource::Cookie`].
    ///
    /// ```
    /// use tower_user_sessions::{MemoryStore, SessionLayer, TokenSource};
    ///
    /// let store = MemoryStore::new();
    /// let site = SessionLayer::new(store.clone());
    /// let mobile = SessionLayer::new(store).token_source(TokenSource::Bearer);
    /// # let _ = (site, mobile);
    /// ```
    pub fn token_source(mut self, source: TokenSource) -> Self {
        self.config().source = source;
        self
    }

    /// The response header that carries the token of a sign-in to a client that shows bearer tokens:
    /// once, with `Cache-Control: no-store`, never in a body or a URL.
    ///
    /// Defaults to `x-session-token`. Scripts of another origin read it only if the app's CORS
    /// settings expose it.
    pub fn token_header(mut self, name: HeaderName) -> Self {
        self.config().token_header = name;
        self
    }

    /// Where the address is read from that a sign-in notes.
    ///
    /// Defaults to [`ClientIp::Peer`](crate::ClientIp::Peer): no header is trusted.
    #[cfg(feature = "client-ip")]
    pub fn client_ip(mut self, source: crate::request::ClientIp) -> Self {
        let from =
            super::config::AddressFrom::new(move |headers, peer| source.address(headers, peer));
        self.config().address_from = Some(from);
        self
    }

    /// How long a session lives.
    ///
    /// Defaults to 1 day idle, 30 days absolute.
    pub fn lifetime(mut self, lifetime: Lifetime) -> Self {
        self.rules().lifetime = lifetime;
        self
    }

    /// Whether browsers keep the cookie when they close, unless a login says otherwise
    /// ([`Login::persistent`](crate::Login::persistent)).
    ///
    /// With `false` the cookie has no `Max-Age`: the browser deletes it when it closes. The session itself
    /// lives until its lifetime is over. Cookies of guest sessions follow this setting too.
    ///
    /// Defaults to `true`.
    ///
    /// ```
    /// use tower_user_sessions::{MemoryStore, SessionLayer};
    ///
    /// let layer = SessionLayer::new(MemoryStore::new()).persistent(false);
    /// # let _ = layer;
    /// ```
    pub fn persistent(mut self, persistent: bool) -> Self {
        self.rules().persistent = persistent;
        self
    }

    /// How many sessions a user may have, unless a login states its own limit.
    ///
    /// Defaults to at most 100, evict.
    pub fn limit(mut self, limit: Limit) -> Self {
        self.rules().limit = LimitOf::All(limit);
        self
    }

    /// How many sessions each user may have, by plan or role, unless a login states its own limit.
    ///
    /// ```
    /// use tower_user_sessions::{Limit, MemoryStore, SessionLayer, UserId};
    ///
    /// let layer = SessionLayer::new(MemoryStore::new())
    ///     .limit_of(|user: &UserId| Limit::at_most(if user.as_str() == "admin" { 1 } else { 5 }));
    /// # let _ = layer;
    /// ```
    pub fn limit_of(mut self, limit: impl Fn(&UserId) -> Limit + Send + Sync + 'static) -> Self {
        self.rules().limit = LimitOf::Each(Arc::new(limit));
        self
    }

    /// As [`limit_of`](Self::limit_of), where it takes a database to know. Asked at each sign-in,
    /// once more if that is committed again.
    pub fn limit_of_async<F>(mut self, limit: impl Fn(UserId) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Limit> + Send + 'static,
    {
        self.rules().limit = LimitOf::Asked(Arc::new(move |user| Box::pin(limit(user))));
        self
    }

    /// Which class a client that signs in is of, for [`Limit::of_class`], unless a login states it.
    ///
    /// Defaults to [`ClientClass::default`] for all.
    pub fn class_of(
        mut self,
        class: impl Fn(&Client) -> ClientClass + Send + Sync + 'static,
    ) -> Self {
        self.rules().class = ClassOf::new(class);
        self
    }

    /// Rotates tokens of this age: the next response sets another one, see
    /// [`Session::rotate`](crate::Session::rotate). 15 minutes are a good choice.
    ///
    /// Defaults to never.
    pub fn rotate_after(mut self, age: Duration) -> Self {
        self.rules().rotation.after = Some(age);
        self
    }

    /// How long a previous token still opens its session once its successor was seen. Longer than any
    /// request takes; a token is not rotated again while the one before is in that time.
    ///
    /// Defaults to 30 s.
    pub fn rotation_grace(mut self, grace: Duration) -> Self {
        self.rules().rotation.grace = grace.min(Lifetime::MAX);
        self
    }

    /// Whether a session ends when a previous token of it is shown after its time: somebody has a copy,
    /// the owner or a thief.
    ///
    /// Defaults to yes.
    pub fn end_on_reuse(mut self, ends: bool) -> Self {
        self.rules().rotation.reuse_ends = ends;
        self
    }

    /// Tells this sink what happens to users' sessions, see [`events`](crate::events).
    ///
    /// Defaults to none.
    pub fn events(mut self, sink: impl EventSink) -> Self {
        self.rules().audit = Audit::new(sink);
        self
    }

    /// Remembers the devices that sign in as a user, by a cookie that holds a random name of the
    /// device and opens nothing, so that a sign-in knows the first sight of one
    /// ([`Committed::first_sight`](crate::Committed::first_sight)). Not for bearer tokens.
    ///
    /// Defaults to no such cookie.
    pub fn device_cookie(mut self, cookie: DeviceCookie) -> Self {
        self.rules().devices = Some(cookie.kept());
        self.config().device_cookie = Some(cookie);
        self
    }

    /// What happens when the store cannot be asked.
    ///
    /// Defaults to [`OnOutage::Refuse`].
    pub fn on_outage(mut self, on_outage: OnOutage) -> Self {
        self.config().on_outage = on_outage;
        self
    }

    /// Whether the response that signs a session out also tells the browser to forget the site's cookies
    /// and what its scripts stored (`Clear-Site-Data: "cookies", "storage"`). Never its cache, which
    /// browsers take long to clear. The device cookie goes too.
    ///
    /// Defaults to no.
    pub fn clear_site_data(mut self, clear: bool) -> Self {
        self.config().clear_site_data = clear;
        self
    }

    /// Which requests have a session. Others pass untouched, without a `Session`: static files,
    /// health checks.
    ///
    /// Defaults to all.
    pub fn resolve_if(
        mut self,
        predicate: impl Fn(&Parts) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.config().resolve_if = Some(Predicate::new(predicate));
        self
    }

    /// Which requests prolong their session and move it up in the order of eviction. A page that
    /// polls in the background should not.
    ///
    /// Defaults to all.
    pub fn counts_as_activity(
        mut self,
        predicate: impl Fn(&Parts) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.config().counts_as_activity = Some(Predicate::new(predicate));
        self
    }

    /// Voids all sessions that began before this moment, of all users (ASVS 7.4.5).
    ///
    /// Defaults to none.
    pub fn not_before(mut self, moment: impl Into<Timestamp>) -> Self {
        self.rules().not_before = Some(moment.into());
        self
    }

    /// How many bytes of data a user's session may keep.
    ///
    /// Defaults to 64 KiB.
    pub fn data_limit(mut self, bytes: usize) -> Self {
        self.rules().data_limit = bytes;
        self
    }

    /// How many bytes of data a guest's session may keep.
    ///
    /// Defaults to 4 KiB.
    pub fn guest_data_limit(mut self, bytes: usize) -> Self {
        self.rules().guests.data_limit = bytes;
        self
    }

    /// How long a guest's session lives without activity.
    ///
    /// Defaults to 1 day.
    pub fn guest_idle(mut self, idle: Duration) -> Self {
        self.rules().guests.idle = idle;
        self
    }

    /// Whether guests may keep data at all.
    ///
    /// Defaults to yes.
    pub fn guests(mut self, allowed: bool) -> Self {
        self.rules().guests.allowed = allowed;
        self
    }

    /// Answers of our own: [`Bare`], [`Problem`](super::Problem), or a [`Reply`](super::Reply) of yours.
    ///
    /// Defaults to [`Bare`]: status and headers, an empty body.
    pub fn reply<R2>(self, reply: R2) -> SessionLayer<R2> {
        SessionLayer {
            config: self.config,
            reply,
        }
    }

    /// Answers of our own by a closure, for body types that are neither `Default` nor `From<Bytes>`.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use http_body_util::{BodyExt, Full, combinators::BoxBody};
    /// use std::convert::Infallible;
    /// use tower_user_sessions::{MemoryStore, SessionLayer};
    ///
    /// let layer = SessionLayer::new(MemoryStore::new()).reply_with(|rejection| {
    ///     rejection.into_problem(|bytes| -> BoxBody<Bytes, Infallible> { Full::from(bytes).boxed() })
    /// });
    /// # let _ = layer;
    /// ```
    pub fn reply_with<F, B>(self, reply: F) -> SessionLayer<F>
    where
        F: Fn(Rejection) -> Response<B>,
    {
        self.reply(reply)
    }
}

impl<S, R: Clone> Layer<S> for SessionLayer<R> {
    type Service = SessionService<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        SessionService {
            inner,
            config: Arc::clone(&self.config),
            reply: self.reply.clone(),
        }
    }
}

impl<R> fmt::Debug for SessionLayer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionLayer")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
