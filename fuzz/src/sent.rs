//! Which token a request sends, found by other code than the crate's, to compare the two.

use std::collections::BTreeSet;

use http::{
    HeaderMap,
    header::{AUTHORIZATION, COOKIE},
};
use tower_user_sessions::TokenSource;

/// Which token a request sends.
#[derive(Debug, Eq, PartialEq)]
pub enum Sent {
    Nothing,
    /// Several different ones.
    Differing,
    /// One, perhaps several times; and whether the response sets a cookie.
    One(Vec<u8>, bool),
}

impl Sent {
    pub fn of(source: TokenSource, headers: &HeaderMap, name: &str) -> Self {
        let cookies = match source {
            TokenSource::Bearer => BTreeSet::new(),
            _ => cookies(headers, name),
        };
        let bearers = match source {
            TokenSource::Cookie => BTreeSet::new(),
            _ => bearers(headers),
        };
        let by_cookie = match (cookies.is_empty(), bearers.is_empty()) {
            (false, false) => source == TokenSource::CookieThenBearer,
            (no_cookie, _) => !no_cookie,
        };
        let mut all: Vec<Vec<u8>> = cookies.union(&bearers).cloned().collect();
        match (all.pop(), all.pop()) {
            (None, _) => Self::Nothing,
            (Some(one), None) => Self::One(one, by_cookie),
            (Some(_), Some(_)) => Self::Differing,
        }
    }
}

/// The values of all cookies of this name.
fn cookies(headers: &HeaderMap, name: &str) -> BTreeSet<Vec<u8>> {
    let mut values = BTreeSet::new();
    for line in headers.get_all(COOKIE) {
        for pair in line.as_bytes().split(|byte| *byte == b';') {
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let (Some(key), Some(value)) = (halves.next(), halves.next()) else {
                continue;
            };
            if bare(key) == name.as_bytes() {
                values.insert(bare(value).to_vec());
            }
        }
    }
    values
}

/// The values after `Bearer`, in any case.
fn bearers(headers: &HeaderMap) -> BTreeSet<Vec<u8>> {
    let mut values = BTreeSet::new();
    for line in headers.get_all(AUTHORIZATION) {
        let line = bare(line.as_bytes());
        let end = line.iter().position(|byte| b" \t".contains(byte));
        let (scheme, rest) = line.split_at(end.unwrap_or(line.len()));
        if scheme.eq_ignore_ascii_case(b"bearer") {
            values.insert(bare(rest).to_vec());
        }
    }
    values
}

/// The bytes without spaces and tabs around them.
fn bare(bytes: &[u8]) -> &[u8] {
    let kept = |byte: &u8| !b" \t".contains(byte);
    let from = bytes.iter().position(kept).unwrap_or(bytes.len());
    let to = bytes.iter().rposition(kept).map_or(from, |at| at + 1);
    &bytes[from..to]
}
