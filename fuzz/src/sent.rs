//! Which token a request sends, found by other code than the crate's, to compare the two.

use std::collections::BTreeSet;

use http::{
    HeaderMap,
    header::{AUTHORIZATION, COOKIE},
};
use tower_user_sessions::TokenSource;

/// What a request sends: the values in each place, without repetitions.
#[derive(Debug, Default, Eq, PartialEq)]
pub struct Sent {
    cookies: BTreeSet<Vec<u8>>,
    bearers: BTreeSet<Vec<u8>>,
    guests: BTreeSet<Vec<u8>>,
}

/// What the layer makes of it.
#[derive(Debug, Eq, PartialEq)]
pub struct Opened {
    /// Whether the service sees the user.
    pub user: bool,
    /// How often the store is asked.
    pub calls: usize,
}

impl Sent {
    pub fn of(source: TokenSource, headers: &HeaderMap, name: &str) -> Self {
        let mut sent = Self::default();
        if source != TokenSource::Bearer {
            sent.cookies = cookies(headers, name);
            sent.guests = cookies(headers, &format!("{name}-guest"));
        }
        if source != TokenSource::Cookie {
            sent.bearers = bearers(headers);
        }
        sent
    }

    /// What the layer makes of it, where only this token opens a session, which is one of a user.
    pub fn opened(&self, live: &str) -> Opened {
        // A token that the store did not know is not asked for again.
        let mut dead = BTreeSet::new();
        let mut calls = 0;
        let mut ask = |token: &Vec<u8>| {
            let known = dead.contains(token);
            calls += usize::from(!known);
            let opens = token == live.as_bytes();
            if !opens {
                dead.insert(token.clone());
            }
            opens
        };
        let mut user = false;
        let mut cookie_opens = false;
        let (cookie, main) = self.tokens();
        if let Some(cookie) = cookie {
            cookie_opens = ask(&cookie);
        }
        // Two tokens, of which the first opens a session: neither is used.
        if let Some(main) = main.filter(|_| !cookie_opens) {
            user = ask(&main);
        }
        if let Some(guest) = one(&self.guests).filter(|_| !user) {
            // A session of a user does not belong there.
            ask(&guest);
        }
        Opened { user, calls }
    }

    /// A cookie that is asked for first, and the token that counts if that cookie opens no session.
    fn tokens(&self) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
        let (cookies, bearers) = (&self.cookies, &self.bearers);
        if bearers.is_empty() || cookies.len() == 1 && cookies == bearers {
            return (None, one(cookies));
        }
        if !cookies.iter().any(|cookie| is_token(cookie)) {
            // An empty or malformed cookie is no second token.
            return (None, one(bearers));
        }
        match (one(cookies), one(bearers)) {
            (Some(cookie), Some(bearer)) => (Some(cookie), Some(bearer)),
            _ => (None, None),
        }
    }
}

/// The only value, if it is a token.
fn one(values: &BTreeSet<Vec<u8>>) -> Option<Vec<u8>> {
    let value = values.first().filter(|_| values.len() == 1)?;
    is_token(value).then(|| value.clone())
}

/// Whether it is 64 characters of base64url, which are exactly 48 bytes.
fn is_token(text: &[u8]) -> bool {
    let in_alphabet = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
    text.len() == 64 && text.iter().all(in_alphabet)
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
