//! The answer to `CLUSTER NODES`.

use std::collections::BTreeSet;

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
    /// Slots that the node gives away now, and to which node.
    pub(super) leaving: Vec<(u16, Address)>,
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

    /// The node to which the one that was asked gives this slot away now.
    pub(super) fn takes(self, slot: u16) -> Option<Address> {
        let mut leaving = self.leaving.into_iter();
        leaving.find(|(of, _)| *of == slot).map(|(_, to)| to)
    }
}

/// Reads what the node that was reached at `answered` says; `None` if it is no such answer.
///
/// `names`: the nodes' names are used rather than their addresses, for certificates bear names.
pub(super) fn view(text: &str, answered: &str, names: bool) -> Option<View> {
    let (mut view, mut myself) = (View::default(), None);
    let mut ids = Vec::new();
    let is_answered = |name: &str, is_own| is_own && name.eq_ignore_ascii_case(answered);
    let names = names || names_lead(text, is_answered);
    for line in text.lines().filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let [
            id,
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
        if has("myself") {
            myself = Some(slots.to_vec());
        }
        if has("noaddr") || has("handshake") {
            continue;
        }
        let (address, alias) = addresses(at, answered, names);
        let Some(address) = address else {
            view.incomplete |= has("master");
            continue;
        };
        ids.push((*id, address.clone()));
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
    let leaving = myself?.into_iter().filter_map(leaves);
    view.leaving = leaving
        .filter_map(|(slot, to)| {
            let (_, to) = ids.iter().find(|(id, _)| *id == to)?;
            Some((slot, to.clone()))
        })
        .collect();
    Some(view)
}

/// Whether one of the nodes `is_reached` under the name that it announces. Says of each name also whether it is that of the node
/// that answered.
///
/// Then names lead to the nodes, and their addresses may not: those of containers, or of another network. One name for
/// several nodes leads to none of them.
pub(super) fn names_lead(text: &str, is_reached: impl Fn(&str, bool) -> bool) -> bool {
    let (mut names, mut lead) = (BTreeSet::new(), false);
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace().skip(1);
        let (Some(at), Some(flags)) = (words.next(), words.next()) else {
            continue;
        };
        let has = |flag| has(flags, flag);
        // One that was made again under its name is known beside the one that has failed.
        let is_gone = has("noaddr") || has("handshake") || has("fail");
        let Some(name) = name(at) else {
            continue;
        };
        lead |= is_reached(&name.host, has("myself"));
        if !is_gone && !names.insert(name.to_string()) {
            return false;
        }
    }
    lead
}

pub(super) fn has(flags: &str, flag: &str) -> bool {
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

/// Reads `[slot->-id]`: the slot, and the node to which it moves.
pub(super) fn leaves(word: &str) -> Option<(u16, &str)> {
    let (slot, to) = word.strip_prefix('[')?.split_once("->-")?;
    Some((slot.parse().ok()?, to.trim_end_matches(']')))
}

/// `5` or `5-9`.
pub(super) fn range(word: &str) -> Option<(u16, u16)> {
    let (from, to) = word.split_once('-').unwrap_or((word, word));
    let (from, to) = (from.parse().ok()?, to.parse().ok()?);
    (from <= to && to < SLOTS).then_some((from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn the_node_that_gives_a_slot_away_says_to_which_one() {
        let takes = |slot, answered| view(NODES, answered, true).unwrap().takes(slot);

        assert_eq!(takes(77, "seed"), Some(Address::new("host-2", 30002)));
        assert_eq!(takes(93, "seed"), None, "another node gives it away");
        let text = "a 10.0.0.1:7000@1 myself,master - 0 0 1 connected 0-5 [4->-b] [5->-c] [9-<-b]\n\
                    b ?:7001@1 master - 0 0 2 connected 9";
        assert_eq!(view(text, "x", false).unwrap().leaving, [], "unknown hosts");
    }
}
