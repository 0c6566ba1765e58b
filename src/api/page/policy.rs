//! What browsers may do with the page.

use http::{
    HeaderMap, HeaderValue,
    header::{
        CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
        X_CONTENT_TYPE_OPTIONS,
    },
};

/// Nothing inline, nothing of other sites, in no frame.
const CONTENT: &str = "default-src 'none'; img-src data:; script-src 'self'; style-src 'self'; \
                       base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// The same, and images of this site for the app's own header.
const CONTENT_WITH_IMAGES: &str = "default-src 'none'; img-src 'self' data:; script-src 'self'; \
                                   style-src 'self'; base-uri 'none'; form-action 'self'; \
                                   frame-ancestors 'none'";

pub(super) fn apply(headers: &mut HeaderMap, has_own_header: bool) {
    let content = if has_own_header {
        CONTENT_WITH_IMAGES
    } else {
        CONTENT
    };
    for (name, value) in [
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, content),
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        // With none at all, older browsers would send the page's own forms with `Origin: null`.
        (REFERRER_POLICY, "same-origin"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}
