//! Whether a script of another site sent a request.

use http::{HeaderMap, HeaderName};

use super::plain_http::SEC_FETCH_SITE;

pub(crate) static SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// Whether the browser says that a script of another site sent this request, with `fetch` or the like.
///
/// Browsers drop a cookie with SameSite=Lax or Strict from the response. Images and the like do not count: any site may
/// show those of another.
pub(crate) fn is_script_of_other_site(headers: &HeaderMap) -> bool {
    let is = |name: &HeaderName, text| headers.get(name).is_some_and(|value| value == text);
    is(&SEC_FETCH_SITE, "cross-site") && is(&SEC_FETCH_MODE, "cors")
}
