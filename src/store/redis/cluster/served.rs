//! What a node of a Cluster serves itself, by its answer to `CLUSTER NODES`.

use std::{cmp::Reverse, collections::BTreeSet, ops::Range, str::SplitAsciiWhitespace};

use super::parse::{has, leaves, range};

/// What a node says of the slots that it serves itself.
#[derive(Debug, Default, Eq, PartialEq)]
pub(in super::super) struct Served {
    ranges: Vec<(u16, u16)>,
    /// Those that move to another node now.
    pub(in super::super) moving: BTreeSet<u16>,
}

impl Served {
    pub(in super::super) fn slots(&self) -> impl Iterator<Item = u16> {
        self.ranges.iter().flat_map(|(from, to)| *from..=*to)
    }

    /// The slot amid the longest row of them. What concerns all users is published there, see `Cluster::primaries`.
    pub(in super::super) fn amid(&self) -> Option<u16> {
        let length = |(from, to): &&(u16, u16)| (to - from, Reverse(*from));
        let (from, to) = self.ranges.iter().max_by_key(length)?;
        Some(amid(*from..to + 1))
    }

    pub(in super::super) fn holds(&self, slot: u16) -> bool {
        let mut ranges = self.ranges.iter();
        ranges.any(|(from, to)| (*from..=*to).contains(&slot))
    }
}

/// The one in the middle of a row.
pub(super) fn amid(row: Range<u16>) -> u16 {
    row.start + (row.end - row.start) / 2
}

/// Reads which slots the node serves that was asked; `None` if it does not say.
pub(in super::super) fn served(text: &str) -> Option<Served> {
    let mut lines = text.lines().map(|line| line.split_ascii_whitespace());
    let is_own = |words: &SplitAsciiWhitespace<'_>| {
        let flags = words.clone().nth(2);
        flags.is_some_and(|flags| has(flags, "myself"))
    };
    let own = lines.find(is_own)?;
    let mut served = Served::default();
    for word in own.skip(8) {
        if word.starts_with('[') {
            // What it imports is not its own yet.
            served.moving.extend(leaves(word).map(|(slot, _)| slot));
            continue;
        }
        let (from, to) = range(word)?;
        match served.ranges.last_mut() {
            // One row, as in the map of who publishes.
            Some((_, end)) if *end + 1 == from => *end = to,
            _ => served.ranges.push((from, to)),
        }
    }
    Some(served)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_that_moves_away_is_known_and_one_that_arrives_is_not_served_yet() {
        let text = "1 10.0.0.1:6379@16379 master - 0 0 1 connected 0-5\n\
                    2 10.0.0.2:6379@16379 myself,master - 0 0 2 connected 6 8-9 [8->-1] [5-<-1]\n";

        let served = served(text).unwrap();

        assert_eq!(served.slots().collect::<Vec<_>>(), [6, 8, 9]);
        assert_eq!(served.moving, BTreeSet::from([8]));
        assert!(served.holds(9) && !served.holds(7));
        assert_eq!(served.amid(), Some(9), "amid the longest row");
        assert_eq!(
            super::served("1 10.0.0.1:6379@1 master - 0 0 1 connected"),
            None
        );
    }

    #[test]
    fn rows_that_touch_are_one() {
        let text = "1 10.0.0.1:6379@1 myself,master - 0 0 1 connected 0-9 20-24 25 26-31 40-51";

        let served = served(text).unwrap();

        assert_eq!(served.slots().count(), 34);
        assert_eq!(served.amid(), Some(26));
        let same = "1 10.0.0.1:6379@1 myself,master - 0 0 1 connected 5-8 15-18";
        assert_eq!(super::served(same).unwrap().amid(), Some(7), "the first");
    }
}
