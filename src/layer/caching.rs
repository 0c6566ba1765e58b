//! What responses say to caches, those of a browser included.

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CACHE_CONTROL, EXPIRES, Entry, VARY},
};

use super::layer::SessionLayer;
use crate::request::TokenSource;

/// What caches between server and browser read before `Cache-Control`: RFC 9213, and fields from before it.
/// Vendors put their name before the first: `Cloudflare-CDN-Cache-Control`.
const CDN: &str = "cdn-cache-control";
const OTHERS: [&str; 4] = [
    "edge-control",
    "surrogate-control",
    "x-accel-expires",
    "x-litespeed-cache-control",
];

/// What the layer says to caches in responses whose handler read the session.
///
/// Pass it to [`SessionLayer::caching`].
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Caching {
    /// `Cache-Control: no-store`: the browser does not write the page to its cache either (ASVS 14.3.2).
    ///
    /// The *Back* button may still lead to the page as it was, because browsers keep it in memory: see
    /// [`guide::sign_in`](crate::guide::sign_in#what-the-browser-still-has).
    NoStore,
    /// `Cache-Control: private`: only the browser keeps the page, no cache in between.
    #[default]
    Private,
    /// Nothing: the app says it itself.
    Unchanged,
}

impl<R> SessionLayer<R> {
    /// What responses say to caches if their handler read the session.
    ///
    /// Unless you choose [`Unchanged`](Caching::Unchanged), such a response gets `Vary`, with the name of every header in which requests may send a token. If it
    /// says nothing about caching itself, it also gets the `Cache-Control` that you choose.
    ///
    /// A response that says something keeps it. If it does not say which caches it means, as in `max-age=60`, or has only an
    /// `Expires`, then `private` is added: the browser may keep it, and no cache in between. With `public`, `s-maxage` or a
    /// field such as `CDN-Cache-Control` nothing is added. Some caches do not obey `Vary`, so say `public` only where the session does not matter.
    ///
    /// A handler reads the session if it calls a method that returns something of it, such as
    /// [`user_id`](crate::Session::user_id) or [`get`](crate::Session::get). The guards and `User` read it
    /// too. [`Session::peek`](crate::Session::peek) does not count, nor does what a streaming body reads later.
    /// Responses of gRPC are left alone.
    ///
    /// A response that sends a token or removes a cookie of one is `no-store` whatever you choose, and fields for caches in
    /// between are removed from it.
    ///
    /// Defaults to [`Caching::Private`].
    ///
    /// ```
    /// use tower_user_sessions::{Caching, MemoryStore, SessionLayer};
    ///
    /// let layer = SessionLayer::new(MemoryStore::new()).caching(Caching::NoStore);
    /// # let _ = layer;
    /// ```
    pub fn caching(mut self, caching: Caching) -> Self {
        self.config().caching = caching;
        self
    }

    /// Whether a sign-out also makes the browser delete the site's cookies and what its scripts stored.
    ///
    /// A sign-out is `log_out` of a user, or an end of the own session through `UserSessions`, `DeviceApi` or
    /// `DevicePage`. It does not count if the same request signs in again, or begins a guest session: the browser would delete
    /// that cookie too.
    ///
    /// The response has `Clear-Site-Data: "cookies", "storage", "prefetchCache", "prerenderCache"`. This deletes the device
    /// cookie too, and pages that were loaded ahead for the user. The rest of the browser's cache is not cleared, because that
    /// takes browsers a long time. If your handler sets the header too, browsers clear both.
    ///
    /// Browsers delete the cookies of the whole registrable domain. So a sign-out on `shop.example.com` also
    /// signs the user out on `example.com` and `mail.example.com`. The stored data of scripts is deleted for
    /// this origin only.
    ///
    /// Defaults to no.
    pub fn clear_site_data(mut self, clear: bool) -> Self {
        self.config().clear_site_data = clear;
        self
    }
}

