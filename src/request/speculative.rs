//! Whether a browser asks for a page that its user did not open yet.

use http::{HeaderName, HeaderValue};

static SEC_PURPOSE: HeaderName = HeaderName::from_static("sec-purpose");
static PURPOSE: HeaderName = HeaderName::from_static("purpose");
static X_MOZ: HeaderName = HeaderName::from_static("x-moz");
static X_PURPOSE: HeaderName = HeaderName::from_static("x-purpose");

/// Whether this header says so: prefetch, prerender, or the preview of a start page.
///
/// `Sec-Purpose` is the standard one. Older browsers send one of the others.
pub(crate) fn says_speculative(name: &HeaderName, value: &HeaderValue) -> bool {
    // Comparing a length and, rarely, some bytes: this runs for every header of every request.
    if *name == SEC_PURPOSE {
        holds(value, b"prefetch") || holds(value, b"prerender")
    } else if *name == PURPOSE || *name == X_MOZ {
        holds(value, b"prefetch")
    } else {
        *name == X_PURPOSE && holds(value, b"preview")
    }
}

fn holds(value: &HeaderValue, word: &[u8]) -> bool {
    value
        .as_bytes()
        .windows(word.len())
        .any(|part| part.eq_ignore_ascii_case(word))
}
