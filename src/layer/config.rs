//! The settings of a layer, behind one pointer.

use std::{borrow::Cow, net::IpAddr, sync::Arc};

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Uri,
    header::{Entry, WWW_AUTHENTICATE},
    request::Parts,
};

use super::{
    caching::{self, Caching},
    cookie::SessionCookie,
    dead::DeadTokens,
    device_cookie::DeviceCookie,
    near,
    realm::Compared,
};
use crate::{
    model::{DeviceId, Hidden, Token},
    request::{TokenSource, Way},
    session::{CookieChange, Delivery, Rules},
};

/// The response header that carries the token of a sign-in, unless the app names another.
pub(super) const TOKEN_HEADER: HeaderName = HeaderName::from_static("x-session-token");

const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

/// Not the whole cache: browsers stall while they clear it. But the pages in it that were loaded ahead for the user.
const CLEARED: &str = "\"cookies\", \"storage\", \"prefetchCache\", \"prerenderCache\"";

/// What happens to a request with a token while the store does not answer.
///
/// A guest cookie is a token too: guests who have data get the same answer as users.
///
/// ```
/// use tower_user_sessions::{MemoryStore, OnOutage, SessionLayer};
///
/// // A shop whose pages also work for guests stays up without its store.
/// let layer = SessionLayer::new(MemoryStore::new()).on_outage(OnOutage::Guest);
/// # let _ = layer;
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum OnOutage {
    /// The layer answers 503 `unavailable` with `Retry-After: 1`. The service is not called and the cookie
    /// stays, so that an outage does not look like a sign-out.
    #[default]
    Refuse,
    /// The service is called with an unavailable `Session`. It has no user, changes to it are refused,
    /// and no cookie is set.
    Guest,
}

/// The app's answer to a question about a request.
pub(super) type Predicate = Hidden<dyn Fn(&Parts) -> bool + Send + Sync>;

/// Finds the client's address in the headers, or takes the peer's.
pub(super) type AddressFrom =
    Hidden<dyn Fn(&HeaderMap, Option<IpAddr>) -> Option<IpAddr> + Send + Sync>;

#[derive(Clone, Debug)]
pub(super) struct Config {
    /// Every session has its own pointer to these.
    pub(super) rules: Arc<Rules>,
    pub(super) cookie: SessionCookie,
    pub(super) compared: Compared,
    pub(super) source: TokenSource,
    pub(super) token_header: HeaderName,
    /// Without one, the peer's address is noted.
    pub(super) address_from: Option<AddressFrom>,
    pub(super) asked_device_cookie: Option<DeviceCookie>,
    /// None either if it clashes with the session cookie.
    pub(super) device_cookie: Option<DeviceCookie>,
    pub(super) on_outage: OnOutage,
    pub(super) clear_site_data: bool,
    pub(super) caching: Caching,
    pub(super) resolve_if: Option<Predicate>,
    pub(super) counts_as_activity: Option<Predicate>,
    /// Which requests a near cache may answer.
    pub(super) near: Option<Predicate>,
    /// How the paths end whose GET requests are no activity.
    pub(super) countdown_path: Cow<'static, str>,
    pub(super) dead: DeadTokens,
}

