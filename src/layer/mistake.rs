//! Mistakes in an app's setup: logged once each, in words that say what to change.

use std::sync::{
    Once,
    atomic::{AtomicBool, Ordering},
};

use super::reject::Rejection;
#[cfg(feature = "live")]
use crate::store::near_was_made;
use crate::{
    request::Logged,
    session::{Failures, MissingSession},
    store::{StoreError, StoreErrorKind},
};

/// Whether this process has made a `SessionLayer`.
static HAS_LAYER: AtomicBool = AtomicBool::new(false);

/// What was logged already.
static LOGGED: Logged<(&str, MissingSession)> = Logged::new();

static TWO_COOKIES: Failures<String> = Failures::new();

static PLAIN_HTTP: Once = Once::new();

static WEBKIT: Once = Once::new();

static OTHER_SITE: Once = Once::new();

static DEVICE_COOKIE: Once = Once::new();

#[cfg(feature = "api")]
static COUNTDOWN: Once = Once::new();

#[cfg(feature = "live")]
static NO_NEAR: Once = Once::new();

#[cfg(feature = "live")]
static UPGRADE: Once = Once::new();

#[cfg(feature = "live")]
static STREAM: Once = Once::new();

pub(super) fn note_layer() {
    HAS_LAYER.store(true, Ordering::Relaxed);
}

/// The answer where a request has no session. `asker` is what needs it: `User`, `DeviceApi`.
///
/// The mistake is the same on every request, so it is an error once and a debug event from then on.
pub(crate) fn missing_session(asker: &'static str, missing: MissingSession) -> Rejection {
    let advice = match missing {
        MissingSession::NoLayer if HAS_LAYER.load(Ordering::Relaxed) => {
            "no `SessionLayer` around this, although the app has one: it covers only what is inside of it; in axum add \
             this route or this layer first, and the `SessionLayer` after it"
                .to_owned()
        }
        MissingSession::NoLayer | MissingSession::NotResolved => missing.to_string(),
    };
    if LOGGED.is_new((asker, missing)) {
        tracing::error!(asker, "{advice}");
    } else {
        tracing::debug!(asker, "{advice}");
    }
    Rejection::no_session().detailed(advice)
}

/// The answer where the store did not answer.
pub(crate) fn outage(error: &StoreError) -> Rejection {
    Rejection::unavailable().detailed(advice(error).to_owned())
}

/// What to look at when a store fails so.
pub(crate) fn advice(error: &StoreError) -> &'static str {
    if let Some(lacks) = error.lacks() {
        return lacks.advice();
    }
    match error.kind() {
        StoreErrorKind::Busy => {
            "the store has more to do than it can handle: give it more capacity, or lower the load"
        }
        StoreErrorKind::Corrupt => {
            "the store holds something that is not a session: does another program write its keys?"
        }
        StoreErrorKind::Denied => {
            "the store refused access: check user, password and the permitted commands"
        }
        StoreErrorKind::Full => {
            "the store is full: give it more memory or disk space, or `MemoryStore` and `FileStore` a higher `max_guests`"
        }
        StoreErrorKind::Timeout => {
            "the store did not answer in time: is it overloaded, or the network slow?"
        }
        StoreErrorKind::TooNew => {
            "a newer version of this crate wrote the session: update this node, or roll the newer ones back"
        }
        StoreErrorKind::Unavailable => {
            "the store cannot be reached: is it running, and is its address right?"
        }
        StoreErrorKind::Unconfirmed => {
            "it is done, but replicas did not confirm it in time: are all of them running, and do they keep up?"
        }
        StoreErrorKind::Uncertain => {
            "the reply to a write was lost: the change may be stored or not, and is not tried again; \
             read the data before you repeat it"
        }
        StoreErrorKind::Unsupported => {
            "the store does not have that operation: see its documentation"
        }
    }
}

/// A page on plain http gets a cookie that its browser does not keep.
pub(super) fn secure_cookie_on_plain_http() {
    PLAIN_HTTP.call_once(|| {
        tracing::warn!(
            "a page on plain http gets a `Secure` cookie: browsers drop it and nobody stays signed in; \
             use https, or for development http://localhost or `SessionCookie::danger_insecure`"
        );
    });
}

