//! Which node serves which slot.

use std::collections::BTreeMap;

use super::{
    address::Address,
    parse::{Primary, View},
    slot::SLOTS,
};

/// No node is known.
const NOBODY: u16 = u16::MAX;

/// How long a node without slots keeps its link after a redirection led there, in ms.
const KEPT: i64 = 60_000;

/// For how long, in ms, every node must say less than is known before it is believed: the Cluster was made again, with epochs
/// of its own. Otherwise its nodes learn of a failover or a move within 2 s.
const MADE_AGAIN: i64 = 10_000;

/// Which node serves which slot, with a link of each that may be asked.
#[derive(Debug)]
pub(super) struct Map<L> {
    /// By slot, the place in `nodes`.
    owners: Box<[u16]>,
    nodes: Vec<Option<Node<L>>>,
    /// Slots that a redirection gave to their owner, until a view says so too. Only one with a higher epoch than this takes
    /// them back: others have not heard of the move yet.
    redirected: BTreeMap<u16, u64>,
    /// Since when each view claims slots with epochs that are lower than what is known.
    older: Option<i64>,
}

#[derive(Debug)]
struct Node<L> {
    address: Address,
    alias: Option<Address>,
    /// Of two nodes that claim a slot, the one with the higher epoch has it.
    epoch: u64,
    /// When a redirection led there last for one call, in ms.
    asked: i64,
    link: L,
}

/// What a change of the map means for links.
#[derive(Debug)]
pub(super) struct Changed<L> {
    /// New ones.
    pub(super) added: Vec<L>,
    /// They serve slots that others served before.
    pub(super) gained: Vec<L>,
    /// Slots of theirs are served elsewhere now.
    pub(super) lost: Vec<L>,
    /// They serve no slot any more.
    pub(super) retired: Vec<L>,
    /// From which place to which one slots went.
    pairs: Vec<(u16, u16)>,
}

impl<L> Default for Changed<L> {
    fn default() -> Self {
        Self {
            added: Vec::new(),
            gained: Vec::new(),
            lost: Vec::new(),
            retired: Vec::new(),
            pairs: Vec::new(),
        }
    }
}

impl<L> Changed<L> {
    pub(super) fn is_empty(&self) -> bool {
        self.added.is_empty() && self.pairs.is_empty() && self.retired.is_empty()
    }
}

/// What a node is called.
struct Names<'a> {
    address: &'a Address,
    alias: Option<&'a Address>,
    /// Whether the first is the name that it announces.
    announced: bool,
}

impl<'a> Names<'a> {
    fn of(primary: &'a Primary) -> Self {
        Self {
            address: &primary.address,
            alias: primary.alias.as_ref(),
            announced: primary.named,
        }
    }

    /// Nothing else is known of it.
    fn only(address: &'a Address) -> Self {
        Self {
            address,
            alias: None,
            announced: false,
        }
    }
}

impl<L: Clone> Map<L> {
    pub(super) fn new() -> Self {
        Self {
            owners: vec![NOBODY; SLOTS.into()].into(),
            nodes: Vec::new(),
            redirected: BTreeMap::new(),
            older: None,
        }
    }

    /// The link to the node that serves the slot.
    pub(super) fn find(&self, slot: u16) -> Option<&L> {
        let owner = *self.owners.get(usize::from(slot))?;
        self.node(owner).map(|node| &node.link)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.nodes.iter().all(Option::is_none)
    }

    pub(super) fn links(&self) -> impl Iterator<Item = (&Address, &L)> {
        let nodes = self.nodes.iter().flatten();
        nodes.map(|node| (&node.address, &node.link))
    }

    /// The link to the node with this address or name.
    pub(super) fn link(&self, address: &Address) -> Option<&L> {
        let node = self.nodes.get(self.known(&Names::only(address))?)?;
        node.as_ref().map(|node| &node.link)
    }

