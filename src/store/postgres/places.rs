//! Which calls take a connection first, if more calls wait than the pool has connections.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::store::set::{Rows, Urgency, Waiting};

/// As many places as the pool has connections. The pool itself serves calls in the order of arrival.
#[derive(Debug, Default)]
pub(super) struct Places(Mutex<Queue>);

#[derive(Debug, Default)]
struct Queue {
    /// How many there are, by the last call.
    most: usize,
    taken: usize,
    /// They have read, and want to write.
    begun: Rows,
    new: Rows,
    /// How many got a place that they had waited for.
    passed: usize,
}

/// A place, or the wait for one.
pub(super) struct Place {
    places: Arc<Places>,
    waiting: Waiting,
}

impl Places {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one of so many places, or one in the queue for it. The pool may have another size each time.
    ///
    /// Of calls that are as urgent the one that has begun goes first: if it came too late, what it has read would be in vain.
    pub(super) fn take(self: &Arc<Self>, urgency: Urgency, has_begun: bool, most: usize) -> Place {
        let mut queue = self.queue();
        queue.most = most.max(1);
        let place = if queue.taken < queue.most && queue.nobody_waits() {
            queue.taken += 1;
            None
        } else {
            let rows = if has_begun {
                &mut queue.begun
            } else {
                &mut queue.new
            };
            let place = rows.join(urgency);
            // The pool may have grown.
            queue.fill();
            Some(place)
        };
        Place {
            places: Arc::clone(self),
            waiting: Waiting::at(place),
        }
    }
}

impl Queue {
    fn nobody_waits(&self) -> bool {
        self.begun.are_empty() && self.new.are_empty()
    }

    /// Gives the free places to those that wait.
    ///
    /// Every second one goes to the calls that are neither ends nor sign-ins. So an end waits for two calls at most, and
    /// a flood of ends holds nobody up for ever.
    fn fill(&mut self) {
        while self.taken < self.most {
            let first = match self.passed % 4 {
                0 => Urgency::End,
                2 => Urgency::SignIn,
                _ => Urgency::Other,
            };
            let passed = Urgency::after(first)
                .into_iter()
                .any(|urgency| self.begun.pass_to(urgency) || self.new.pass_to(urgency));
            if !passed {
                return;
            }
            self.taken += 1;
            self.passed = self.passed.wrapping_add(1);
        }
    }
}

impl Place {
    /// Waits for the place.
    pub(super) async fn turn(&mut self) {
        self.waiting.turn().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.waiting.leave() {
            let mut queue = self.places.queue();
            queue.taken = queue.taken.saturating_sub(1);
            queue.fill();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::Future, pin::pin, task::Context};

    use super::*;

    /// Whether this one has its place now.
    fn has_it(place: &mut Place) -> bool {
        let waker = std::task::Waker::noop();
        pin!(place.turn())
            .poll(&mut Context::from_waker(waker))
            .is_ready()
    }

    /// In which order those that wait get the one place.
    fn order(places: &Places, mut waiting: Vec<(char, Place)>, held: Place) -> String {
        let (mut order, mut held) = (String::new(), Some(held));
        while !waiting.is_empty() {
            drop(held.take());
            let at = waiting.iter_mut().position(|(_, place)| has_it(place));
            let (name, place) = waiting.remove(at.unwrap());
            order.push(name);
            held = Some(place);
        }
        drop(held);
        assert_eq!(places.queue().taken, 0);
        order
    }

    /// A capital letter has begun.
    fn waits(places: &Arc<Places>, names: &str) -> Vec<(char, Place)> {
        let urgency = |name: char| match name.to_ascii_lowercase() {
            'e' => Urgency::End,
            's' => Urgency::SignIn,
            _ => Urgency::Other,
        };
        let take = |name: char| places.take(urgency(name), name.is_uppercase(), 1);
        names.chars().map(|name| (name, take(name))).collect()
    }

    #[test]
    fn ends_and_sign_ins_go_first_and_every_second_place_goes_to_the_others() {
        let places = Arc::<Places>::default();
        let held = places.take(Urgency::Other, false, 1);
        let waiting = waits(&places, "ooooooooseseee");
        assert_eq!(order(&places, waiting, held), "eosoeosoeoeooo");

        // Five places each time, so that each of the four turns is the first one once.
        for _ in 0..4 {
            let held = places.take(Urgency::Other, false, 1);
            let order = order(&places, waits(&places, "ooooe"), held);
            assert!(order.find('e').is_some_and(|at| at < 2), "{order}");
        }
    }

    #[test]
    fn a_call_that_has_begun_goes_before_new_ones_that_are_as_urgent() {
        let places = Arc::<Places>::default();
        let held = places.take(Urgency::Other, false, 1);
        let waiting = waits(&places, "ooosseOSEO");

        assert_eq!(order(&places, waiting, held), "EOSOeososo");
    }

    #[test]
    fn a_call_that_does_not_wait_any_more_leaves_its_place_to_the_next() {
        let places = Arc::<Places>::default();
        let held = places.take(Urgency::Other, false, 1);
        let mut waiting = waits(&places, "eeo");
        waiting.remove(0);
        drop(held);
        // The second end has its place and is dropped before it looks.
        waiting.remove(0);

        let (_, mut last) = waiting.remove(0);
        assert!(has_it(&mut last));
        drop(last);
        assert!(has_it(&mut places.take(Urgency::Other, false, 1)));
    }

    #[test]
    fn a_pool_that_grows_gives_its_new_connections_to_those_that_wait() {
        let places = Arc::<Places>::default();
        let _held = places.take(Urgency::Other, false, 1);
        let mut first = places.take(Urgency::Other, false, 1);
        assert!(!has_it(&mut first));

        let mut second = places.take(Urgency::Other, false, 2);

        assert!(has_it(&mut first) && !has_it(&mut second));
    }
}
