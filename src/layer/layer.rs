//! [`SessionLayer`] and its options.

use std::{fmt, future::Future, sync::Arc};

use http::{HeaderName, Response};
use tower_layer::Layer;

use super::{
    config::{COUNTDOWN_PATH, Config, OnOutage, TOKEN_HEADER},
    cookie::SessionCookie,
    device_cookie::DeviceCookie,
    mistake,
    realm::Compared,
    reject::Rejection,
    reply::Bare,
    service::SessionService,
};
use crate::{
    model::{Client, ClientClass, Hidden, Lifetime, Limit, Timestamp, UserId},
    request::TokenSource,
    session::{Audit, ClassOf, EventSink, LimitOf, NotBefore, Rules},
    store::SharedStore,
};

/// The middleware: looks the session up for each request, hands it to your handlers, and stores changes
/// when the response leaves.
///
/// See the [crate docs](crate) for an example. Handlers get a [`Session`](crate::Session), guests too.
/// Add the layer outside of all routes that need one: in axum, after the last `route`.
///
/// A request may pass two layers, such as one for the site and one for a nested router. The inner one looks the session
/// up again, and the handler gets the `Session` of the inner one. Layers with other stores or [realms](Self::realm) need cookies with other
/// names: with one name, each sign-in to one is a sign-out from the other.
///
/// No option can fail. Cookie settings that clash fail in
/// [`SessionCookieBuilder::build`](super::SessionCookieBuilder::build).
#[derive(Clone)]
#[must_use]
pub struct SessionLayer<R = Bare> {
    config: Arc<Config>,
    reply: R,
}

impl SessionLayer {
    /// Makes a layer that keeps sessions in this store.
    ///
    /// ```
    /// use tower_user_sessions::{MemoryStore, SessionLayer};
    ///
    /// let layer = SessionLayer::new(MemoryStore::new());
    /// # let _ = layer;
    /// ```
    pub fn new(store: impl Into<SharedStore>) -> Self {
        mistake::note_layer();
        Self {
            config: Arc::new(Config {
                rules: Arc::new(Rules::new(store.into())),
                cookie: SessionCookie::default(),
                compared: Compared::default(),
                source: TokenSource::default(),
                token_header: TOKEN_HEADER,
                address_from: None,
                asked_device_cookie: None,
                device_cookie: None,
                clear_site_data: false,
                caching: Default::default(),
                on_outage: OnOutage::default(),
                resolve_if: None,
                counts_as_activity: None,
                near: None,
                countdown_path: COUNTDOWN_PATH.into(),
                dead: Default::default(),
            }),
            reply: Bare,
        }
    }
}

impl<R> SessionLayer<R> {
    pub(super) fn config(&mut self) -> &mut Config {
        let config = Arc::make_mut(&mut self.config);
        config.dead = Default::default(); // With other settings other tokens are unknown.
        config
    }

    pub(super) fn rules(&mut self) -> &mut Rules {
        Arc::make_mut(&mut self.config().rules)
    }

    /// Sets name and attributes of the cookie that carries the token.
    ///
    /// The guest cookie has the same attributes, and `-guest` after the name.
    /// Defaults to `__Host-session`, Secure, `HttpOnly`, SameSite=Lax, Path=/. `Max-Age` is what is left of the
    /// absolute lifetime of the session, or absent without [`persistent`](Self::persistent).
    pub fn cookie(mut self, cookie: SessionCookie) -> Self {
        self.config().cookie = cookie;
        self.settle_cookies();
        self
    }

    /// Where requests send their token: in the cookie, as `Authorization: Bearer`, or both.
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

    /// Names the response header in which clients with bearer tokens get a new token.
    ///
    /// The response with a new token has it once, with `Cache-Control: no-store`. A token is never in a body or a URL. Scripts of another origin can read the header only if your CORS settings expose it.
    ///
    /// Defaults to `x-session-token`.
    pub fn token_header(mut self, name: HeaderName) -> Self {
        self.config().token_header = name;
        self
    }

    /// Where the client's address is read from. A sign-in stores it for the list of devices.
    ///
    /// Name the header of your proxy here if there is one.
    ///
    /// Defaults to [`ClientIp::Peer`](crate::ClientIp::Peer): no header is trusted. The address of the
    /// connection is used if your app passes it on as [`PeerAddr`](crate::PeerAddr).
    #[cfg(feature = "client-ip")]
    pub fn client_ip(mut self, source: crate::request::ClientIp) -> Self {
        self.config().address_from = Some(Hidden(Arc::new(move |headers, peer| {
            source.address(headers, peer)
        })));
        self
    }

