//! The answer to `CLUSTER NODES`.

use std::{cmp::Reverse, collections::BTreeSet, ops::Range, str::SplitAsciiWhitespace};

use super::{address::Address, slot::SLOTS};

/// What one node knows of its Cluster.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct View {
    /// The nodes that serve slots or may come to.
    pub(super) primaries: Vec<Primary>,
    /// All nodes that can be asked, replicas too.
    pub(super) nodes: Vec<Address>,
    /// Whether the node does not know the host of a primary: another one may.
    pub(super) incomplete: bool,
}

/// A primary and what it serves.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Primary {
    pub(super) address: Address,
    /// The same node under its other name, which redirections may use.
    pub(super) alias: Option<Address>,
    /// Whether `address` is the name that it announces.
    pub(super) named: bool,
    pub(super) epoch: u64,
    /// From and to, both included.
    pub(super) slots: Vec<(u16, u16)>,
    /// Whether the node that was asked hears nothing from it.
    pub(super) fails: bool,
}

impl Primary {
    /// Each slot that it serves.
    pub(super) fn claimed(&self) -> impl Iterator<Item = u16> {
        self.slots.iter().flat_map(|(from, to)| *from..=*to)
    }
}

impl View {
    /// Whether the node that was asked hears most of those that serve slots. One that is cut off from them may say what was.
    pub(super) fn hears_most(&self) -> bool {
        let serve = || self.primaries.iter().filter(|of| !of.slots.is_empty());
        serve().filter(|of| !of.fails).count() * 2 > serve().count()
    }
}

/// Reads what the node that was reached at `answered` says; `None` if it is no such answer.
///
/// `names`: the nodes' names are used rather than their addresses, for certificates bear names.
pub(super) fn view(text: &str, answered: &str, names: bool) -> Option<View> {
    let (mut view, mut myself) = (View::default(), false);
    let names = names || names_lead(text, answered);
    for line in text.lines().filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let [
            _id,
            at,
            flags,
            _primary,
            _ping,
            _pong,
            epoch,
            _state,
            slots @ ..,
        ] = &words[..]
        else {
            return None;
        };
        let epoch = epoch.parse().ok()?;
        let has = |flag| has(flags, flag);
        myself |= has("myself");
        if has("noaddr") || has("handshake") {
            continue;
        }
        let (address, alias) = addresses(at, answered, names);
        let Some(address) = address else {
            view.incomplete |= has("master");
            continue;
        };
        if !has("fail") {
            view.nodes.push(address.clone());
        }
        if has("master") {
            let slots = slots.iter().filter(|word| !word.starts_with('['));
            view.primaries.push(Primary {
                address,
                named: names && alias.is_some(),
                alias,
                epoch,
                slots: slots.map(|word| range(word)).collect::<Option<_>>()?,
                fails: has("fail") || has("fail?"),
            });
        }
    }
    myself.then_some(view)
}

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
        match word.strip_prefix('[') {
            None => {
                let (from, to) = range(word)?;
                match served.ranges.last_mut() {
                    // One row, as in the map of who publishes.
                    Some((_, end)) if *end + 1 == from => *end = to,
                    _ => served.ranges.push((from, to)),
                }
            }
            // What it imports is not its own yet.
            Some(moves) => {
                let to = moves.split_once("->-");
                served
                    .moving
                    .extend(to.and_then(|(slot, _)| slot.parse::<u16>().ok()));
            }
        }
    }
    Some(served)
}

/// Whether the node that answered was reached under the name that it announces.
///
/// Then names lead to the nodes, and their addresses may not: those of containers, or of another network. One name for
/// several nodes leads to none of them.
fn names_lead(text: &str, answered: &str) -> bool {
    let (mut names, mut is_own) = (BTreeSet::new(), false);
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace().skip(1);
        let (Some(at), Some(flags)) = (words.next(), words.next()) else {
            continue;
        };
        let has = |flag| has(flags, flag);
        // One that was made again under its name is known beside the one that has failed.
        let is_gone = has("noaddr") || has("handshake") || has("fail");
        let Some(name) = name(at).filter(|_| !is_gone) else {
            continue;
        };
        is_own |= has("myself") && name.host.eq_ignore_ascii_case(answered);
        if !names.insert(name.to_string()) {
            return false;
        }
    }
    is_own
}

fn has(flags: &str, flag: &str) -> bool {
    flags.split(',').any(|of| of == flag)
}

/// Splits `ip:port@bus,hostname,name=value…`: the address, and what follows.
fn split(at: &str) -> (&str, &str) {
    at.split_once(['@', ',']).unwrap_or((at, ""))
}

/// The name that a node announces.
fn name(at: &str) -> Option<Address> {
    let (address, rest) = split(at);
    let mut parts = rest.split(',').skip(usize::from(at.contains('@')));
    let host = parts.find(|part| !part.is_empty() && !part.contains('='))?;
    let (_, port) = address.rsplit_once(':')?;
    Some(Address::new(host, port.parse().ok()?))
}

/// The name to use and the other one.
fn addresses(at: &str, answered: &str, names: bool) -> (Option<Address>, Option<Address>) {
    let (address, _) = split(at);
    match (Address::parse(address, answered), name(at)) {
        (Some(ip), Some(named)) if names => (Some(named), Some(ip)),
        (Some(ip), named) => (Some(ip), named),
        (None, named) => (named, None),
    }
}

