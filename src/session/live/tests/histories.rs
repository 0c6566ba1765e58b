//! Random histories of openings, ends, lost and late messages, cuts, and outages of the store.

use std::sync::atomic::Ordering;

use tokio::time::{Duration, sleep};

use super::{
    MINUTE,
    sight::{Sight, id, tag},
};
use crate::{
    model::EndReason,
    session::live::LiveSession,
    store::{FeedMessage, FeedNews, FeedState, Presence},
};

/// A lease of 60 s, 20 % more, and what the paces of looks and timers add, in ms.
const LONGEST: u64 = 75_000;

const SESSIONS: u32 = 6;

/// Numbers that differ from history to history.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % sides
    }
}

struct Stream {
    number: u32,
    live: LiveSession,
    /// When its session ended, or could first be asked for after that, in ms.
    ended: Option<u64>,
}

/// What went wrong in the history of this seed.
async fn history(seed: u64) -> Option<String> {
    let mut dice = Dice(seed);
    let sight = Sight::new(true);
    let registry = sight.registry();
    let mut streams: Vec<Stream> = Vec::new();
    let mut late: Vec<(u64, FeedMessage)> = Vec::new();
    let mut epoch = 1;
    for number in 0..SESSIONS {
        sight.live(id(number), MINUTE * 600);
    }
    for step in 0..60 {
        let number = u32::try_from(dice.below(SESSIONS.into())).unwrap();
        let (tag, id) = (tag(number / 2), id(number));
        match dice.below(8) {
            0..3 => {
                let mark = registry.mark(tag);
                let presence = sight.0.sessions.lock().unwrap().get(&id).cloned();
                sleep(Duration::from_millis(dice.below(20))).await;
                if matches!(presence, Some(Presence::Live(_))) {
                    let live = sight.open_of(&registry, tag, id, mark.as_ref());
                    let is_over = !sight.is_live(id);
                    let ended = is_over.then(|| sight.millis());
                    streams.push(Stream {
                        number,
                        live,
                        ended,
                    });
                }
            }
            3 if sight.is_live(id) => {
                sight.end(id, EndReason::Evicted);
                let of_it = streams.iter_mut().filter(|stream| stream.number == number);
                of_it.for_each(|stream| stream.ended = Some(sight.millis()));
                let message =
                    FeedMessage::new(tag, FeedNews::Ended(vec![(id, EndReason::Evicted)]));
                match dice.below(3) {
                    0 => sight.0.feed.as_ref().unwrap().deliver(&message),
                    1 => late.push((sight.millis() + 3_000, message)),
                    _ => {}
                }
            }
            4 => {
                epoch += 1;
                let trusted = dice.below(2) == 0;
                *sight.0.state.lock().unwrap() = FeedState::new(epoch, trusted);
                sight.0.feed.as_ref().unwrap().epoch_changed();
            }
            5 => {
                let is_down = dice.below(3) == 0;
                let was_down = sight.0.is_down.swap(is_down, Ordering::SeqCst);
                if was_down && !is_down {
                    let ended = streams
                        .iter_mut()
                        .filter_map(|stream| stream.ended.as_mut());
                    ended.for_each(|ended| *ended = sight.millis());
                }
            }
            6 => streams.retain(|_| dice.below(4) > 0),
            _ => {}
        }
        let long = dice.below(4) == 0;
        sleep(Duration::from_millis(dice.below(if long {
            40_000
        } else {
            900
        })))
        .await;
        let now = sight.millis();
        for (_, message) in late.extract_if(.., |(at, _)| *at <= now) {
            sight.0.feed.as_ref().unwrap().deliver(&message);
        }
        let is_down = sight.0.is_down.load(Ordering::SeqCst);
        for Stream {
            number,
            live,
            ended,
        } in &streams
        {
            match (live.end(), ended) {
                (Some(end), None) if end.reason() != "out_of_sight" => {
                    return Some(format!(
                        "seed {seed} step {step}: {number} is live and closed"
                    ));
                }
                (None, Some(ended)) if !is_down && now - *ended > LONGEST => {
                    return Some(format!(
                        "seed {seed} step {step}: {number} ended and is open"
                    ));
                }
                _ => {}
            }
        }
    }
    None
}

// T72
#[tokio::test(start_paused = true)]
async fn in_1000_histories_no_end_is_missed_and_no_live_stream_closes() {
    for seed in 0..1_000 {
        assert_eq!(history(seed).await, None);
    }
}
