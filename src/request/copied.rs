//! Header values that outlive their request.

use http::HeaderValue;

/// A copy of a value with bytes of its own. Those that a server hands over are parts of a larger buffer.
pub(crate) fn copied(value: &HeaderValue) -> HeaderValue {
    // The bytes were a header value before.
    HeaderValue::from_bytes(value.as_bytes())
        .unwrap_or_else(|_invalid| HeaderValue::from_static(""))
}
