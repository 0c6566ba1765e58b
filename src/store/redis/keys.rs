//! The keys in Redis: one for each user or guest session.

use crate::model::Tag;

/// Makes the names of keys: `prefix:{tag}`. The braces are the hash tag of Redis Cluster.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    prefix: Box<str>,
}

impl Keys {
    /// Removes braces from the prefix, because they would move the hash tag.
    pub(super) fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.replace(['{', '}'], "").into_boxed_str(),
        }
    }

    /// A key for something else than a user or a guest.
    pub(super) fn named(&self, name: &str) -> String {
        format!("{}:{{{name}}}", self.prefix)
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
    fn a_key_has_one_pair_of_braces() {
        let key = Keys::new("app{1}").user(Tag::from_bytes([0; 12]));

        assert_eq!(key, "app1:{AAAAAAAAAAAAAAAA}");
    }
}
