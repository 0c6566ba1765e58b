//! Whether the disk has space for more sessions.
//!
//! To end sessions takes space too, before it frees some: the database writes pages to new places, and so does the cleaning
//! of the log. So some of the disk is left for that, and sign-ins get none of it. What ends have freed is free in the file,
//! not on the disk. Sign-ins may use it: the file had room for so much before.

use super::storage::START;

/// A kilobyte in the tests of this module.
const UNIT: u64 = if cfg!(test) { 32 } else { 1024 } * 1024;

/// The least that is left, and the most.
const LEAST: u64 = UNIT;
const MOST: u64 = 32 * UNIT;

/// Space on the disk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// How many bytes of the disk are free.
    pub(super) free: u64,
    /// How many the file takes.
    pub(super) size: u64,
}

impl Room {
    /// How much of the disk is left for ends. A small file is written within less.
    fn reserve(self) -> u64 {
        (LEAST + self.size.saturating_sub(START) / 2).min(MOST)
    }
}

#[derive(Debug)]
pub(super) struct Space {
    is_low: bool,
    is_full: bool,
    /// How much of the disk the file took when sign-ins were let in while little was left.
    base: u64,
    /// How much was in the file when it grew all the same.
    mark: u64,
    /// Whether most of the file is unused, and the database takes more of the disk all the same.
    is_hollow: bool,
    /// How much was in the file when it was last made shorter.
    shortened: u64,
}

impl Space {
    pub(super) fn new() -> Self {
        Self {
            is_low: false,
            is_full: false,
            base: 0,
            mark: u64::MAX,
            is_hollow: false,
            shortened: u64::MAX,
        }
    }

    /// Whether the disk has only what is left for ends.
    pub(super) fn is_low(&self) -> bool {
        self.is_low
    }

    /// Whether to make the file shorter, because most of it is unused.
    pub(super) fn is_hollow(&self) -> bool {
        self.is_hollow
    }

    /// The file is made shorter, with so much in it. That is tried once.
    pub(super) fn shorten(&mut self, used: u64) {
        (self.is_hollow, self.shortened) = (false, used);
    }

