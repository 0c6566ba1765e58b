//! Which operation goes first, where several wait.

use std::collections::VecDeque;

use tokio::sync::oneshot;

/// How urgent an operation is.
///
/// A storage whose calls wait for something before they run, such as a connection of a pool, can let some go first. See
/// [`SetStorage::read_for`](super::SetStorage::read_for).
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Urgency {
    /// It ends sessions. Until it has run, another person may use a session that the user ended.
    End,
    /// It signs a user in.
    SignIn,
    /// Anything else: requests, new data, new tokens, lists.
    Other,
}

impl Urgency {
    /// Whose turn it is: of this row, if one waits there, else of the most urgent one.
    pub(in super::super) fn after(first: Self) -> [Self; 4] {
        [first, Self::End, Self::SignIn, Self::Other]
    }
}

/// Who waits for a turn, in a row for each urgency. Each row goes in the order of arrival.
#[derive(Debug, Default)]
pub(in super::super) struct Rows {
    ends: VecDeque<oneshot::Sender<()>>,
    sign_ins: VecDeque<oneshot::Sender<()>>,
    others: VecDeque<oneshot::Sender<()>>,
}

impl Rows {
    fn of(&mut self, urgency: Urgency) -> &mut VecDeque<oneshot::Sender<()>> {
        match urgency {
            Urgency::End => &mut self.ends,
            Urgency::SignIn => &mut self.sign_ins,
            Urgency::Other => &mut self.others,
        }
    }

    /// Takes a place at the end of its row.
    pub(in super::super) fn join(&mut self, urgency: Urgency) -> oneshot::Receiver<()> {
        let (turn, place) = oneshot::channel();
        let row = self.of(urgency);
        if row.len() == row.capacity() {
            // Those that were dropped while they waited must not take memory until their turn comes.
            row.retain(|turn| !turn.is_closed());
            row.reserve(row.len().max(1));
        }
        row.push_back(turn);
        place
    }

    /// Makes room for one more where at most so many wait. If there is none, a less urgent one has to go for it: of the least
    /// urgent ones the last that came. Returns whether there is room.
    pub(super) fn make_room(&mut self, urgency: Urgency, most: usize) -> bool {
        if self.len() >= most {
            for row in [&mut self.ends, &mut self.sign_ins, &mut self.others] {
                row.retain(|turn| !turn.is_closed());
            }
        }
        if self.len() < most {
            return true;
        }
        let gone = match urgency {
            Urgency::End => self.others.pop_back().or_else(|| self.sign_ins.pop_back()),
            Urgency::SignIn => self.others.pop_back(),
            Urgency::Other => None,
        };
        gone.is_some()
    }

    fn len(&self) -> usize {
        self.ends.len() + self.sign_ins.len() + self.others.len()
    }

    /// Gives the turn to the next that still waits: of this row, if there is one, else the most urgent. Returns whether
    /// there was one.
    pub(in super::super) fn pass_on(&mut self, first: Urgency) -> bool {
        Urgency::after(first)
            .into_iter()
            .any(|urgency| self.pass_to(urgency))
    }

    /// Gives the turn to the next of this row that still waits. Returns whether there was one.
    pub(in super::super) fn pass_to(&mut self, urgency: Urgency) -> bool {
        let row = self.of(urgency);
        while let Some(next) = row.pop_front() {
            if next.send(()).is_ok() {
                return true;
            }
        }
        false
    }

    /// Whether nobody waits. Some that do not wait any more may count.
    #[cfg(feature = "postgres")]
    pub(in super::super) fn are_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The turn of one operation, or its place in a row until then.
pub(in super::super) struct Waiting(Option<oneshot::Receiver<()>>);

impl Waiting {
    /// `None`: it has its turn.
    pub(in super::super) fn at(place: Option<oneshot::Receiver<()>>) -> Self {
        Self(place)
    }

    /// Waits for the turn. Returns whether it came: it does not if a more urgent one got this place.
    pub(in super::super) async fn turn(&mut self) -> bool {
        if let Some(place) = &mut self.0 {
            if place.await.is_err() {
                return false;
            }
            self.0 = None;
        }
        true
    }

    /// Leaves the row. Returns whether it has the turn, which goes to the next then.
    pub(in super::super) fn leave(&mut self) -> bool {
        match &mut self.0 {
            None => true,
            // It may have got its turn and be dropped before it noticed.
            Some(place) => {
                place.close();
                place.try_recv().is_ok()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_do_not_wait_any_more_take_no_memory() {
        let mut rows = Rows::default();
        let waiting: Vec<_> = (0..10).map(|_| rows.join(Urgency::Other)).collect();

        for _ in 0..100_000 {
            drop(rows.join(Urgency::Other));
        }

        assert!(rows.len() <= 64, "{}", rows.len());
        let live = rows.others.iter().filter(|turn| !turn.is_closed()).count();
        assert_eq!(live, waiting.len());
    }

    #[test]
    fn a_turn_that_came_before_its_operation_was_dropped_goes_on() {
        let mut rows = Rows::default();
        let [mut first, mut second] =
            [(); 2].map(|()| Waiting::at(Some(rows.join(Urgency::Other))));
        assert!(rows.pass_on(Urgency::End));

        assert!(first.leave(), "it has the turn");
        assert!(!second.leave());
        assert!(!rows.pass_on(Urgency::End), "nobody waits");
    }

    #[test]
    fn a_place_is_made_for_an_urgent_one_by_the_last_of_the_least_urgent() {
        let mut rows = Rows::default();
        let mut waiting: Vec<_> = [Urgency::Other, Urgency::SignIn, Urgency::Other]
            .map(|urgency| rows.join(urgency))
            .into();
        let mut gone = Vec::new();

        for urgency in [Urgency::Other, Urgency::End, Urgency::SignIn, Urgency::End] {
            if rows.make_room(urgency, 3) {
                waiting.push(rows.join(urgency));
            }
            let is_gone = |place: &mut oneshot::Receiver<()>| {
                place.try_recv() == Err(oneshot::error::TryRecvError::Closed)
            };
            gone.push(waiting.iter_mut().map(is_gone).filter(|gone| *gone).count());
        }

        // The second `Other`, then the first, then the sign-in that came last.
        assert_eq!(gone, [0, 1, 2, 3]);
        assert_eq!((rows.ends.len(), rows.sign_ins.len()), (2, 1));
        assert!(!rows.make_room(Urgency::SignIn, 3));
    }
}
