//! What one step did, as one thing: the events are made of it where they are read.

use super::{
    ended::EndReason,
    event::{Event, EventKind, Initiator},
    id::SessionId,
};

/// The events of one step, in their order: of a sign-in and of whom it evicted, say.
///
/// Small, and made without an allocation where it stands for no more than two.
#[derive(Clone, Debug)]
pub(crate) struct Raised {
    next: Option<Event>,
    others: Others,
}

/// Nearly every sign-in evicts one session or none.
#[derive(Clone, Debug)]
enum Others {
    None,
    One(Other),
    /// The last one first.
    Many(Vec<Other>),
}

/// What happened beside another event: at the same time, to the same user, from the same client.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Other {
    NewDevice,
    Ended(EndedFor),
}

/// A session that ended for one that signed in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EndedFor {
    pub(crate) session: SessionId,
    pub(crate) reason: EndReason,
    pub(crate) initiator: Initiator,
}

impl Raised {
    #[inline]
    pub(crate) fn new(first: Event, mut others: impl Iterator<Item = Other>) -> Self {
        let others = match (others.next(), others.next()) {
            (Some(one), Some(two)) => Others::many([one, two].into_iter().chain(others)),
            (Some(one), None) => Others::One(one),
            (None, _) => Others::None,
        };
        Self {
            next: Some(first),
            others,
        }
    }
}

impl Others {
    #[cold]
    fn many(others: impl Iterator<Item = Other>) -> Self {
        let mut many: Vec<Other> = others.collect();
        many.reverse();
        Self::Many(many)
    }

    fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::One(_) => 1,
            Self::Many(many) => many.len(),
        }
    }

    fn take(&mut self) -> Option<Other> {
        match self {
            Self::None => None,
            Self::One(one) => {
                let one = *one;
                *self = Self::None;
                Some(one)
            }
            Self::Many(many) => many.pop(),
        }
    }
}

impl Other {
    fn beside(self, event: &Event) -> Event {
        let mut other = event.clone();
        match self {
            Self::NewDevice => other.kind = EventKind::NewDevice,
            Self::Ended(ended) => {
                other.kind = EventKind::Ended;
                other.initiator = ended.initiator;
                other.reason = Some(ended.reason);
                // By whatever ended the one before, or by the sign-in itself.
                other.by = event.by.or(event.session);
                other.session = Some(ended.session);
            }
        }
        other
    }
}

impl From<Event> for Raised {
    fn from(event: Event) -> Self {
        Self {
            next: Some(event),
            others: Others::None,
        }
    }
}

impl Iterator for Raised {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        let event = self.next.take()?;
        self.next = self.others.take().map(|other| other.beside(&event));
        Some(event)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.next.as_ref().map_or(0, |_| 1 + self.others.len());
        (left, Some(left))
    }
}

impl ExactSizeIterator for Raised {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Timestamp, UserId};

    fn id(byte: u8) -> SessionId {
        SessionId::from_bytes([byte; 12])
    }

    #[test]
    fn what_ended_beside_a_sign_in_ended_by_it() {
        let created = Event::new(
            EventKind::Created,
            Timestamp::from_millis(5),
            Initiator::User,
        )
        .to(UserId::from(7), Some(id(1)));
        let evicted = |session| {
            Other::Ended(EndedFor {
                session,
                reason: EndReason::Evicted,
                initiator: Initiator::Policy,
            })
        };
        let others = [Other::NewDevice, evicted(id(2)), evicted(id(3))];
        for count in 0..=others.len() {
            let raised = Raised::new(created.clone(), others.into_iter().take(count));
            assert_eq!(raised.len(), 1 + count);
            let told: Vec<_> = raised
                .map(|event| {
                    (
                        event.kind,
                        event.session,
                        event.reason,
                        event.initiator,
                        event.by,
                    )
                })
                .collect();
            let by = Some(id(1));
            let ended = |session| {
                let reason = Some(EndReason::Evicted);
                (
                    EventKind::Ended,
                    Some(session),
                    reason,
                    Initiator::Policy,
                    by,
                )
            };
            let all = [
                (EventKind::Created, by, None, Initiator::User, None),
                (EventKind::NewDevice, by, None, Initiator::User, None),
                ended(id(2)),
                ended(id(3)),
            ];
            assert_eq!(told, all[..=count]);
        }
    }
}
