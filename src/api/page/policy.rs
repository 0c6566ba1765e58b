//! What browsers may do with the page.

use http::{
    HeaderMap, HeaderValue,
    header::{
        CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
        X_CONTENT_TYPE_OPTIONS,
    },
};

/// Nothing inline, nothing from elsewhere, in nobody's frame.
const CONTENT: &str = "default-src 'none'; img-src data:; script-src 'self'; style-src 'self'; \
                       base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

pub(super) fn apply(headers: &mut HeaderMap) {
    for (name, value) in [
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, CONTENT),
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        // With none at all, older browsers would send the page's own forms with `Origin: null`.
        (REFERRER_POLICY, "same-origin"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}
