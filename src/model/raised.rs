//! What one step did, as one thing: the events are made of it where they are read.

use std::sync::Arc;

use super::{
    body::Body,
    clock::Timestamp,
    ended::EndReason,
    event::{Event, EventKind, Initiator},
    id::SessionId,
    record::Record,
};

/// The events of one step. As small as one of them, since it goes from core to core.
#[derive(Clone, Debug)]
pub(crate) enum Raised {
    Event(Event),
    SignIn(SignIn),
}

/// A sign-in and what ended for it.
#[derive(Clone, Debug)]
pub(crate) struct SignIn {
    at: Timestamp,
    id: SessionId,
    body: Arc<Body>,
    began: bool,
    first_sight: bool,
    ended: Several,
}

/// Nearly every sign-in evicts one session or none: that costs no allocation.
#[derive(Clone, Debug)]
enum Several {
    None,
    One(EndedFor),
    More(Box<[EndedFor]>),
}

/// A session that ended for one that signed in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EndedFor {
    pub(crate) session: SessionId,
    pub(crate) reason: EndReason,
    pub(crate) initiator: Initiator,
}

impl SignIn {
    /// What ended for a sign-in that came to nothing itself.
    #[inline]
    pub(crate) fn new(
        at: Timestamp,
        record: &Record,
        ended: impl Iterator<Item = EndedFor>,
    ) -> Self {
        Self {
            at,
            id: record.id,
            body: record.shared(),
            began: false,
            first_sight: false,
            ended: Several::of(ended),
        }
    }

    /// It began a session; whether on a device that was never seen before.
    pub(crate) fn began(mut self, first_sight: bool) -> Self {
        self.began = true;
        self.first_sight = first_sight;
        self
    }

    fn event(&self, kind: EventKind, session: SessionId, initiator: Initiator) -> Event {
        let event = Event::new(kind, self.at, initiator);
        event.at_session(Arc::clone(&self.body), session)
    }
}

impl Several {
    #[inline]
    fn of(mut ended: impl Iterator<Item = EndedFor>) -> Self {
        match (ended.next(), ended.next()) {
            (Some(one), Some(two)) => Self::more([one, two].into_iter().chain(ended)),
            (Some(one), None) => Self::One(one),
            (None, _) => Self::None,
        }
    }

    #[cold]
    fn more(ended: impl Iterator<Item = EndedFor>) -> Self {
        Self::More(ended.collect())
    }

    fn as_slice(&self) -> &[EndedFor] {
        match self {
            Self::None => &[],
            Self::One(one) => std::slice::from_ref(one),
            Self::More(more) => more,
        }
    }
}

impl Raised {
    /// How many events it stands for.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Event(_) => 1,
            Self::SignIn(step) => {
                let new = usize::from(step.began) + usize::from(step.first_sight);
                new + step.ended.as_slice().len()
            }
        }
    }

    /// Makes the events, in their order.
    pub(crate) fn report(self, mut report: impl FnMut(Event)) {
        let step = match self {
            Self::Event(event) => return report(event),
            Self::SignIn(step) => step,
        };
        if step.began {
            report(step.event(EventKind::Created, step.id, Initiator::User));
        }
        if step.first_sight {
            report(step.event(EventKind::NewDevice, step.id, Initiator::User));
        }
        for ended in step.ended.as_slice() {
            let event = step.event(EventKind::Ended, ended.session, ended.initiator);
            report(event.because(ended.reason, Some(step.id)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_no_longer_than_a_line_of_a_cache() {
        assert!(size_of::<Raised>() <= 64, "{}", size_of::<Raised>());
    }
}