    /// How long a session lives without activity (idle), and at most (absolute).
    ///
    /// [`Login::lifetime`](crate::Login::lifetime) sets another one for a single sign-in. A session keeps the lifetime
    /// of its sign-in, also when its user authenticates again: a changed setting counts from the next sign-in on.
    ///
    /// Defaults to 1 day idle, 30 days absolute.
    pub fn lifetime(mut self, lifetime: Lifetime) -> Self {
        self.rules().lifetime = lifetime;
        self
    }

    /// Whether browsers keep the cookie when they close, unless a login says otherwise
    /// ([`Login::persistent`](crate::Login::persistent)).
    ///
    /// With `false` the cookie has no `Max-Age`: most browsers delete it when they close. The session itself
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

    /// How many sessions a user may have.
    ///
    /// At the limit, a sign-in ends an unused session ([`Excess::Evict`](crate::Excess::Evict)) or else the least recently active one. With
    /// [`Limit::refuse`] it is refused. [`Login::limit`](crate::Login::limit) sets another one for a single sign-in.
    ///
    /// Defaults to at most 100, evict.
    ///
    /// ```
    /// use tower_user_sessions::{Limit, MemoryStore, SessionLayer};
    ///
    /// let layer = SessionLayer::new(MemoryStore::new()).limit(Limit::at_most(3));
    /// # let _ = layer;
    /// ```
    pub fn limit(mut self, limit: Limit) -> Self {
        self.rules().limit = LimitOf::All(limit);
        self
    }

    /// How many sessions each user may have, by plan or role. Replaces [`limit`](Self::limit).
    ///
    /// ```
    /// use tower_user_sessions::{Limit, MemoryStore, SessionLayer, UserId};
    ///
    /// let layer = SessionLayer::new(MemoryStore::new())
    ///     .limit_of(|user: &UserId| Limit::at_most(if user.as_str() == "admin" { 1 } else { 5 }));
    /// # let _ = layer;
    /// ```
    pub fn limit_of(mut self, limit: impl Fn(&UserId) -> Limit + Send + Sync + 'static) -> Self {
        self.rules().limit = LimitOf::Each(Hidden(Arc::new(limit)));
        self
    }