    /// The link to a node that a redirection named, and the slot is that node's if it `moved` there.
    pub(super) fn redirect(
        &mut self,
        slot: u16,
        moved: bool,
        to: &Address,
        now: i64,
        make: impl FnOnce(&Address) -> L,
    ) -> (Option<L>, Changed<L>) {
        let mut changed = Changed::default();
        let at = self.place(&Names::only(to), &mut changed, make);
        if moved && self.owners.get(usize::from(slot)) != Some(&at) {
            let epoch = self.node(at).map_or(0, |node| node.epoch);
            let beyond = epoch.max(self.epoch(slot));
            self.redirected.insert(slot, beyond);
            self.give(slot, at, &mut changed);
        }
        let node = self.nodes.get_mut(usize::from(at));
        if let Some(node) = node.and_then(Option::as_mut)
            && !moved
        {
            node.asked = now;
        }
        (self.node(at).map(|node| node.link.clone()), changed)
    }

    /// Takes what a node says: where two claim a slot, the higher epoch wins.
    pub(super) fn merge(
        &mut self,
        view: &View,
        now: i64,
        mut make: impl FnMut(&Address) -> L,
    ) -> Changed<L> {
        let mut changed = Changed::default();
        let is_older = self.take(view, &mut changed, &mut make);
        if !view.hears_most() {
            // It says nothing of whether the Cluster was made again.
        } else if !is_older {
            self.older = None;
        } else if now.saturating_sub(*self.older.get_or_insert(now)) >= MADE_AGAIN {
            self.doubt();
            self.take(view, &mut changed, &mut make);
        }
        self.retire(now, &mut changed);
        changed
    }

    /// Says whether claims of the view are older than what is known.
    fn take(
        &mut self,
        view: &View,
        changed: &mut Changed<L>,
        make: &mut impl FnMut(&Address) -> L,
    ) -> bool {
        let (mut released, mut is_older) = (self.released(view), false);
        for primary in &view.primaries {
            let Primary { address, alias, .. } = primary;
            let of = self.known(&Names::of(primary));
            let won: Vec<u16> = primary
                .claimed()
                .filter(|slot| {
                    let was_released = released.get_mut(usize::from(*slot)).map(std::mem::take);
                    was_released == Some(true)
                        || primary.epoch >= self.epoch(*slot)
                            && self.may_take(*slot, of, primary.epoch)
                })
                .collect();
            is_older |= won.len() < primary.claimed().count();
            if won.is_empty() {
                continue;
            }
            let at = self.place(&Names::of(primary), changed, &mut *make);
            for slot in won {
                self.redirected.remove(&slot);
                self.give(slot, at, changed);
            }
            if let Some(node) = self.nodes.get_mut(usize::from(at)).and_then(Option::as_mut) {
                node.epoch = node.epoch.max(primary.epoch);
                // A view may call the address of its link the other name.
                node.alias = if node.address == *address {
                    alias.clone()
                } else {
                    Some(address.clone())
                };
            }
        }
        is_older
    }

    /// By slot, whether the node that serves it claims it no more, by a view that is not older than what is known.
    ///
    /// That node may have a higher epoch by now than the one to which it gave the slot.
    fn released(&self, view: &View) -> Vec<bool> {
        let mut claims: Vec<Option<&Primary>> = vec![None; self.nodes.len()];
        for primary in &view.primaries {
            let at = self.known(&Names::of(primary));
            let node = at.and_then(|at| self.nodes.get(at)?.as_ref());
            if let Some(claims) = at.and_then(|at| claims.get_mut(at))
                && node.is_some_and(|node| primary.epoch >= node.epoch)
            {
                *claims = Some(primary);
            }
        }
        let of = |owner: &u16| claims.get(usize::from(*owner)).copied().flatten();
        let mut released: Vec<bool> = self
            .owners
            .iter()
            .map(|owner| of(owner).is_some())
            .collect();
        for (at, primary) in claims.iter().enumerate() {
            for slot in primary.iter().flat_map(|primary| primary.claimed()) {
                let slot = usize::from(slot);
                if self.owners.get(slot).copied().map(usize::from) == Some(at)
                    && let Some(released) = released.get_mut(slot)
                {
                    *released = false;
                }
            }
        }
        for (slot, beyond) in &self.redirected {
            let owner = self.owners.get(usize::from(*slot));
            let is_newer = |claims: &Primary| claims.epoch > *beyond;
            if let Some(released) = released.get_mut(usize::from(*slot))
                && !owner.and_then(of).is_some_and(is_newer)
            {
                *released = false;
            }
        }
        released
    }

