//! Finds the session cookies in the `Cookie` headers of a request.

use http::{HeaderMap, header::COOKIE};

use super::raw::Raw;

/// What the name of the guest cookie has after the name of the signed-in cookie.
pub(crate) const GUEST: &str = "-guest";

/// What a request sends in the two cookies.
#[derive(Default)]
pub(super) struct Found<'a> {
    pub(super) signed_in: Raw<'a>,
    pub(super) guest: Raw<'a>,
}

impl<'a> Found<'a> {
    /// Reads one `Cookie` header. `name` is that of the signed-in cookie. Compares bytes, because other cookies may
    /// hold any bytes and their names may look alike.
    pub(super) fn read(&mut self, line: &'a [u8], name: &str) {
        for pair in pairs(line) {
            let Some(rest) = trim(pair).strip_prefix(name.as_bytes()) else {
                continue;
            };
            let (raw, rest) = match rest.strip_prefix(GUEST.as_bytes()) {
                Some(rest) => (&mut self.guest, rest),
                None => (&mut self.signed_in, rest),
            };
            if let Some((b'=', value)) = trim_start(rest).split_first() {
                raw.add(trim(value));
            }
        }
    }
}

/// The value of the cookie with this name, unless there are several that differ.
pub(crate) fn named<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    let mut found = Found::default();
    for line in headers.get_all(COOKIE) {
        found.read(line.as_bytes(), name);
    }
    match found.signed_in {
        Raw::One(value) => Some(value),
        Raw::Nothing | Raw::Differing(_) => None,
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
