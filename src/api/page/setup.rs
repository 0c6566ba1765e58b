//! How a device page is set up.

use std::time::Duration;

use super::{asset::Asset, words::Words};
use crate::{api::places::Places, session::Session};

pub(super) const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// How a device page is set up.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    /// Where browsers find the page, without a slash at the end: `/devices`, or empty.
    pub(super) prefix: String,
    /// Where people sign in.
    pub(super) login: Option<String>,
    pub(super) words: Words,
    pub(super) style: Asset,
    pub(super) script: Asset,
    pub(super) places: Places,
    /// How long ago users may have proved who they are to end sessions, and where they do it again.
    pub(super) fresh: Option<(Duration, String)>,
    pub(super) spare_uncounted: bool,
}

impl Setup {
    pub(super) fn at(prefix: &str) -> Self {
        let prefix = prefix.trim_matches('/');
        let slash = if prefix.is_empty() { "" } else { "/" };
        Self {
            prefix: escaped(&format!("{slash}{prefix}")),
            login: None,
            words: Words::default(),
            style: Asset::style(STYLE),
            script: Asset::script(SCRIPT),
            places: Places::unknown(),
            fresh: None,
            spare_uncounted: false,
        }
    }

    /// Where a user has to prove again who they are before they end sessions.
    pub(super) fn stale(&self, session: &Session) -> Option<&str> {
        let (within, prove) = self.fresh.as_ref()?;
        (!session.is_fresh(*within)).then_some(prove)
    }

    /// The address of the page itself.
    pub(super) fn home(&self) -> &str {
        if self.prefix.is_empty() {
            "/"
        } else {
            &self.prefix
        }
    }
}

/// A path as it may stand in a header.
pub(super) fn escaped(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'!'..=b'~' => text.push(char::from(byte)),
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_a_path_without_a_slash_at_the_end() {
        let found = ["/devices", "devices/", "/a/b/", "/", "", "/a b\r\nü"].map(|prefix| {
            let setup = Setup::at(prefix);
            (setup.home().to_owned(), setup.prefix)
        });

        let same = |text: &str| (text.to_owned(), text.to_owned());
        let root = ("/".to_owned(), String::new());
        assert_eq!(
            found,
            [
                same("/devices"),
                same("/devices"),
                same("/a/b"),
                root.clone(),
                root,
                same("/a%20b%0D%0A%C3%BC"),
            ]
        );
    }
}
