//! The text of a script.

use std::fmt;

use deadpool_redis::redis::Script as Source;

/// A script and its name on the server.
#[derive(Debug)]
pub(in super::super) struct Script {
    /// As it is, and without its first line: servers other than Redis 7 and Valkey do not know that.
    whole: Named,
    bare: Named,
    /// Whether its last argument is the channel for its message.
    pub(in super::super) takes_channel: bool,
}

struct Named {
    text: String,
    sha1: String,
}

impl Script {
    /// Puts the preludes after the first line of `body`, which has the script's flags for the server.
    pub(super) fn new(preludes: &[&str], body: &'static str, follows: &[&str]) -> Self {
        let (flags, body) = flags(body);
        Self::of(&[&[flags], preludes, &[body], follows].concat())
    }

    /// Takes the parts as they come.
    pub(in super::super) fn of(parts: &[&str]) -> Self {
        let whole = parts.join("\n");
        let bare = match whole.split_once('\n') {
            Some((flags, rest)) if flags.starts_with("#!") => rest.to_owned(),
            _ => whole.clone(),
        };
        Self {
            whole: Named::new(whole),
            bare: Named::new(bare),
            takes_channel: false,
        }
    }

    /// Its text, with its first line or without.
    pub(in super::super) fn text(&self, shebang: bool) -> &str {
        &self.form(shebang).text
    }

    /// The name of that text.
    pub(in super::super) fn sha1(&self, shebang: bool) -> &str {
        &self.form(shebang).sha1
    }

    /// Whether a server that is full runs it, in its form with the first line.
    pub(in super::super) fn needs_no_room(&self) -> bool {
        let flags = self.whole.text.lines().next();
        flags.is_some_and(|flags| flags.starts_with("#!") && flags.contains("allow-oom"))
    }

    fn form(&self, shebang: bool) -> &Named {
        if shebang { &self.whole } else { &self.bare }
    }
}

/// The first line of a script, and the rest.
pub(super) fn flags(body: &'static str) -> (&'static str, &'static str) {
    body.split_once('\n').unwrap_or((body, ""))
}

impl Named {
    fn new(text: String) -> Self {
        let sha1 = Source::new(&text).get_hash().to_owned();
        Self { text, sha1 }
    }
}

/// Apps print the store with their state, and the texts of all scripts would be most of that.
impl fmt::Debug for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Named").field(&self.sha1).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::RedisStore;

    #[test]
    fn debug_of_a_store_prints_names_of_scripts_and_not_their_texts() {
        let store = RedisStore::connect("redis://127.0.0.1:1").unwrap();

        let printed = format!("{store:?}");

        assert!(!printed.contains("redis.call"), "{printed}");
        let script = Script::of(&["return 1"]);
        assert!(format!("{script:?}").contains(script.sha1(true)));
    }
}
