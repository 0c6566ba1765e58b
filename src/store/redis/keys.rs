//! The keys of the store: one per user or guest.

use crate::model::Tag;

/// Names keys: `prefix:{tag}`, where the braces are the Cluster's hash tag.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    prefix: Box<str>,
}

impl Keys {
    /// Braces in the prefix would move the hash tag, so they are left out.
    pub(super) fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.replace(['{', '}'], "").into_boxed_str(),
        }
    }

    /// A key for something else than a user or a guest.
    pub(super) fn named(&self, name: &str) -> String {
        format!("{}:{{{name}}}", self.prefix)
    }

    /// The key that holds everything about one user or guest.
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