/// Whether that was not logged yet.
pub(super) fn may_warn_of_plain_http() -> bool {
    !PLAIN_HTTP.is_completed()
}

/// A page on plain http on this machine gets a cookie that Safari may not keep.
pub(super) fn secure_cookie_in_webkit() {
    WEBKIT.call_once(|| {
        tracing::warn!(
            "Safari, or another browser of WebKit, gets a `Secure` cookie on plain http: most versions drop it, on \
             http://localhost too; if the next request is a guest, use another browser, or for development \
             `SessionCookie::danger_insecure`"
        );
    });
}

/// Whether that was not logged yet.
pub(super) fn may_warn_of_webkit() -> bool {
    !WEBKIT.is_completed()
}

/// A script of another site gets a cookie that its browser does not keep.
pub(super) fn same_site_cookie_for_other_site() {
    OTHER_SITE.call_once(|| {
        tracing::warn!(
            "a script of another site gets a cookie with SameSite=Lax or Strict: browsers drop it and its user stays a guest; \
             serve both from one site, or see the guide's page `another_origin`"
        );
    });
}

/// Whether that was not logged yet.
pub(super) fn may_warn_of_other_site() -> bool {
    !OTHER_SITE.is_completed()
}

/// Not always a mistake, and any site can send these: for those who look why their own page is refused.
#[cfg(feature = "api")]
pub(crate) fn foreign_origin(asker: &'static str) {
    tracing::debug!(
        asker,
        "refused a request from another origin: if the page is yours, name its origin with `add_trusted_origin`, or let your proxy \
         pass on `Host`"
    );
}

/// Any client can send these as fast as it likes, so they are a line in 10 s for each cookie.
pub(super) fn two_cookies(cookie: &str) {
    const TEXT: &str = "two differing session cookies, so neither is used: is one left over with another path or \
                        domain? see `SessionCookieBuilder::retired`";
    if let Some(requests) = TWO_COOKIES.due(cookie.to_owned()) {
        tracing::warn!(cookie, requests, "{TEXT}");
    } else {
        tracing::debug!(cookie, "{TEXT}");
    }
}

/// The part of a message on a redirect to what is not a path of this origin.
pub(crate) fn not_a_local_path(setting: &'static str, path: &str) {
    tracing::error!(
        setting,
        path,
        "this setting is off: it takes a path of this origin, such as `/login`, percent-encoded"
    );
}

/// One cookie cannot be both.
pub(super) fn device_cookie_is_session_cookie() {
    // Some frameworks apply a layer once for each connection.
    DEVICE_COOKIE.call_once(|| {
        tracing::error!(
            "the device cookie has the name of the session cookie or of a retired one, so it is off: give \
             `DeviceCookie::named` another name"
        );
    });
}

/// A page that shows how long the session still lives keeps it alive.
#[cfg(feature = "api")]
pub(crate) fn countdown_is_activity() {
    COUNTDOWN.call_once(|| {
        tracing::warn!(
            "each `GET /current` of the `DeviceApi` prolongs its session here, so a countdown never ends: name its path with \
             `SessionLayer::countdown_path`"
        );
    });
}

/// A layer says which requests a near cache may answer. Its store was made before it, so if this process has made no cache,
/// there is none in that store.
#[cfg(feature = "live")]
pub(super) fn near_without_a_cache() {
    if !near_was_made() {
        NO_NEAR.call_once(|| {
            tracing::warn!(
                "`SessionLayer::near` does nothing unless the store is a near cache: wrap it in `store::Near`, or remove the \
                 setting"
            );
        });
    }
}

/// A WebSocket stays open after its session ended, unless its loop waits for the end.
#[cfg(feature = "live")]
pub(super) fn upgrade_without_live() {
    UPGRADE.call_once(|| {
        tracing::warn!(
            "a WebSocket does not end with its session: call `session.live()` before the upgrade, and wait for \
             `live.ended()` in its loop"
        );
    });
}

/// `EndStreams` sees no session, so it ends nothing.
#[cfg(feature = "live")]
pub(super) fn stream_without_session() {
    STREAM.call_once(|| {
        tracing::warn!(
            "a stream passes `EndStreams` without a session and does not end with one: `SessionLayer` must be outside \
             of it, in axum added after it"
        );
    });
}
