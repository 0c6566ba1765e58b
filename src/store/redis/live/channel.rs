//! The channels of messages, and what scripts know of them.

use std::{fmt::Write, sync::LazyLock};

use super::super::{
    cluster::slot::{self, SLOTS},
    keys::Keys,
};
use crate::model::Tag;

/// By slot, the smallest number whose text is in it.
static TEXTS: LazyLock<Box<[u32]>> = LazyLock::new(|| {
    let mut texts = vec![u32::MAX; usize::from(SLOTS)];
    let mut left = texts.len();
    let mut number = 0;
    while left > 0 {
        let slot = usize::from(slot::of(&number.to_string()));
        if let Some(text) = texts.get_mut(slot).filter(|text| **text == u32::MAX) {
            *text = number;
            left -= 1;
        }
        number += 1;
    }
    texts.into()
});

/// A text in this slot.
pub(in super::super) fn text(slot: u16) -> u32 {
    TEXTS.get(usize::from(slot)).copied().unwrap_or_default()
}

/// The channel in this slot, below the one that all begin with.
pub(super) fn of_slot(channel: &str, slot: u16) -> String {
    format!("{channel}:{{{}}}", text(slot))
}

/// Which channels there are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Spread {
    /// One.
    One,
    /// So many, each with a share of the users. What concerns all users is in the one channel too.
    Shards(u16),
    /// One for each slot of a Cluster. `held`: a node listens only to those that its readers hold.
    Slots { held: bool },
}

/// How scripts publish.
#[derive(Clone, Debug)]
pub(in super::super) struct Publish {
    /// The channel, or what all channels begin with.
    channel: Box<str>,
    spread: Spread,
    /// Whether changes are reported that end nothing.
    all: bool,
}

impl Publish {
    pub(super) fn new(channel: String, spread: Spread, all: bool) -> Self {
        Self {
            channel: channel.into(),
            spread,
            all,
        }
    }

    /// Whether changes are reported that end nothing.
    pub(super) const fn reports_writes(&self) -> bool {
        self.all
    }

    /// Whether each slot of a Cluster has a channel of its own.
    pub(super) const fn has_slots(&self) -> bool {
        matches!(self.spread, Spread::Slots { .. })
    }

    /// Whether a node listens only to what its readers hold.
    pub(super) fn is_held(&self) -> bool {
        self.unsubscribe().is_some()
    }

    /// How many channels share the users.
    pub(super) const fn places(&self) -> u16 {
        match self.spread {
            Spread::One => 1,
            Spread::Shards(count) => count,
            Spread::Slots { .. } => SLOTS,
        }
    }

    /// Which of them has the messages about this session set.
    pub(super) fn place(&self, tag: Tag) -> u16 {
        match self.spread {
            Spread::One => 0,
            Spread::Shards(count) => shard(tag, count),
            Spread::Slots { .. } => slot::of_tag(&tag.encode()),
        }
    }

    /// The channel of this place.
    pub(super) fn at(&self, place: u16) -> String {
        match self.spread {
            Spread::One => self.channel.to_string(),
            Spread::Shards(_) => format!("{}:{place}", self.channel),
            Spread::Slots { .. } => of_slot(&self.channel, place),
        }
    }

    /// The channel of the session set with this key.
    pub(in super::super) fn of_key(&self, keys: &Keys, key: &str) -> String {
        match self.spread {
            Spread::One => self.channel.to_string(),
            Spread::Shards(_) => self.at(keys.tag(key).map_or(0, |tag| self.place(tag))),
            Spread::Slots { .. } => of_slot(&self.channel, slot::of(key)),
        }
    }

    /// The channel for what concerns all users, on the server with this key.
    pub(in super::super) fn of_all(&self, key: &str) -> String {
        match self.spread {
            Spread::One | Spread::Shards(_) => self.channel.to_string(),
            Spread::Slots { .. } => of_slot(&self.channel, slot::of(key)),
        }
    }

    /// The command that sends a message.
    pub(in super::super) fn name(&self) -> &'static str {
        if self.has_slots() {
            "SPUBLISH"
        } else {
            "PUBLISH"
        }
    }

    /// The command that listens.
    pub(in super::super) fn subscribe(&self) -> &'static str {
        if self.has_slots() {
            "SSUBSCRIBE"
        } else {
            "SUBSCRIBE"
        }
    }

    /// The command that listens no more, if the node ever does that.
    pub(in super::super) fn unsubscribe(&self) -> Option<&'static str> {
        match self.spread {
            Spread::Shards(_) => Some("UNSUBSCRIBE"),
            Spread::Slots { held: true } => Some("SUNSUBSCRIBE"),
            Spread::One | Spread::Slots { held: false } => None,
        }
    }

    /// The local of scripts that only publish.
    pub(in super::super) fn command(&self) -> String {
        format!("local PUBLISH = \"{}\"", self.name())
    }

    /// Whether the channel is the last argument of a script.
    pub(in super::super) const fn is_argument(&self) -> bool {
        !matches!(self.spread, Spread::One)
    }

    /// The local with the channel.
    pub(in super::super) fn local(&self) -> String {
        if self.is_argument() {
            return "local CHANNEL = table.remove(ARGV)".to_owned();
        }
        let mut quoted = String::new();
        for byte in self.channel.bytes() {
            // Cannot fail: it writes to a String.
            let _ = match byte {
                b':' | b'-' | b'_' => write!(quoted, "{}", char::from(byte)),
                _ if byte.is_ascii_alphanumeric() => write!(quoted, "{}", char::from(byte)),
                _ => write!(quoted, "\\{byte:03}"),
            };
        }
        format!("local CHANNEL = \"{quoted}\"")
    }

    /// The other locals of `live.lua` that are the same in all scripts.
    pub(in super::super) fn settings(&self) -> String {
        format!("local PUBLISH, ALL = \"{}\", {}", self.name(), self.all)
    }

    /// The channel on which a node hears itself.
    pub(super) fn own(&self, node: &str, slot: u16) -> String {
        if self.has_slots() {
            format!("{}:{node}", of_slot(&self.channel, slot))
        } else {
            format!("{}:{node}", self.channel)
        }
    }
}

/// Which of so many shards a session set belongs to. Nodes of all versions must agree.
fn shard(tag: Tag, count: u16) -> u16 {
    let [high, low, ..] = *tag.as_bytes();
    u16::from_be_bytes([high, low]) % count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_slot_has_a_channel_in_it() {
        for number in 0..SLOTS {
            let channel = of_slot("sessions:live", number);
            assert_eq!(slot::of(&channel), number, "{channel}");
            assert!(channel.len() < 24, "{channel}");
        }
        let publish = Publish::new(
            "sessions:live".to_owned(),
            Spread::Slots { held: false },
            false,
        );
        assert_eq!(slot::of(&publish.own("node", 5)), 5);
        // Nodes of all versions must agree.
        assert_eq!(of_slot("sessions:live", 0), "sessions:live:{3560}");
        assert_eq!(of_slot("sessions:live", 16_383), "sessions:live:{39296}");
    }

    #[test]
    fn a_prefix_is_no_code_of_the_script() {
        let publish = Publish::new("a\"\\\n:live".to_owned(), Spread::One, false);

        assert_eq!(publish.local(), r#"local CHANNEL = "a\034\092\010:live""#);
    }
}
