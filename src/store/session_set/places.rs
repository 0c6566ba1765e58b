//! Finds sessions by their ids.

use std::collections::HashMap;

use crate::model::SessionId;

/// So few are looked through.
const FEW: usize = 16;

/// What has these ids. If they are asked for in about their own order, as in two copies of a set, few are compared.
pub(super) struct Places<'a, T, F> {
    all: &'a [T],
    id: F,
    /// Where the next one is expected.
    next: usize,
    /// Where each one is, as soon as that is needed.
    known: Option<HashMap<SessionId, usize>>,
}

impl<'a, T, F: Fn(&T) -> SessionId> Places<'a, T, F> {
    pub(super) fn new(all: &'a [T], id: F) -> Self {
        Self {
            all,
            id,
            next: 0,
            known: None,
        }
    }

    pub(super) fn find(&mut self, id: SessionId) -> Option<&'a T> {
        let at = self.place(id)?;
        self.next = at + 1;
        self.all.get(at)
    }

    fn place(&mut self, id: SessionId) -> Option<usize> {
        let expected = self.all.get(self.next);
        if expected.is_some_and(|it| (self.id)(it) == id) {
            return Some(self.next);
        }
        let mut ids = self.all.iter().map(&self.id);
        if self.all.len() <= FEW {
            return ids.position(|it| it == id);
        }
        let known = &mut self.known;
        let known = known.get_or_insert_with(|| ids.zip(0..).collect());
        known.get(&id).copied()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn ids(range: std::ops::Range<u32>) -> Vec<SessionId> {
        let id = |at: u32| {
            let mut bytes = [0; 12];
            bytes[..4].copy_from_slice(&at.to_be_bytes());
            SessionId::from_bytes(bytes)
        };
        range.map(id).collect()
    }

    #[test]
    fn a_thousand_sessions_are_found_in_a_few_thousand_steps() {
        let all = ids(0..1_000);
        let mut turned = all.clone();
        turned.reverse();
        let orders = [
            all.clone(),
            turned,
            // The first ones were evicted, or all of them.
            ids(500..1_500),
            ids(1_000..2_000),
        ];
        for order in orders {
            let steps = Cell::new(0);
            let mut places = Places::new(&all, |id| {
                steps.set(steps.get() + 1);
                *id
            });

            for id in &order {
                let there = all.contains(id).then_some(id);
                assert_eq!(places.find(*id), there);
            }

            assert!(steps.get() <= 2_000, "{}", steps.get());
        }
    }

    #[test]
    fn few_sessions_are_found_in_any_order() {
        let all = ids(0..5);
        let mut places = Places::new(&all, |id| *id);

        for id in [all[3], all[0], all[4], all[1], all[2]] {
            assert_eq!(places.find(id), Some(&id));
        }
        assert_eq!(places.find(ids(7..8)[0]), None);
    }
}
