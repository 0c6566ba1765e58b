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
        self.of(urgency).push_back(turn);
        place
    }

    /// Gives the turn to the next that still waits: of this row, if there is one, else the most urgent. Returns whether
    /// there was one.
    pub(in super::super) fn pass_on(&mut self, first: Urgency) -> bool {
        for urgency in [first, Urgency::End, Urgency::SignIn, Urgency::Other] {
            let row = self.of(urgency);
            while let Some(next) = row.pop_front() {
                if next.send(()).is_ok() {
                    return true;
                }
            }
        }
        false
    }

    /// Whether nobody waits. Some that do not wait any more may count.
    #[cfg(feature = "postgres")]
    pub(in super::super) fn are_empty(&self) -> bool {
        self.ends.is_empty() && self.sign_ins.is_empty() && self.others.is_empty()
    }
}

/// The turn of one operation, or its place in a row until then.
pub(in super::super) struct Waiting(Option<oneshot::Receiver<()>>);

impl Waiting {
    /// `None`: it has its turn.
    pub(in super::super) fn at(place: Option<oneshot::Receiver<()>>) -> Self {
        Self(place)
    }

    /// Waits for the turn.
    pub(in super::super) async fn turn(&mut self) {
        if let Some(place) = &mut self.0 {
            // The sender is dropped only with its turn passed on.
            let _ = place.await;
            self.0 = None;
        }
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
