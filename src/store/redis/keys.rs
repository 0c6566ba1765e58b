//! The keys in Redis: one for each user or guest session.

use crate::model::Tag;

/// Makes the names of keys: `prefix:{tag}`. The braces are the hash tag of Redis Cluster.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    prefix: Box<str>,
}

impl Keys {
    /// Escapes braces in the prefix, because they would move the hash tag. Two prefixes never make the
    /// same keys.
    pub(super) fn new(prefix: &str) -> Self {
        let escaped = prefix.replace('%', "%25");
        let escaped = escaped.replace('{', "%7B").replace('}', "%7D");
        Self {
            prefix: escaped.into_boxed_str(),
        }
    }

    /// A key for something else than a user or a guest.
    pub(super) fn named(&self, name: &str) -> String {
        format!("{}:{{{name}}}", self.prefix)
    }

    /// The channel of messages, or what all channels of a Cluster begin with.
    pub(super) fn live(&self) -> String {
        format!("{}:live", self.prefix)
    }

    /// The key of one session set.
    pub(super) fn user(&self, tag: Tag) -> String {
        format!("{}:{{{tag}}}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_pair_of_braces_and_differs_for_each_prefix() {
        let key = |prefix| Keys::new(prefix).user(Tag::from_bytes([0; 12]));

        let keys = ["app{1}", "app1", "app%7B1%7D", "sessions"].map(key);

        let wanted = ["app%7B1%7D", "app1", "app%257B1%257D", "sessions"];
        assert_eq!(
            keys,
            wanted.map(|prefix| format!("{prefix}:{{AAAAAAAAAAAAAAAA}}"))
        );
    }
}
