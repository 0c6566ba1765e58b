//! The text of a script.

use deadpool_redis::redis::Script as Source;

/// A script and its name on the server.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) source: String,
    pub(super) sha1: String,
}

impl Script {
    /// Puts the preludes after the first line of `body`: that one tells the server what it must know
    /// of the script.
    pub(super) fn new(preludes: &[&str], body: &str, follows: &[&str]) -> Self {
        let (flags, body) = body.split_once('\n').unwrap_or((body, ""));
        Self::of(&[&[flags], preludes, &[body], follows].concat())
    }

    /// Takes the parts as they come.
    pub(super) fn of(parts: &[&str]) -> Self {
        let source = parts.join("\n");
        let sha1 = Source::new(&source).get_hash().to_owned();
        Self { source, sha1 }
    }
}