    /// Whether the node at this place, with this epoch, may have the slot although a redirection gave it to its owner.
    fn may_take(&self, slot: u16, at: Option<usize>, epoch: u64) -> bool {
        let is_owner = || at == self.owners.get(usize::from(slot)).copied().map(usize::from);
        let beyond = self.redirected.get(&slot);
        beyond.is_none_or(|beyond| epoch > *beyond || is_owner())
    }

    /// Forgets the epochs: the Cluster may have been made again.
    pub(super) fn doubt(&mut self) {
        self.redirected.clear();
        self.older = None;
        for node in self.nodes.iter_mut().flatten() {
            node.epoch = 0;
        }
    }

    fn node(&self, at: u16) -> Option<&Node<L>> {
        self.nodes.get(usize::from(at))?.as_ref()
    }

    fn epoch(&self, slot: u16) -> u64 {
        let owner = self.owners.get(usize::from(slot)).copied();
        let node = owner.and_then(|owner| self.node(owner));
        node.map_or(0, |node| node.epoch)
    }

    /// The place of the node with this address or name, if it is known.
    ///
    /// A name alone is not enough where the address is another one: the node moved, and its link leads to where it was. A link
    /// that only a redirection made leads to an address. Where nodes announce names, that may be one which leads nowhere.
    fn known(&self, names: &Names<'_>) -> Option<usize> {
        let position = |is_it: &dyn Fn(&Node<L>) -> bool| {
            let is_it = |node: &Option<Node<L>>| node.as_ref().is_some_and(is_it);
            self.nodes.iter().position(is_it)
        };
        let is_here = |node: &Node<L>| node.address == *names.address;
        match names.alias {
            Some(alias) => position(&is_here).or_else(|| {
                position(&|node| {
                    node.address == *alias && (node.alias.is_some() || !names.announced)
                })
            }),
            None => position(&|node| node.alias.as_ref() == Some(names.address))
                .or_else(|| position(&is_here)),
        }
    }

    /// The place of the node with this address or name.
    fn place(
        &mut self,
        names: &Names<'_>,
        changed: &mut Changed<L>,
        make: impl FnOnce(&Address) -> L,
    ) -> u16 {
        let at = self.known(names).unwrap_or_else(|| {
            let Names { address, alias, .. } = *names;
            let link = make(address);
            changed.added.push(link.clone());
            let node = Some(Node {
                address: address.clone(),
                alias: alias.cloned(),
                epoch: 0,
                asked: i64::MIN,
                link,
            });
            let free = self.nodes.iter().position(Option::is_none);
            let free = free.unwrap_or(self.nodes.len());
            let end = self.nodes.len().min(free + 1);
            self.nodes.splice(free..end, [node]);
            free
        });
        // There are no more primaries than slots.
        u16::try_from(at).unwrap_or(NOBODY)
    }

    fn give(&mut self, slot: u16, to: u16, changed: &mut Changed<L>) {
        let Some(owner) = self.owners.get_mut(usize::from(slot)) else {
            return;
        };
        let from = std::mem::replace(owner, to);
        if from != to && !changed.pairs.contains(&(from, to)) {
            changed.pairs.push((from, to));
            let link = |at| self.node(at).map(|node| node.link.clone());
            changed.lost.extend(link(from));
            changed.gained.extend(link(to));
        }
    }

    /// Takes out nodes that serve no slot.
    fn retire(&mut self, now: i64, changed: &mut Changed<L>) {
        let mut serves = vec![false; self.nodes.len()];
        for owner in &self.owners {
            if let Some(serves) = serves.get_mut(usize::from(*owner)) {
                *serves = true;
            }
        }
        for (node, serves) in self.nodes.iter_mut().zip(serves) {
            let is_idle = |node: &mut Node<L>| !serves && node.asked.saturating_add(KEPT) <= now;
            changed
                .retired
                .extend(node.take_if(is_idle).map(|node| node.link));
        }
    }
}

#[cfg(test)]
mod tests;