impl Caching {
    /// The handler read the session.
    pub(super) fn mark(self, source: TokenSource, headers: &mut HeaderMap) {
        // Constants, so that their bytes are not checked each time.
        let says = match self {
            Self::NoStore => const { HeaderValue::from_static("no-store") },
            Self::Private => const { HeaderValue::from_static("private") },
            Self::Unchanged => return,
        };
        // One walk costs less than a lookup of each.
        let (mut says_something, mut says_who, mut has_vary) = (false, false, false);
        for (name, value) in headers.iter() {
            if *name == VARY {
                has_vary = true;
            } else if *name == CACHE_CONTROL {
                says_something = true;
                says_who |= says_who_keeps_it(value);
            } else if *name == EXPIRES {
                says_something = true;
            } else if is_for_caches_between(name) {
                says_who = true;
            }
        }
        match (says_who, says_something) {
            (true, _) => {}
            // `Vary` alone is not enough: a layer outside may add a second line, of which nginx before 1.23 reads only the last.
            (false, true) => add(CACHE_CONTROL, HeaderValue::from_static("private"), headers),
            (false, false) => _ = headers.insert(CACHE_CONTROL, says),
        }
        vary(source, headers, has_vary);
    }
}

/// Whether a `Cache-Control` says which caches may keep the response.
fn says_who_keeps_it(value: &HeaderValue) -> bool {
    value.as_bytes().split(|byte| *byte == b',').any(|part| {
        let name = part.split(|byte| *byte == b'=').next().unwrap_or_default();
        let is = |known: &&[u8]| name.trim_ascii().eq_ignore_ascii_case(known);
        [&b"public"[..], b"private", b"no-store", b"s-maxage"]
            .iter()
            .any(is)
    })
}

/// Adds to a list, and makes one line of it: some caches read only one.
fn add(name: HeaderName, more: HeaderValue, headers: &mut HeaderMap) {
    match headers.entry(name) {
        Entry::Vacant(none) => _ = none.insert(more),
        Entry::Occupied(mut there) => {
            let lines = there.iter().filter(|line| !line.is_empty());
            let parts: Vec<_> = lines.chain([&more]).map(HeaderValue::as_bytes).collect();
            // Bytes of header values, so it is one.
            if let Ok(line) = HeaderValue::try_from(parts.join(&b", "[..])) {
                there.insert(line);
            }
        }
    }
}

/// A response that changes a token is stored by no cache.
pub(super) fn no_store(source: TokenSource, headers: &mut HeaderMap) {
    let names = headers.keys().filter(|name| is_for_caches_between(name));
    for name in names.cloned().collect::<Vec<_>>() {
        headers.remove(name);
    }
    headers.remove(EXPIRES);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    vary(source, headers, true);
}

fn is_for_caches_between(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.ends_with(CDN) || OTHERS.contains(&name)
}

/// Names the headers in which a request may send a token, unless the response does. It cannot without `has_vary`.
fn vary(source: TokenSource, headers: &mut HeaderMap, has_vary: bool) {
    let missing = |wanted: bool, name: &[u8]| wanted && !(has_vary && varies(headers, name));
    let cookie = missing(source.reads_cookies(), b"cookie");
    let bearer = missing(source.reads_bearers(), b"authorization");
    let names = match (cookie, bearer) {
        (true, true) => const { HeaderValue::from_static("Cookie, Authorization") },
        (true, false) => const { HeaderValue::from_static("Cookie") },
        (false, true) => const { HeaderValue::from_static("Authorization") },
        (false, false) => return,
    };
    match has_vary {
        true => add(VARY, names, headers),
        false => _ = headers.insert(VARY, names),
    }
}

fn varies(headers: &HeaderMap, by: &[u8]) -> bool {
    let mut lines = headers.get_all(VARY).iter();
    lines.any(|line| {
        let mut names = line.as_bytes().split(|byte| *byte == b',');
        names.any(|name| {
            let name = name.trim_ascii();
            name == b"*" || name.eq_ignore_ascii_case(by)
        })
    })
}
