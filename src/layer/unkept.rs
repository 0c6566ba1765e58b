//! [`Unkept`]: why a browser does not keep the cookie of a response.

use http::Request;

use super::{config::Config, mistake};
use crate::request::{is_from_plain_http, is_from_webkit_on_this_machine, is_script_of_other_site};

/// Why a browser does not keep the cookie, as far as its request says.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unkept {
    /// A script of another site sent the request, and the cookie is `SameSite=Lax` or `Strict`.
    OtherSite,
    /// A page on plain http sent the request, and the cookie is `Secure`.
    PlainHttp,
    /// A page on plain http on this machine sent the request, and most versions of its browser drop a `Secure` cookie there.
    WebKitHere,
}

impl Unkept {
    /// Reads a request without a token: what a browser does not keep, it never sends.
    pub(super) fn of<B>(config: &Config, request: &Request<B>) -> Option<Self> {
        let (headers, cookie) = (request.headers(), &config.cookie);
        if cookie.is_secure()
            && mistake::may_warn_of_plain_http()
            && is_from_plain_http(headers, request.uri())
        {
            return Some(Self::PlainHttp);
        }
        if cookie.is_secure()
            && mistake::may_warn_of_webkit()
            && is_from_webkit_on_this_machine(headers, request.uri())
        {
            return Some(Self::WebKitHere);
        }
        let other_site = !cookie.is_for_other_sites()
            && mistake::may_warn_of_other_site()
            && is_script_of_other_site(headers);
        other_site.then_some(Self::OtherSite)
    }

    /// A response to that request sets the cookie.
    pub(super) fn warn(self) {
        match self {
            Self::OtherSite => mistake::same_site_cookie_for_other_site(),
            Self::PlainHttp => mistake::secure_cookie_on_plain_http(),
            Self::WebKitHere => mistake::secure_cookie_in_webkit(),
        }
    }
}
