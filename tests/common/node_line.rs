//! What a node of a Cluster says of one that it knows.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and not every test needs all of it"
)]

/// One line of `CLUSTER NODES`.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) id: String,
    pub(crate) port: u16,
    pub(crate) is_known: bool,
    pub(crate) is_primary: bool,
    pub(crate) has_failed: bool,
    pub(crate) primary: String,
    pub(crate) epoch: u64,
    pub(crate) slots: Vec<(u16, u16)>,
}

impl Line {
    pub(super) fn read(text: &str) -> Self {
        let words: Vec<&str> = text.split(' ').collect();
        let port = words[1].split('@').next().unwrap().rsplit(':').next();
        let flags: Vec<&str> = words[2].split(',').collect();
        let slots = words[8..].iter().filter(|word| !word.starts_with('['));
        Self {
            id: words[0].to_owned(),
            port: port.unwrap().parse().unwrap(),
            is_known: !flags.contains(&"handshake"),
            is_primary: flags.contains(&"master"),
            has_failed: flags.contains(&"fail") || flags.contains(&"fail?"),
            primary: words[3].to_owned(),
            epoch: words[6].parse().unwrap(),
            slots: slots
                .map(|word| {
                    let (from, to) = word.split_once('-').unwrap_or((word, word));
                    (from.parse().unwrap(), to.parse().unwrap())
                })
                .collect(),
        }
    }

    pub(super) fn serves(&self, slot: u16) -> bool {
        let mut slots = self.slots.iter();
        slots.any(|(from, to)| (*from..=*to).contains(&slot))
    }
}