/// The path of `DeviceApi`'s countdown where it is mounted at `/sessions`.
pub(super) const COUNTDOWN_PATH: &str = "/sessions/current";

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
    /// Whether there are predicates, so that a request has to be taken apart for them.
    #[inline]
    pub(super) fn has_predicates(&self) -> bool {
        self.resolve_if.is_some() || self.counts_as_activity.is_some() || self.near.is_some()
    }

    /// What a request asks if there are no predicates.
    #[inline]
    pub(super) fn asks_anyway(&self, method: &Method, uri: &Uri) -> Asks {
        if self.is_countdown(method, uri.path()) {
            Asks::Resolve
        } else {
            Asks::Activity
        }
    }

    /// What the predicates say, and whether a near cache may answer.
    pub(super) fn asks(&self, parts: &Parts) -> (Asks, bool) {
        let holds =
            |predicate: &Option<Predicate>| predicate.as_ref().is_none_or(|holds| holds(parts));
        let asks = match self.asks_anyway(&parts.method, &parts.uri) {
            _ if !holds(&self.resolve_if) => Asks::Nothing,
            Asks::Activity if !holds(&self.counts_as_activity) => Asks::Resolve,
            asks => asks,
        };
        let near = asks != Asks::Nothing && near::may_answer(self.near.as_ref(), parts);
        (asks, near)
    }

    /// Whether a page asks how long the session still lives, which must not prolong it.
    fn is_countdown(&self, method: &Method, path: &str) -> bool {
        matches!(*method, Method::GET | Method::HEAD) && path.ends_with(&*self.countdown_path)
    }

    /// Whether the app asked for a device cookie that clashes with the session cookie.
    pub(super) fn device_cookie_is_off(&self) -> bool {
        self.asked_device_cookie.is_some() && self.device_cookie.is_none()
    }

    /// The device that a request sends, if there is a device cookie.
    pub(super) fn device(&self, headers: &HeaderMap) -> Option<DeviceId> {
        self.device_cookie.as_ref()?.read(headers)
    }

    /// Says on a 401 how a request proves who sends it (RFC 9110 §15.5.2), unless the response says it.
    pub(super) fn challenge(&self, headers: &mut HeaderMap) {
        let text = match self.source {
            // No scheme of the registry means cookies; others use this one too. Browsers ignore it.
            TokenSource::Cookie => format!("Cookie cookie-name=\"{}\"", self.cookie.name()),
            // RFC 6750 §3 wants a parameter.
            TokenSource::Bearer | TokenSource::BearerThenCookie | TokenSource::CookieThenBearer => {
                "Bearer realm=\"session\"".to_owned()
            }
        };
        if let (Entry::Vacant(none), Ok(text)) =
            (headers.entry(WWW_AUTHENTICATE), HeaderValue::try_from(text))
        {
            none.insert(text);
        }
    }

    /// The address of the client.
    pub(super) fn address(&self, headers: &HeaderMap, peer: Option<IpAddr>) -> Option<IpAddr> {
        match &self.address_from {
            None => peer,
            Some(find) => find(headers, peer),
        }
    }

    /// Adds the change of the token to a response, in the same way as the request sent its token. Returns whether a cookie
    /// has a token now.
    pub(super) fn write(&self, delivery: &Delivery<'_>, headers: &mut HeaderMap) -> bool {
        if self.clear_site_data && delivery.signed_out {
            // Beside what the handler clears itself: it is a list.
            headers.append(CLEAR_SITE_DATA, HeaderValue::from_static(CLEARED));
        }
        let way = delivery.sent.unwrap_or_else(|| self.source.first());
        let keep = CookieChange::Keep;
        let change = match (way, delivery.change) {
            (Way::Cookie, change) => change,
            (Way::Bearer, CookieChange::Set(token, _)) => {
                self.hand_over(token, headers);
                &keep
            }
            // The client drops its token by itself.
            (Way::Bearer, CookieChange::Keep | CookieChange::Remove) => &keep,
        };
        let guest_change = match (way, delivery.guest_change) {
            (Way::Bearer, CookieChange::Set(token, _)) if !delivery.as_guest => {
                self.hand_over(token, headers);
                &keep
            }
            (_, change) => change,
        };
        self.cookie.write(change, guest_change, headers);
        if let (Way::Cookie, Some(cookie), Some(device)) =
            (way, &self.device_cookie, delivery.device)
        {
            cookie.write(device, headers);
        }
        if change.is_some() || guest_change.is_some() {
            caching::no_store(self.source, headers);
        }
        [change, guest_change].iter().any(|it| it.token().is_some())
    }

    fn hand_over(&self, token: &Token, headers: &mut HeaderMap) {
        // Base64url is always a header value.
        let Ok(mut value) = HeaderValue::try_from(token.encode()) else {
            return;
        };
        value.set_sensitive(true);
        headers.insert(&self.token_header, value);
        caching::no_store(self.source, headers);
    }
}