    /// As [`limit_of`](Self::limit_of), for limits that are in a database.
    ///
    /// Called at each sign-in that sets no [`Login::limit`](crate::Login::limit), and again if the same
    /// sign-in is committed again. It is not called at one with a ticket, which has a limit already.
    ///
    /// The response waits for it, and a timeout inside of this layer does not see it: give the query its own. If it
    /// panics, the request panics and nobody is signed in. If the query fails, return a limit of your choice.
    ///
    /// ```
    /// use tower_user_sessions::{Limit, MemoryStore, SessionLayer, UserId};
    ///
    /// async fn plan_of(_user: &UserId) -> u16 {
    ///     // SELECT devices FROM plans ...
    ///     5
    /// }
    ///
    /// let layer = SessionLayer::new(MemoryStore::new())
    ///     .limit_of_async(async |user| Limit::at_most(plan_of(&user).await));
    /// # let _ = layer;
    /// ```
    pub fn limit_of_async<F>(mut self, limit: impl Fn(UserId) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Limit> + Send + 'static,
    {
        self.rules().limit = LimitOf::Asked(Hidden(Arc::new(move |user| Box::pin(limit(user)))));
        self
    }

    /// Sorts clients into classes, such as browsers and phones, for [`Limit::of_class`].
    ///
    /// Called at each sign-in that sets no [`Login::class`](crate::Login::class), but not at one with a ticket. A session
    /// keeps the class of its sign-in, whatever its client sends later.
    ///
    /// Defaults to [`ClientClass::default`] for all clients.
    pub fn class_of(
        mut self,
        class: impl Fn(&Client) -> ClientClass + Send + Sync + 'static,
    ) -> Self {
        self.rules().class = ClassOf::new(class);
        self
    }

    /// Reports what happens to users' sessions to this sink, see [`events`](crate::events).
    ///
    /// Defaults to no sink.
    pub fn events(mut self, sink: impl EventSink) -> Self {
        self.rules().audit = Audit::new(sink);
        self
    }

    /// Remembers the devices on which a user signs in, to report a new one.
    ///
    /// Use it for "New sign-in to your account" mails:
    /// [`Committed::new_device`](crate::Committed::new_device) and the event `new_device`. The cookie
    /// holds a random name of the device and signs nobody in. Clients with bearer tokens get none, and their sign-ins are
    /// **not reported**: watch `created` events on each layer where a sign-in may send or get a bearer token.
    ///
    /// The cookie lasts for 400 days. A device cookie with the name of the session cookie is off, and an error is logged. So is one that
    /// [`SessionCookieBuilder::retired`](super::SessionCookieBuilder::retired) removes.
    ///
    /// Defaults to no such cookie.
    pub fn device_cookie(mut self, cookie: DeviceCookie) -> Self {
        self.config().asked_device_cookie = Some(cookie);
        self.settle_cookies();
        self
    }

    /// Turns the device cookie off if it clashes with the session cookie. Either may be set after the other.
    fn settle_cookies(&mut self) {
        let config = self.config();
        let asked = config.asked_device_cookie.clone();
        config.device_cookie = asked.and_then(|device| device.settled(&config.cookie));
        let kept = config.device_cookie.as_ref().map(DeviceCookie::kept);
        self.rules().devices = kept;
    }

    /// Ends all sessions that began before this moment, of all users, in this layer.
    ///
    /// At run time, and for all nodes of your app, use [`Everyone`](crate::Everyone). This one is for a moment in your
    /// configuration, and for stores that `Everyone` does not support.
    ///
    /// A session began when it was created, or when its user authenticated if that was earlier. A re-authentication does
    /// not change that, so a session created before the moment has ended even if its user authenticated again later. A list
    /// outside of a request ([`UserSessions::new`](crate::UserSessions::new)) still has these sessions.
    ///
    /// Give a moment of the past. What happens with one in the future, by the store's clock:
    ///
    /// - Until this process makes its first session, the moment counts as you gave it: all sessions have ended for this
    ///   process.
    /// - Just before it makes that first one, it logs an error, and the store's time takes the place of the moment for good.
    ///   Sessions that begin from then on are live.
    /// - Each process does that for itself. So a restart ends all earlier sessions, and a node ends the sessions that other
    ///   nodes made before its own first one.
    ///
    /// Defaults to no such moment.
    pub fn not_before(mut self, moment: impl Into<Timestamp>) -> Self {
        self.rules().not_before = NotBefore::new(Some(moment.into()));
        self
    }

    /// How many bytes of data the session of a user may keep: for each key its own length, that of its value as
    /// MessagePack, and 6 more.
    ///
    /// Beyond that, [`Session::insert`](crate::Session::insert) returns an error of the kind
    /// [`TooLarge`](crate::SessionErrorKind::TooLarge), which is 413 as a response. If parallel requests exceed it
    /// together, the commit of the later one does. Under a lowered limit, stored data may stay as large as it is. What a
    /// sign-in [carries over](crate::Login::carry) from a guest session comes on top: the layer gives the store a limit that is
    /// higher by that, so it never refuses the sign-in.
    ///
    /// Defaults to 64 KiB.
    pub fn data_limit(mut self, bytes: usize) -> Self {
        self.rules().data_limit = bytes;
        self
    }

    /// How the layer's own responses are made: [`Bare`], [`Problem`](super::Problem), or a
    /// [`Reply`](super::Reply) of yours.
    ///
    /// The layer answers by itself in an outage (503), to refused sign-ins (409, 403, 401) and if changes
    /// cannot be stored (413, 500, 503), see [`Rejection`].
    ///
    /// It does not reach [`RequireUser`](super::RequireUser), [`RequireFresh`](super::RequireFresh) and `EndStreams`: each has a
    /// `reply` of its own.
    ///
    /// Defaults to [`Bare`]: status and headers, an empty body.
    pub fn reply<R2>(self, reply: R2) -> SessionLayer<R2> {
        SessionLayer {
            config: self.config,
            reply,
        }
    }

    /// Makes the layer's own responses with a closure, for body types that are neither `Default` nor
    /// `From<Bytes>`.
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
        // Only reads: some frameworks call it for each request.
        if self.config.device_cookie_is_off() {
            mistake::device_cookie_is_session_cookie();
        }
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
