//! What one connection that listens has heard.

use std::{
    mem,
    sync::{
        Mutex, PoisonError, Weak,
        atomic::{AtomicI64, AtomicU32, Ordering::SeqCst},
    },
};

use super::super::link::Link;
use crate::model::clock::{JUMP, Monotonic, has_jumped, wall_ahead, wall_ahead_at};

/// For how long, in ms, the newest answered PING shows that messages arrive.
pub(super) const HEARD: i64 = 2_000;

/// For how long, in ms, a message of the node to itself shows that: three of them may be late.
const LOOPED: i64 = 3_000;

const NEVER: i64 = i64::MIN;
const NO_SLOT: u32 = u32::MAX;

/// One connection that listens, until it is given up.
#[derive(Debug)]
pub(super) struct Ear {
    pub(super) number: u64,
    /// The link to the same server; none on a single node.
    pub(super) link: Option<Weak<Link>>,
    /// When the newest PING was sent that was answered.
    heard: AtomicI64,
    /// When the newest message of the node to itself was sent that arrived.
    looped: AtomicI64,
    /// How far the wall clock was ahead.
    wall: AtomicI64,
    /// How far the server's clock was ahead of the node's.
    server: AtomicI64,
    /// The slot in which the node hears itself.
    own: AtomicU32,
    /// The slots whose subscriptions the server ended.
    lost: Mutex<Vec<u16>>,
}

impl Ear {
    pub(super) fn new(number: u64, link: Option<Weak<Link>>) -> Self {
        Self {
            number,
            link,
            heard: AtomicI64::new(NEVER),
            looped: AtomicI64::new(NEVER),
            wall: AtomicI64::new(wall_ahead()),
            server: AtomicI64::new(NEVER),
            own: AtomicU32::new(NO_SLOT),
            lost: Mutex::default(),
        }
    }

    /// The server ended the subscriptions in this slot.
    pub(super) fn lose(&self, slot: u16) {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        lost.push(slot);
    }

