//! What a store and the model are asked, and what the store answers.

use tower_user_sessions::{
    Timestamp,
    store::{
        Create, Created, End, Ended, List, Resolve, Resolved, Rotate, Rotated, Save, Saved,
        SessionStore,
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
    Resolve(Resolve),
    Rotate(Rotate),
    Save(Save),
}

impl Request {
    /// What the model answers.
    pub(crate) fn put_to(&self, model: &mut Model, now: Timestamp) -> Answer {
        match self {
            Self::Create(create) => model.create(create, now),
            Self::End(end) => model.end(end, now),
            Self::List(list) => model.list(list, now),
            Self::Resolve(resolve) => model.resolve(resolve, now),
            Self::Rotate(rotate) => model.rotate(rotate, now),
            Self::Save(save) => model.save(save, now),
        }
    }
}

/// What a store answers.
pub(crate) async fn ask<St: SessionStore>(store: &St, request: &Request) -> Answer {
    match request {
        Request::Create(create) => match store.create(create).await.unwrap() {
            Created::Created(made) => Answer::Created {
                data: contents(&made.data),
                record: made.record,
                evicted: made.evicted,
                replaced: made.replaced,
                first_sight: made.first_sight,
                now: made.now,
                cutoff: made.cutoff,
            },
            Created::Ended => Answer::AlreadyEnded,
            Created::LimitReached(by) => Answer::LimitReached(sorted(by)),
            Created::TooLarge => Answer::TooLarge,
            Created::Rejected => Answer::Rejected,
            Created::Disabled => Answer::Disabled,
            Created::NoTicket => Answer::NoTicket,
        },
        Request::End(end) => match store.end(end).await.unwrap() {
            Ended::Ended { mut ids, now, data } => {
                ids.sort();
                Answer::Ended(ids, now, data.map(|data| contents(&data)))
            }
            Ended::CallerEnded => Answer::CallerEnded,
            Ended::Unknown => Answer::Unknown,
        },
        Request::List(list) => Answer::Listed(sorted(store.list(list).await.unwrap())),
        Request::Resolve(resolve) => match store.resolve(resolve).await.unwrap() {
            Resolved::Live(found) => Answer::Live(found.record, contents(&found.data), found.now),
            Resolved::Ended(notice) => Answer::Notice(notice),
            // Whether the store has dropped it by then is its own affair.
            Resolved::Expired(_) | Resolved::Unknown => Answer::Unknown,
            Resolved::Reused(reused) => Answer::Reused(reused.record.id, reused.ended),
        },
        Request::Rotate(rotate) => match store.rotate(rotate).await.unwrap() {
            Rotated::Rotated(record) => Answer::Rotated(*record),
            Rotated::Took(salt) => Answer::Took(salt),
            Rotated::Kept => Answer::Kept,
            Rotated::Ended => Answer::NotLive,
        },
        Request::Save(save) => match store.save(save).await.unwrap() {
            Saved::Saved { revision } => Answer::Saved(revision),
            Saved::Conflict { revision, data } => Answer::Conflict(revision, contents(&data)),
            Saved::Ended => Answer::NotLive,
            Saved::TooLarge => Answer::TooLarge,
        },
    }
}
