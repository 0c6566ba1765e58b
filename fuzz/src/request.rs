//! Makes a request from the bytes of a fuzzer.

use http::{
    HeaderMap, HeaderValue,
    header::{AUTHORIZATION, COOKIE},
};
use tower_user_sessions::TokenSource;

/// What the service does with the session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Act {
    Nothing,
    Insert,
    LogIn,
    LogOut,
}

/// The layer's token source, the headers of the request, and what the service does.
#[derive(Debug)]
pub struct Request {
    pub source: TokenSource,
    pub act: Act,
    pub headers: HeaderMap,
}

impl Request {
    /// Reads the bytes line by line.
    ///
    /// - The first line is one character. Its lowest two bits choose the source, the next two the act.
    /// - Each other line is a header. Its first character is `a` for `Authorization`, else it is
    ///   `Cookie`. The rest is the value.
    /// - Three control characters in a value stand for texts that a fuzzer cannot guess: 1 for a live
    ///   token, 2 for an unknown one, 3 for the name of the cookie.
    /// - A line that is no valid header value is ignored.
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
