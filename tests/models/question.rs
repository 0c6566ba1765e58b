//! The questions that go to a store and the model, and the answers of the store.

use tower_user_sessions::{
    EndReason, Timestamp,
    store::{
        Create, Created, End, Ended, List, Look, NoteClient, Presence, Resolve, Resolved, Rotate,
        Rotated, Save, Saved, SessionStore, Tag, Ticketed, Touch,
    },
};

use crate::model::{Answer, Model, contents, sorted};

/// A question to a store.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "few are held at a time")]
pub(crate) enum Request {
    Create(Create),
    End(End),
    List(List),
    Look(Look),
    NoteClient(NoteClient),
    Ticket(Tag, Ticketed),
    Resolve(Resolve),
    Rotate(Rotate),
    Save(Save),
    Touch(Touch),
}

impl Request {
    /// The moment before which sessions that began are not live, in this question.
    pub(crate) fn not_before(&mut self) -> Option<&mut Option<Timestamp>> {
        Some(match self {
            Self::Create(create) => &mut create.not_before,
            Self::End(end) => &mut end.not_before,
            Self::List(list) => &mut list.not_before,
            Self::Look(look) => &mut look.not_before,
            Self::Touch(touch) => &mut touch.not_before,
            Self::NoteClient(note) => &mut note.not_before,
            Self::Resolve(resolve) => &mut resolve.not_before,
            Self::Rotate(rotate) => &mut rotate.not_before,
            Self::Save(save) => &mut save.not_before,
            Self::Ticket(..) => return None,
        })
    }

    /// The answer of the model.
    pub(crate) fn put_to(&self, model: &mut Model, now: Timestamp) -> Answer {
        match self {
            Self::Create(create) => model.create(create, now),
            Self::End(end) => model.end(end, now),
            Self::List(list) => model.list(list, now),
            Self::Look(look) => model.look(look, now),
            Self::Touch(touch) => model.touch(touch, now),
            Self::NoteClient(note) => model.note_client(note, now),
            Self::Ticket(tag, ticket) => model.ticket(*tag, *ticket, now),
            Self::Resolve(resolve) => model.resolve(resolve, now),
            Self::Rotate(rotate) => model.rotate(rotate, now),
            Self::Save(save) => model.save(save, now),
        }
    }
}

/// The answer of a store.
pub(crate) async fn ask<St: SessionStore>(store: &St, request: &Request) -> Answer {
    match request {
        Request::Create(create) => match store.create(create).await.unwrap() {
            Created::Created(made) => Answer::Created {
                data: contents(&made.data),
                record: made.record,
                evicted: made.evicted,
                replaced: made.replaced,
                new_device: made.new_device,
                now: made.now,
                cutoff: made.cutoff,
            },
            Created::Ended => Answer::AlreadyEnded,
            Created::LimitReached(by) => Answer::LimitReached(sorted(by)),
            Created::TooLarge => Answer::TooLarge,
            Created::Rejected => Answer::Rejected,
            Created::TooOld => Answer::TooOld,
            Created::Disabled => Answer::Disabled,
            Created::NoTicket => Answer::NoTicket,
            other => panic!("the model has no {other:?}"),
        },
        Request::End(end) => match store.end(end).await.unwrap() {
            Ended::Ended {
                mut ids,
                now,
                before,
                data,
            } => {
                ids.sort();
                Answer::Ended(ids, now, before, data.map(|data| contents(&data)))
            }
            Ended::CallerEnded => Answer::CallerEnded,
            Ended::Unknown => Answer::Unknown,
            other => panic!("the model has no {other:?}"),
        },
        Request::Ticket(tag, ticket) => Answer::Terms(store.ticket(*tag, ticket).await.unwrap()),
        Request::List(list) => Answer::Listed(sorted(store.list(list).await.unwrap())),
        Request::Look(look) => {
            let mut looked = store.look(look).await.unwrap();
            for presence in &mut looked.sessions {
                // A store whose storage failed also gives up sign-ins that were refused.
                if matches!(presence, Presence::Ended(it) if it.reason == EndReason::Undelivered) {
                    *presence = Presence::Unknown;
                }
            }
            Answer::Looked(looked.sessions, looked.now)
        }
        Request::Touch(touch) => {
            store.touch(touch).await.unwrap();
            Answer::Touched
        }
        Request::NoteClient(note) => Answer::Noted(store.note_client(note).await.unwrap()),
        Request::Resolve(resolve) => match store.resolve(resolve).await.unwrap() {
            Resolved::Live(found) => Answer::Live(found.record, contents(&found.data), found.now),
            Resolved::Ended(notice) => Answer::Notice(notice),
            // A store may or may not have removed the session by then.
            Resolved::Expired(_) | Resolved::Unknown => Answer::Unknown,
            Resolved::Reused(reused) => Answer::Reused(reused.record.id, reused.ended),
            other => panic!("the model has no {other:?}"),
        },
        Request::Rotate(rotate) => match store.rotate(rotate).await.unwrap() {
            Rotated::Rotated(record) => Answer::Rotated(*record),
            Rotated::Took(salt) => Answer::Took(salt),
            Rotated::Kept => Answer::Kept,
            Rotated::Ended => Answer::NotLive,
            other => panic!("the model has no {other:?}"),
        },
        Request::Save(save) => match store.save(save).await.unwrap() {
            Saved::Saved { revision } => Answer::Saved(revision),
            Saved::Shortened {
                revision,
                idle,
                deadline,
            } => Answer::Shortened(revision, idle, deadline),
            Saved::Conflict { revision, data } => Answer::Conflict(revision, contents(&data)),
            Saved::Ended => Answer::NotLive,
            Saved::TooLarge => Answer::TooLarge,
            other => panic!("the model has no {other:?}"),
        },
    }
}
