//! The channels of messages, and what scripts know of them.

use std::{fmt::Write, sync::LazyLock};

use super::super::cluster::slot::{self, SLOTS};

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

/// The channel in the slot of this key, below the one that all begin with.
pub(in super::super) fn of_key(channel: &str, key: &str) -> String {
    of_slot(channel, slot::of(key))
}

/// The channel in this slot, below the one that all begin with.
pub(super) fn of_slot(channel: &str, slot: u16) -> String {
    format!("{channel}:{{{}}}", text(slot))
}

/// How scripts publish.
#[derive(Clone, Debug)]
pub(in super::super) struct Publish {
    /// The channel, or what all channels of a Cluster begin with.
    pub(in super::super) channel: Box<str>,
    /// Whether each slot has a channel of its own.
    pub(in super::super) sharded: bool,
    /// Whether changes are reported that end nothing.
    all: bool,
}

impl Publish {
    pub(super) fn new(channel: String, sharded: bool, all: bool) -> Self {
        Self {
            channel: channel.into(),
            sharded,
            all,
        }
    }

    /// Whether changes are reported that end nothing.
    pub(super) const fn reports_writes(&self) -> bool {
        self.all
    }

    /// The command that sends a message.
    pub(in super::super) fn name(&self) -> &'static str {
        if self.sharded { "SPUBLISH" } else { "PUBLISH" }
    }

    /// The command that listens.
    pub(in super::super) fn subscribe(&self) -> &'static str {
        if self.sharded {
            "SSUBSCRIBE"
        } else {
            "SUBSCRIBE"
        }
    }

    /// The local of scripts that only publish.
    pub(in super::super) fn command(&self) -> String {
        format!("local PUBLISH = \"{}\"", self.name())
    }

    /// The local with the channel. On a Cluster it is the last argument.
    pub(in super::super) fn local(&self) -> String {
        if self.sharded {
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

    /// What the argument with the channel begins with, if there is one.
    pub(in super::super) fn argument(&self) -> Option<Box<str>> {
        self.sharded.then(|| self.channel.clone())
    }

    /// The channel on which a node hears itself.
    pub(super) fn own(&self, node: &str, slot: u16) -> String {
        if self.sharded {
            format!("{}:{node}", of_slot(&self.channel, slot))
        } else {
            format!("{}:{node}", self.channel)
        }
    }
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
        let publish = Publish::new("sessions:live".to_owned(), true, false);
        assert_eq!(slot::of(&publish.own("node", 5)), 5);
        // Nodes of all versions must agree.
        assert_eq!(of_slot("sessions:live", 0), "sessions:live:{3560}");
        assert_eq!(of_slot("sessions:live", 16_383), "sessions:live:{39296}");
    }

    #[test]
    fn a_prefix_is_no_code_of_the_script() {
        let publish = Publish::new("a\"\\\n:live".to_owned(), false, false);

        assert_eq!(publish.local(), r#"local CHANNEL = "a\034\092\010:live""#);
    }
}
