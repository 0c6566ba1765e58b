//! The keys in Redis: one for each user or guest session.

use crate::model::{Tag, id::decode_12};

/// What the copies of the moment are called before which the sessions of all users ended. One server has the first.
///
/// On a Cluster their slots are in eight equal parts, so that no primary has all copies. None is as long as a tag.
pub(super) const EVERYONE: [&str; 8] = [
    "everyone",
    "everyone-2",
    "everyone-3",
    "everyone-4",
    "everyone-10",
    "everyone-11",
    "everyone-12",
    "everyone-13",
];

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

    /// What comes before the tag in the key of a session set.
    pub(super) fn before_tag(&self) -> String {
        format!("{}:{{", self.prefix)
    }

    /// The tag of the session set with this key.
    pub(super) fn tag(&self, key: &str) -> Option<Tag> {
        let tag = key.strip_prefix(&*self.before_tag())?.strip_suffix('}')?;
        Some(Tag::from_bytes(decode_12(tag.as_bytes())?))
    }

    /// The channel of messages, or what all channels of a Cluster begin with.
    ///
    /// Redis sends messages to all databases, so another one than the first has its number in the name.
    pub(super) fn live(&self, database: i64) -> String {
        match database {
            0 => format!("{}:live", self.prefix),
            _ => format!("{}:live/{database}", self.prefix),
        }
    }

    /// The key of one session set.
    pub(super) fn user(&self, tag: Tag) -> String {
        // Each request makes one, and `format!` takes ten times as long.
        let tag = tag.encode();
        let mut key = String::with_capacity(self.prefix.len() + tag.len() + ":{}".len());
        key.push_str(&self.prefix);
        key.push_str(":{");
        // base64url is ASCII.
        key.push_str(str::from_utf8(&tag).unwrap_or_default());
        key.push('}');
        key
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::store::redis::cluster::slot_of;

    #[test]
    fn no_primary_of_a_cluster_has_all_copies_of_a_moment() {
        let keys = Keys::new("sessions");

        let parts: BTreeSet<u16> = EVERYONE
            .iter()
            .map(|name| slot_of(&keys.named(name)) / 2_048)
            .collect();

        assert_eq!(parts.len(), EVERYONE.len());
    }

    #[test]
    fn a_channel_names_a_database_other_than_the_first() {
        let keys = Keys::new("sessions");

        assert_eq!(keys.live(0), "sessions:live");
        assert_eq!(keys.live(15), "sessions:live/15");
    }

    #[test]
    fn a_key_names_its_tag_and_no_other_key_does() {
        let (keys, tag) = (Keys::new("a{1}"), Tag::from_bytes([7; 12]));

        assert_eq!(keys.tag(&keys.user(tag)), Some(tag));
        assert_eq!(keys.tag(&keys.named("everyone")), None);
        assert_eq!(Keys::new("a").tag(&keys.user(tag)), None);
    }

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
