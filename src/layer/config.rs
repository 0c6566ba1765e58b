//! The settings of a layer, behind one pointer.

use std::{fmt, net::IpAddr, sync::Arc};

use http::{
    HeaderMap, HeaderName, HeaderValue, Request,
    header::{CACHE_CONTROL, VARY},
    request::Parts,
};

use super::{cookie::SessionCookie, device_cookie::DeviceCookie};
use crate::{
    model::{DeviceId, Token},
    request::{TokenSource, Way},
    session::{CookieChange, Delivery, Rules},
};

/// The response header that carries the token of a sign-in, unless the app names another.
pub(super) const TOKEN_HEADER: HeaderName = HeaderName::from_static("x-session-token");

const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

/// Not the cache: browsers stall while they clear it.
const CLEARED: &str = "\"cookies\", \"storage\"";

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

/// Finds the address of the client in the headers, or in the peer's.
#[derive(Clone)]
pub(super) struct AddressFrom(Arc<Find>);

type Find = dyn Fn(&HeaderMap, Option<IpAddr>) -> Option<IpAddr> + Send + Sync;

impl AddressFrom {
    #[cfg(feature = "client-ip")]
    pub(super) fn new(
        find: impl Fn(&HeaderMap, Option<IpAddr>) -> Option<IpAddr> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(find))
    }
}

impl fmt::Debug for AddressFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AddressFrom(..)")
    }
}

#[derive(Clone, Debug)]
pub(super) struct Config {
    /// Every session holds these by a pointer of its own.
    pub(super) rules: Arc<Rules>,
    pub(super) cookie: SessionCookie,
    pub(super) source: TokenSource,
    pub(super) token_header: HeaderName,
    /// The peer's, if there is none.
    pub(super) address_from: Option<AddressFrom>,
    pub(super) device_cookie: Option<DeviceCookie>,
    pub(super) on_outage: OnOutage,
    pub(super) clear_site_data: bool,
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

    /// The device that a request sends, where that is looked for.
    pub(super) fn device(&self, headers: &HeaderMap) -> Option<DeviceId> {
        self.device_cookie.as_ref()?.read(headers)
    }

    /// The address of the client.
    pub(super) fn address(&self, headers: &HeaderMap, peer: Option<IpAddr>) -> Option<IpAddr> {
        match &self.address_from {
            None => peer,
            Some(AddressFrom(find)) => find(headers, peer),
        }
    }

    /// Lets a response carry what became of the token: the way that the request showed one.
    pub(super) fn write(&self, delivery: &Delivery<'_>, headers: &mut HeaderMap) {
        if self.clear_site_data && delivery.signed_out {
            headers.insert(CLEAR_SITE_DATA, HeaderValue::from_static(CLEARED));
        }
        match (
            delivery.sent.unwrap_or_else(|| self.source.first()),
            delivery.change,
        ) {
            (Way::Cookie, change) => {
                self.cookie.write(change, headers);
                if let (Some(cookie), Some(device)) = (&self.device_cookie, delivery.device) {
                    cookie.write(device, headers);
                }
            }
            (Way::Bearer, CookieChange::Set(token, _)) => self.hand_over(token, headers),
            // The client forgets its token by itself.
            (Way::Bearer, CookieChange::Keep | CookieChange::Remove) => {}
        }
    }

    fn hand_over(&self, token: &Token, headers: &mut HeaderMap) {
        // Base64url is always a header value.
        let Ok(mut value) = HeaderValue::try_from(token.encode()) else {
            return;
        };
        value.set_sensitive(true);
        headers.insert(&self.token_header, value);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.append(VARY, HeaderValue::from_static("Authorization"));
    }
}