    /// There is so much space, and so much is in the file. Returns whether there is no space for more sessions.
    pub(super) fn note(&mut self, room: Option<Room>, used: u64) -> bool {
        let low = room.filter(|room| {
            let reserve = room.reserve();
            room.free
                < if self.is_low {
                    reserve + reserve / 8
                } else {
                    reserve
                }
        });
        let Some(room) = low else {
            *self = Self::new();
            return false;
        };
        if !self.is_low || self.is_full && used <= self.mark - self.mark / 32 {
            (self.is_low, self.is_full, self.base) = (true, false, room.size);
        }
        let is_unused = used < room.size.saturating_sub(START) / 2 && used < self.shortened / 2;
        self.is_hollow &= is_unused;
        let rest = room.free.saturating_sub(room.reserve() / 2);
        if !self.is_full {
            self.base = self.base.min(room.size);
            let grows = room.size > self.base + rest / 8;
            if grows {
                self.mark = used;
            }
            self.is_hollow |= grows && is_unused;
            self.is_full = grows || rest == 0 && used >= self.mark;
        }
        self.is_full
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a file takes for which the most is left, and what is in it.
    const SIZE: u64 = START + 2 * MOST;
    const USED: u64 = 1_000;

    /// So much free that sign-ins are let in while the file does not grow.
    const LOW: u64 = MOST / 2;

    /// What says whether there is space for more sessions.
    fn note(space: &mut Space, free: u64, size: u64, used: u64) -> bool {
        space.note(Some(Room { free, size }), used)
    }

    #[test]
    fn while_more_is_free_than_is_left_for_ends_the_file_may_grow() {
        let mut space = Space::new();

        assert!(!note(&mut space, MOST, SIZE, USED));
        assert!(!note(&mut space, MOST, 2 * SIZE, 2 * USED));
        assert!(!space.is_low());
    }

    #[test]
    fn less_is_left_for_the_ends_of_a_small_file() {
        for (size, reserve) in [(0, LEAST), (START + LEAST, LEAST + LEAST / 2), (SIZE, MOST)] {
            let mut space = Space::new();

            note(&mut space, reserve, size, USED);
            assert!(!space.is_low());
            note(&mut space, reserve - 1, size, USED);
            assert!(space.is_low());
        }
    }

    #[test]
    fn while_little_is_left_the_file_may_grow_by_some_of_it_and_then_something_has_to_end() {
        let mut space = Space::new();
        let (free, grown) = (LOW + 800, SIZE + 100);
        assert!(!note(&mut space, free, SIZE, USED));
        assert!(space.is_low());

        assert!(!note(&mut space, free, grown, USED));
        assert!(note(&mut space, free, grown + 1, USED));
        // A commit of ends takes some of the disk.
        let grown = grown + 1_000;
        assert!(note(&mut space, free, grown, USED - USED / 32 + 1));
        assert!(!note(&mut space, free, grown, USED - USED / 32));
        assert!(!note(&mut space, free, grown + 100, 2 * USED));
        assert!(note(&mut space, free, grown + 101, USED));
    }

    #[test]
    fn when_half_of_it_is_gone_no_more_may_be_in_the_file_than_when_it_last_grew() {
        let mut space = Space::new();
        assert!(!note(&mut space, LOW, SIZE, USED));
        assert!(!note(&mut space, LOW, SIZE, 2 * USED));
        assert!(note(&mut space, LOW, SIZE + 1, USED));
        assert!(!note(&mut space, LOW, SIZE + 1, USED / 2));

        assert!(!note(&mut space, LOW, SIZE + 1, USED - 1));
        assert!(note(&mut space, LOW, SIZE + 1, USED));
        assert!(!note(&mut space, LOW, SIZE + 1, USED / 2));
        // More is left again.
        assert!(!note(&mut space, LOW + 1, SIZE + 1, USED));
    }

    #[test]
    fn a_file_that_grows_although_most_of_it_is_unused_is_made_shorter_once() {
        let unused = |used: u64, grows: u64| {
            let mut space = Space::new();
            note(&mut space, LOW, SIZE, used);
            note(&mut space, LOW, SIZE + grows, used);
            space
        };
        let half = MOST;

        assert!(!unused(half, 1).is_hollow());
        assert!(!unused(half - 1, 0).is_hollow());
        let mut space = unused(half - 1, 1);
        assert!(space.is_hollow());
        space.shorten(half - 1);
        assert!(!space.is_hollow());
        // That did not help.
        for (used, again) in [(half / 2, false), (half / 4, true)] {
            note(&mut space, LOW, SIZE + 1, used);
            note(&mut space, LOW, SIZE + 2, used);
            assert_eq!(space.is_hollow(), again);
        }
        // A backup reads from it, and meanwhile it was used.
        note(&mut space, LOW, SIZE + 2, half / 4);
        assert!(space.is_hollow());
        note(&mut space, LOW, SIZE + 2, half);
        assert!(!space.is_hollow());
    }

    #[test]
    fn a_file_that_became_shorter_may_not_take_that_again() {
        let mut space = Space::new();
        note(&mut space, LOW, SIZE, USED);
        note(&mut space, LOW, SIZE - 100, USED);

        assert!(note(&mut space, LOW, SIZE - 99, USED));
    }

    #[test]
    fn the_disk_has_space_again_when_an_eighth_more_is_free_or_nothing_is_known_of_it() {
        let again = |free: Option<u64>| {
            let mut space = Space::new();
            note(&mut space, LOW, SIZE, USED);
            note(&mut space, LOW, SIZE + 1, USED);
            let room = free.map(|free| Room { free, size: SIZE });
            let is_full = space.note(room, USED);
            (is_full, space.is_low())
        };

        assert_eq!(again(Some(MOST + MOST / 8 - 1)), (true, true));
        assert_eq!(again(Some(MOST + MOST / 8)), (false, false));
        assert_eq!(again(None), (false, false));
    }
}
