//! What a store reports of an operation: a message, or nothing if no session ended or changed.

use super::{FeedMessage, FeedNews};
use crate::{
    model::{EndReason, SessionId, Tag},
    store::{
        Create, Created, End, Ended, NoteClient, Redeem, Resolve, Resolved, Rotate, Rotated, Save,
        Saved, Which,
    },
};

/// A sign-in replaced or evicted sessions.
pub(crate) fn created(create: &Create, outcome: &Created) -> Option<FeedMessage> {
    let Created::Created(new) = outcome else {
        return None;
    };
    let chosen = create.redeem.and_then(|Redeem { ends, .. }| ends);
    let evicted = new.evicted.iter().map(|record| {
        let revoked = Some(record.id) == chosen;
        let reason = if revoked {
            EndReason::Revoked
        } else {
            EndReason::Evicted
        };
        (record.id, reason)
    });
    let replaced = new.replaced.map(|id| (id, EndReason::Replaced));
    ends(create.tag, replaced.into_iter().chain(evicted).collect())
}

/// Sessions ended.
pub(crate) fn ended(end: &End, outcome: &Ended) -> Option<FeedMessage> {
    match outcome {
        Ended::Ended { ids, .. } => these_ended(end, ids),
        Ended::Unknown | Ended::CallerEnded => None,
    }
}

/// These sessions ended by this call.
pub(crate) fn these_ended(end: &End, ids: &[SessionId]) -> Option<FeedMessage> {
    let all: Vec<_> = ids.iter().map(|id| (*id, end.reason)).collect();
    let message = ends(end.tag, all)?;
    Some(match (end.which, &message.news) {
        (Which::Others(keep), FeedNews::LookAgain) if !end.spare_uncounted => {
            FeedMessage::new(end.tag, FeedNews::EndedAllBut(keep, end.reason))
        }
        _ => message,
    })
}

/// A request sent a new token first, or a previous one too late.
pub(crate) fn resolved(
    resolve: &Resolve,
    outcome: &Resolved,
    first_use: bool,
) -> Option<FeedMessage> {
    let (tag, id) = (resolve.token.tag(), resolve.token.session_id());
    match outcome {
        Resolved::Reused(reused) if reused.ended => ends(tag, vec![(id, EndReason::TokenReuse)]),
        Resolved::Live(_) if first_use => Some(FeedMessage::new(tag, FeedNews::Renewed(id))),
        _ => None,
    }
}

/// The session has a new token.
pub(crate) fn rotated(rotate: &Rotate, outcome: &Rotated) -> Option<FeedMessage> {
    let news = FeedNews::Renewed(rotate.id);
    matches!(outcome, Rotated::Rotated(_)).then(|| FeedMessage::new(rotate.tag, news))
}

/// The data or the deadlines changed.
pub(crate) fn saved(save: &Save, outcome: &Saved) -> Option<FeedMessage> {
    let wrote = matches!(outcome, Saved::Saved { .. } | Saved::Shortened { .. });
    wrote.then(|| FeedMessage::new(save.tag, FeedNews::Written(save.id)))
}

/// The last client of the session changed.
pub(crate) fn noted(note: &NoteClient, outcome: bool) -> Option<FeedMessage> {
    outcome.then(|| FeedMessage::new(note.tag, FeedNews::Written(note.record.id)))
}

fn ends(tag: Tag, all: Vec<(SessionId, EndReason)>) -> Option<FeedMessage> {
    (!all.is_empty()).then(|| FeedMessage::new(tag, FeedNews::Ended(all)))
}