    /// Those slots, each once.
    pub(super) fn take_lost(&self) -> Vec<u16> {
        mem::take(&mut *self.lost.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether messages arrive, by what is known at this moment.
    pub(super) fn hears(&self) -> bool {
        let now = Monotonic::now();
        self.hears_at(now.as_millis(), wall_ahead_at(now))
    }

    fn hears_at(&self, now: i64, wall: i64) -> bool {
        let is_recent = |at: &AtomicI64, most| now.saturating_sub(at.load(SeqCst)) <= most;
        is_recent(&self.heard, HEARD)
            && is_recent(&self.looped, LOOPED)
            && !has_jumped(self.wall.load(SeqCst), wall)
    }

    /// A PING of that moment was answered, and all messages before the answer were applied. Says whether messages
    /// may have been lost meanwhile.
    pub(super) fn hear(&self, sent: i64) -> bool {
        self.hear_at(sent, Monotonic::now().as_millis(), wall_ahead())
    }

    fn hear_at(&self, sent: i64, now: i64, wall: i64) -> bool {
        let before = self.heard.swap(sent, SeqCst);
        let was_silent = before != NEVER && now.saturating_sub(before) > HEARD;
        has_jumped(self.wall.swap(wall, SeqCst), wall) || was_silent
    }

    /// A message of the node to itself arrived that was sent at that moment.
    pub(super) fn hear_itself(&self, sent: i64) {
        self.looped.fetch_max(sent, SeqCst);
    }

    /// Whether it has not heard itself of late. Calls may then have gone to another server.
    pub(super) fn missed_itself(&self) -> bool {
        self.missed_itself_at(Monotonic::now().as_millis())
    }

    fn missed_itself_at(&self, now: i64) -> bool {
        now.saturating_sub(self.looped.load(SeqCst)) > LOOPED
    }

    /// Whether the message to itself of that moment, or a later one, has arrived.
    pub(super) fn has_heard_itself(&self, sent: i64) -> bool {
        self.looped.load(SeqCst) >= sent
    }

    /// From now on it hears itself in this slot.
    pub(super) fn hears_itself_in(&self, slot: Option<u16>) {
        self.own.store(slot.map_or(NO_SLOT, u32::from), SeqCst);
    }

    /// The slot in which it hears itself.
    pub(super) fn own_slot(&self) -> Option<u16> {
        self.own.load(SeqCst).try_into().ok()
    }

    /// The server's time in an answer to what was sent at that moment. Says whether its clock was set.
    pub(super) fn note_time(&self, server: i64, sent: i64) -> bool {
        self.note_time_at(server, sent, Monotonic::now().as_millis())
    }

    fn note_time_at(&self, server: i64, sent: i64, now: i64) -> bool {
        let (least, most) = (server.saturating_sub(now), server.saturating_sub(sent));
        let known = self.server.load(SeqCst);
        self.server.store(known.clamp(least, most), SeqCst);
        known != NEVER && (known < least.saturating_sub(JUMP) || known > most.saturating_add(JUMP))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ear() -> Ear {
        let ear = Ear::new(1, None);
        ear.wall.store(500, SeqCst);
        ear
    }

    #[test]
    fn an_ear_hears_while_a_ping_and_a_message_to_itself_are_recent() {
        let ear = ear();
        assert!(!ear.hears_at(0, 500), "nothing has been heard");
        assert!(!ear.hear_at(1_000, 1_001, 500));
        assert!(!ear.hears_at(1_001, 500), "no message to itself");
        ear.hear_itself(1_000);

        assert!(ear.hears_at(3_000, 500));
        assert!(!ear.hears_at(3_001, 500), "silence");
    }

    #[test]
    fn an_ear_has_missed_itself_before_its_first_message_and_after_a_gap() {
        let ear = ear();
        assert!(ear.missed_itself_at(1_000), "it has heard nothing");
        ear.hear_itself(1_000);

        assert!(!ear.missed_itself_at(4_000));
        assert!(ear.missed_itself_at(4_001));
    }

    #[test]
    fn what_counts_is_when_a_ping_was_sent_and_not_when_its_answer_is_read() {
        let ear = ear();
        ear.hear_at(1_000, 1_001, 500);
        ear.hear_itself(9_000);

        let lost = ear.hear_at(2_000, 9_000, 500);

        assert!(lost, "it read nothing for 8 s");
        assert!(!ear.hears_at(9_000, 500));
        assert!(ear.hear_at(8_990, 9_000, 500), "a new epoch again");
        assert!(!ear.hear_at(9_500, 9_501, 500));
        assert!(ear.hears_at(9_501, 500));
    }

    #[test]
    fn a_wall_clock_that_is_set_begins_an_epoch() {
        let ear = ear();
        ear.hear_at(1_000, 1_001, 500);
        ear.hear_itself(1_000);

        assert!(ear.hears_at(1_002, 1_500));
        assert!(!ear.hears_at(1_002, 1_501));
        assert!(!ear.hears_at(1_002, -501));
        assert!(ear.hear_at(1_100, 1_101, 1_501));
        assert!(ear.hears_at(1_102, 1_501), "it is the time of now");
    }

    #[test]
    fn a_clock_of_the_server_that_is_set_begins_an_epoch_and_a_slow_answer_does_not() {
        let ear = ear();
        assert!(!ear.note_time_at(51_000, 1_000, 1_002));
        assert!(!ear.note_time_at(54_000, 2_000, 4_000), "2 s on its way");
        assert!(!ear.note_time_at(54_000, 4_000, 7_000), "3 s back");
        assert!(!ear.note_time_at(57_500, 7_500, 7_501), "known as before");

        assert!(ear.note_time_at(51_000, 8_000, 8_001), "back");
        assert!(!ear.note_time_at(52_000, 9_000, 9_001));
        assert!(ear.note_time_at(63_000, 10_000, 10_001), "ahead");
    }
}
