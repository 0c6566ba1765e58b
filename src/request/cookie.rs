//! Finds the session cookie in the `Cookie` headers of a request.

use http::{HeaderMap, header::COOKIE};

use super::raw::Raw;

/// Looks at all `Cookie` headers, because HTTP/2 splits them (RFC 9113 §8.2.3). Compares bytes, because
/// other cookies may hold any bytes and their names may look alike.
pub(super) fn find<'a>(headers: &'a HeaderMap, name: &str) -> Raw<'a> {
    let lines = headers.get_all(COOKIE).iter();
    let pairs = lines.flat_map(|line| pairs(line.as_bytes()));
    Raw::of(pairs.filter_map(|pair| value_of(pair, name.as_bytes())))
}

/// The value of the cookie with this name, unless there are several that differ.
pub(crate) fn named<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    match find(headers, name) {
        Raw::One(value) => Some(value),
        Raw::Nothing | Raw::Differing => None,
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

/// Only SP and HTAB are white space in a cookie. Other spaces of Unicode are part of the name.
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
