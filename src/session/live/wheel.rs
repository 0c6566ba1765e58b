//! Timers of all session sets, as one wheel.

use crate::model::Tag;

/// How many places the wheel has.
const PLACES: u64 = 512;

/// Session sets by the moment at which something is due. All moments are milliseconds of one stopwatch.
///
/// A set may stand in several places. The place that the set itself remembers is the one that counts.
#[derive(Debug)]
pub(super) struct Wheel {
    places: Box<[Vec<Tag>]>,
    /// Milliseconds of one place.
    step: u64,
    /// The newest place that was emptied.
    turned: u64,
}

impl Wheel {
    /// A wheel whose furthest moment is about `horizon` away.
    pub(super) fn new(horizon: u64) -> Self {
        Self {
            places: (0..PLACES).map(|_| Vec::new()).collect(),
            step: (horizon / PLACES).saturating_add(1),
            turned: 0,
        }
    }

    /// The place for this moment: never an earlier one, unless it is beyond the horizon.
    pub(super) fn place(&self, at: u64) -> u64 {
        let place = at.div_ceil(self.step);
        place.clamp(self.turned + 1, self.turned + PLACES - 1)
    }

    /// Whether this place was not emptied yet.
    pub(super) fn is_ahead(&self, place: u64) -> bool {
        place > self.turned
    }

    pub(super) fn put(&mut self, place: u64, tag: Tag) {
        if let Some(tags) = self.at(place) {
            tags.push(tag);
        }
    }

    /// Takes what is due, each with the place in which it stood.
    pub(super) fn turn(&mut self, now: u64) -> Vec<(u64, Tag)> {
        let reached = now / self.step;
        // After a long suspension one turn empties every place.
        let last = reached.min(self.turned + PLACES);
        let mut due = Vec::new();
        for place in self.turned + 1..=last {
            if let Some(tags) = self.at(place) {
                due.extend(tags.drain(..).map(|tag| (place, tag)));
                if tags.capacity() > 1_024 {
                    tags.shrink_to_fit();
                }
            }
        }
        self.turned = self.turned.max(reached);
        due
    }

    /// The moment of the next place that has something.
    pub(super) fn next(&self) -> Option<u64> {
        (self.turned + 1..=self.turned + PLACES)
            .find(|place| self.seen(*place).is_some_and(|tags| !tags.is_empty()))
            .map(|place| place * self.step)
    }

    /// For how many session sets there is room in memory.
    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.places.iter().map(Vec::capacity).sum()
    }

    fn seen(&self, place: u64) -> Option<&Vec<Tag>> {
        self.places.get(usize::try_from(place % PLACES).ok()?)
    }

    fn at(&mut self, place: u64) -> Option<&mut Vec<Tag>> {
        self.places.get_mut(usize::try_from(place % PLACES).ok()?)
    }
}
