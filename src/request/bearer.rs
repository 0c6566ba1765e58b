//! Finds the bearer token in the `Authorization` headers of a request.

use http::{HeaderMap, header::AUTHORIZATION};

use super::raw::Raw;

/// Looks at all `Authorization` headers, as bytes. Other schemes are skipped. The scheme's case does
/// not matter (RFC 9110 §11.1).
pub(super) fn find(headers: &HeaderMap) -> Raw<'_> {
    let lines = headers.get_all(AUTHORIZATION).iter();
    Raw::of(lines.filter_map(|line| token_of(line.as_bytes())))
}

/// What comes after the scheme, which may be nothing.
fn token_of(line: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = line.trim_ascii().split_at_checked("bearer".len())?;
    let ends = matches!(rest.first(), None | Some(b' ' | b'\t'));
    (ends && scheme.eq_ignore_ascii_case(b"bearer")).then(|| rest.trim_ascii())
}
