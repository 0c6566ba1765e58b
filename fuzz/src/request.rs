//! A request out of a fuzzer's bytes.

use http::{
    HeaderMap, HeaderValue,
    header::{AUTHORIZATION, COOKIE},
};
use tower_user_sessions::TokenSource;

/// What the service does with its session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Act {
    Nothing,
    Insert,
    LogIn,
    LogOut,
}

/// Where the layer looks for tokens, what it finds there, and what the service does.
#[derive(Debug)]
pub struct Request {
    pub source: TokenSource,
    pub act: Act,
    pub headers: HeaderMap,
}

impl Request {
    /// The first line is one character: its lowest two bits choose the source, the next two the act.
    /// Each other line is a header: `Authorization` if it begins with `a`, else `Cookie`; its first
    /// character is no part of the value. Control characters in a value stand for what a fuzzer cannot
    /// guess: 1 for a live token, 2 for a token that nobody has, 3 for the cookie's name. A line that
    /// is no header value is left out.
    pub fn of(bytes: &[u8], live: &str, unknown: &str, name: &str) -> Self {
        let mut lines = bytes.split(|byte| *byte == b'\n');
        let chosen = lines.next().and_then(|line| line.first()).copied();
        let chosen = chosen.unwrap_or(b'0');
        let mut headers = HeaderMap::new();
        for line in lines {
            let Some((first, value)) = line.split_first() else {
                continue;
            };
            let header = if *first == b'a' {
                AUTHORIZATION
            } else {
                COOKIE
            };
            let mut written = Vec::new();
            for byte in value {
                match byte {
                    1 => written.extend_from_slice(live.as_bytes()),
                    2 => written.extend_from_slice(unknown.as_bytes()),
                    3 => written.extend_from_slice(name.as_bytes()),
                    other => written.push(*other),
                }
            }
            if let Ok(value) = HeaderValue::from_bytes(&written) {
                headers.append(header, value);
            }
        }
        Self {
            source: match chosen & 3 {
                0 => TokenSource::Cookie,
                1 => TokenSource::CookieThenBearer,
                2 => TokenSource::Bearer,
                _ => TokenSource::BearerThenCookie,
            },
            act: match chosen >> 2 & 3 {
                0 => Act::Nothing,
                1 => Act::LogIn,
                2 => Act::LogOut,
                _ => Act::Insert,
            },
            headers,
        }
    }
}
