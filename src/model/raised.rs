//! The events of one step, in one small value; the reader makes the events of it.

use std::sync::Arc;

use super::{
    body::Body,
    clock::Timestamp,
    ended::EndReason,
    event::{Event, EventKind, Initiator},
    id::SessionId,
    record::Record,
};

/// The events of one step. No larger than one event, because another core reads it.
#[derive(Clone, Debug)]
pub(crate) enum Raised {
    Event(Event),
    SignIn(SignIn),
}

/// A sign-in and the sessions that ended because of it.
#[derive(Clone, Debug)]
pub(crate) struct SignIn {
    at: Timestamp,
    id: SessionId,
    body: Arc<Body>,
    began: bool,
    new_device: bool,
    ended: Several,
}

/// Nearly every sign-in ends one session or none, and that costs no allocation.
#[derive(Clone, Debug)]
enum Several {
    None,
    One(EndedFor),
    More(Box<[EndedFor]>),
}

/// A session that ended because of a sign-in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EndedFor {
    pub(crate) session: SessionId,
    pub(crate) reason: EndReason,
    pub(crate) initiator: Initiator,
}

impl SignIn {
    /// The sessions that ended because of a sign-in, without an event for the sign-in itself.
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
            new_device: false,
            ended: Several::of(ended),
        }
    }

    /// Adds the event of the sign-in, and the one of a new device if it is one.
    pub(crate) fn began(mut self, new_device: bool) -> Self {
        self.began = true;
        self.new_device = new_device;
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
    /// How many events there are.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Event(_) => 1,
            Self::SignIn(step) => {
                let new = usize::from(step.began) + usize::from(step.new_device);
                new + step.ended.as_slice().len()
            }
        }
    }

    /// Makes the events and reports them, in their order.
    pub(crate) fn report(self, mut report: impl FnMut(Event)) {
        let step = match self {
            Self::Event(event) => return report(event),
            Self::SignIn(step) => step,
        };
        if step.began {
            report(step.event(EventKind::Created, step.id, Initiator::User));
        }
        if step.new_device {
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
    fn a_step_fits_into_one_cache_line() {
        assert!(size_of::<Raised>() <= 64, "{}", size_of::<Raised>());
    }
}
