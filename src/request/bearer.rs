//! Finds the bearer token in an `Authorization` header of a request.

/// What comes after the scheme, which may be nothing. `None` for other schemes. The scheme's case does not matter
/// (RFC 9110 §11.1). Reads bytes.
pub(crate) fn token_of(line: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = line.trim_ascii().split_at_checked("bearer".len())?;
    let ends = matches!(rest.first(), None | Some(b' ' | b'\t'));
    (ends && scheme.eq_ignore_ascii_case(b"bearer")).then(|| rest.trim_ascii())
}