/// `5` or `5-9`.
fn range(word: &str) -> Option<(u16, u16)> {
    let (from, to) = word.split_once('-').unwrap_or((word, word));
    let (from, to) = (from.parse().ok()?, to.parse().ok()?);
    (from <= to && to < SLOTS).then_some((from, to))
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

    const NODES: &str = include_str!("samples/nodes.txt");

    fn primary(host: &str, port: u16, epoch: u64, slots: &[(u16, u16)]) -> Primary {
        Primary {
            address: Address::new(host, port),
            alias: None,
            named: false,
            epoch,
            slots: slots.to_vec(),
            fails: false,
        }
    }

    #[test]
    fn a_node_that_is_cut_off_hears_few_of_the_others() {
        let hears_most = |second: &str, third: &str| {
            let text = format!(
                "1 10.0.0.1:6379@1 myself,master - 0 0 1 connected 0-5\n\
                 2 10.0.0.2:6379@1 {second} - 0 0 2 connected 6-7\n\
                 3 10.0.0.3:6379@1 {third} - 0 0 3 disconnected 8\n\
                 4 10.0.0.4:6379@1 master - 0 0 4 connected"
            );
            view(&text, "x", false).unwrap().hears_most()
        };

        assert!(hears_most("master", "master"));
        assert!(hears_most("master", "master,fail"));
        assert!(!hears_most("master,fail?", "master,fail"));
        assert!(!View::default().hears_most());
    }

    #[test]
    fn primaries_have_their_epochs_and_slots() {
        let view = view(NODES, "seed.example", false).unwrap();

        let mut second = primary("127.0.0.1", 30002, 2, &[(5461, 10922)]);
        second.alias = Some(Address::new("host-2", 30002));
        let mut third = primary("127.0.0.1", 30003, 3, &[(10923, 16382), (16383, 16383)]);
        third.fails = true;
        assert_eq!(
            view.primaries,
            [
                second,
                third,
                primary("seed.example", 30001, 7, &[(0, 5460)]),
            ]
        );
        assert!(view.incomplete, "the host of one is not known");
        let ports: Vec<u16> = view.nodes.iter().map(|node| node.port).collect();
        assert_eq!(ports, [30004, 30002, 30001], "one has failed");
    }

    #[test]
    fn names_come_first_where_certificates_bear_them() {
        let view = view(NODES, "seed.example", true).unwrap();

        let second = &view.primaries[0];
        assert_eq!(second.address, Address::new("host-2", 30002));
        assert_eq!(second.alias, Some(Address::new("127.0.0.1", 30002)));
    }

    #[test]
    fn names_come_first_where_a_node_is_reached_under_the_one_that_it_announces() {
        let nodes = |second: &str| {
            format!(
                "1 172.18.0.2:6379@16379,node-1 myself,master - 0 0 1 connected 0-5\n\
                 2 172.18.0.3:6379@16379,{second} master - 0 0 2 connected 6-9\n\
                 3 :0@0,node-1 master,noaddr - 0 0 1 disconnected"
            )
        };
        let hosts = |text: &str, answered: &str| {
            let primaries = view(text, answered, false).unwrap().primaries;
            let hosts = primaries
                .into_iter()
                .map(|of| of.address.host.into_string());
            hosts.collect::<Vec<_>>()
        };

        assert_eq!(hosts(&nodes("node-2"), "Node-1"), ["node-1", "node-2"]);
        assert_eq!(hosts(&nodes(""), "node-1"), ["node-1", "172.18.0.3"]);
        let addresses = ["172.18.0.2", "172.18.0.3"];
        assert_eq!(hosts(&nodes("node-2"), "redis.example"), addresses);
        assert_eq!(hosts(&nodes("node-1"), "node-1"), addresses, "one name");
        let made_again = format!(
            "{}\n4 172.18.0.4:6379@16379,node-2 master,fail - 0 0 2 connected",
            nodes("node-2")
        );
        assert_eq!(hosts(&made_again, "node-1")[..2], ["node-1", "node-2"]);
    }

    #[test]
    fn ipv6_and_lines_of_older_servers_are_read() {
        let view = view(
            "a fd00::1:7000@17000 myself,master - 0 0 1 connected 0-5\nb 10.0.0.2:7001 master - 0 0 2 connected 6",
            "x",
            true,
        )
        .unwrap();

        assert_eq!(
            view.primaries,
            [
                primary("fd00::1", 7000, 1, &[(0, 5)]),
                primary("10.0.0.2", 7001, 2, &[(6, 6)]),
            ]
        );
    }

    #[test]
    fn anything_else_is_no_answer() {
        for text in [
            "",
            "OK",
            "a 10.0.0.1:7000@1 master - 0 0 1 connected 0-5",
            "a 10.0.0.1:7000@1 myself,master - 0 0 one connected 0-5",
            "a 10.0.0.1:7000@1 myself,master - 0 0 1 connected 0-16384",
            "a 10.0.0.1:7000@1 myself,master - 0 0 1 connected 9-5",
        ] {
            assert_eq!(view(text, "x", false), None, "{text}");
        }
    }
}
