//! Reads the token from the `Cookie` headers of a request.

use http::{HeaderMap, header::COOKIE};

use crate::model::Token;

/// What a request shows under the name of our cookie.
#[derive(Debug)]
pub(crate) enum Shown {
    /// No such cookie.
    Nothing,
    /// One that is not a token.
    Malformed,
    /// Two that differ: somebody may have planted one, so neither is used.
    Conflict,
    /// A well-formed token.
    Token(Token),
}

/// Looks at all `Cookie` headers (HTTP/2 splits them, RFC 9113 §8.2.3), as bytes: a name that only
/// looks like ours is another one, and other cookies may hold any bytes.
pub(crate) fn read(headers: &HeaderMap, name: &str) -> Shown {
    let mut found: Option<&[u8]> = None;
    for header in headers.get_all(COOKIE) {
        for pair in pairs(header.as_bytes()) {
            let Some(value) = value_of(pair, name.as_bytes()) else {
                continue;
            };
            if found.is_some_and(|first| first != value) {
                return Shown::Conflict;
            }
            found = Some(value);
        }
    }
    match found.map(Token::parse) {
        None => Shown::Nothing,
        Some(Err(_)) => Shown::Malformed,
        Some(Ok(token)) => Shown::Token(token),
    }
}

fn pairs(header: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut from = 0;
    let ends = memchr::memchr_iter(b';', header).chain([header.len()]);
    ends.map(move |end| {
        let pair = header.get(from..end).unwrap_or_default();
        from = end + 1;
        pair
    })
}

fn value_of<'a>(pair: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let value = trim(pair).strip_prefix(name)?;
    let (first, rest) = trim_start(value).split_first()?;
    (*first == b'=').then(|| trim(rest))
}

/// Only SP and HTAB are white space in a cookie; Unicode's other spaces are part of the name.
fn trim(mut bytes: &[u8]) -> &[u8] {
    while let Some((b' ' | b'\t', head)) = bytes.split_last() {
        bytes = head;
    }
    trim_start(bytes)
}

fn trim_start(mut bytes: &[u8]) -> &[u8] {
    while let Some((b' ' | b'\t', rest)) = bytes.split_first() {
        bytes = rest;
    }
    bytes
}
