//! What an operation changed.

use std::time::Duration;

use bytes::Bytes;

use super::{Live, Part, SessionSet, places::Places};
use crate::{
    model::{EndReason, SessionId, Timestamp},
    store::{FeedNews, Row},
};

/// How much of a session set an operation changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in super::super) enum Changed {
    Nothing,
    /// Only the last activity of sessions.
    Activity,
    More,
}

impl SessionSet {
    pub(in super::super) fn changed_since(&self, before: &Self) -> Changed {
        if self.live.len() != before.live.len() || self.rare() != before.rare() {
            return Changed::More;
        }
        let mut changed = Changed::Nothing;
        for (now, was) in self.live.iter().zip(&before.live) {
            if now.more() != was.more() {
                return Changed::More;
            }
            if now.record == was.record {
                continue;
            }
            let mut same = now.record.clone();
            same.last_activity = was.record.last_activity;
            if same != was.record {
                return Changed::More;
            }
            changed = Changed::Activity;
        }
        changed
    }

    /// Whether a session had no activity stored for more than a seventeenth of its idle time, and has now.
    pub(in super::super) fn has_late_activity(&self, before: &Self) -> bool {
        let mut old = Places::new(&before.live, id);
        self.live.iter().any(|now| {
            let was = old.find(now.record.id);
            let moved = now.record.last_activity;
            was.is_some_and(|was| was.record.activity_is_due(moved, Duration::MAX))
        })
    }

    /// The parts to write, and those to remove.
    pub(in super::super) fn parts_since(&self, before: &Self) -> Vec<(SessionId, Option<Bytes>)> {
        let mut parts = Vec::new();
        let mut old = Places::new(&before.live, id);
        for Live { record, more } in &self.live {
            let Some(Part::Here(data)) = more.as_ref().map(|more| &more.data) else {
                continue;
            };
            let was = old.find(record.id);
            let same = was
                .is_some_and(|was| was.record.revision == record.revision && was.data() == *data);
            if !same && !data.is_empty() {
                parts.push((record.id, self.encode_part(record.id)));
            }
        }
        let mut new = Places::new(&self.live, id);
        for was in before.live.iter().filter(|was| was.has_data()) {
            if !new.find(id(was)).is_some_and(Live::has_data) {
                parts.push((id(was), None));
            }
        }
        parts
    }

    /// What clients notice of an operation at this moment.
    pub(in super::super) fn news_since(&self, before: &Self, at: Timestamp) -> Vec<FeedNews> {
        let (mut news, mut ended) = (Vec::new(), Vec::new());
        let mut is_unexplained = false;
        let mut live = Places::new(&self.live, id);
        let mut notices = Places::new(&self.rare().notices, |(id, _)| *id);
        for was in &before.live {
            let id = was.record.id;
            let Some(Live { record, .. }) = live.find(id) else {
                match notices.find(id) {
                    Some((_, notice)) => ended.push((id, notice.reason)),
                    // A sign-in keeps few notices, and may drop one of this moment too.
                    None => is_unexplained |= was.record.is_live(at, None),
                }
                continue;
            };
            let unused = |live: &Live| {
                let rotation = live.record.rotation.as_ref();
                rotation.is_some_and(|rotation| rotation.is_unused())
            };
            if record.digest != was.record.digest
                || unused(was) && record.rotation != was.record.rotation
            {
                news.push(FeedNews::Renewed(id));
            }
            let (is, had) = (record, &was.record);
            let times = (is.revision, is.idle, is.deadline);
            let written = times != (had.revision, had.idle, had.deadline)
                || is.last_seen() != had.last_seen();
            if written && !is.was_found_expired() {
                news.push(FeedNews::Written(id));
            }
        }
        ended.retain(|(_, reason)| *reason != EndReason::Expired);
        if !ended.is_empty() {
            news.push(FeedNews::Ended(ended));
        }
        if is_unexplained {
            news.push(FeedNews::LookAgain);
        }
        news
    }

    pub(in super::super) fn row(&self) -> Row {
        let records = || self.live.iter().map(|live| &live.record);
        Row {
            user: records().find_map(|record| record.user_id().cloned()),
            live: self.live.len(),
            last_activity: records().map(|record| record.last_activity).max(),
        }
    }
}

fn id(live: &Live) -> SessionId {
    live.record.id
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{Limit, Tag, Token, UserId},
        store::{Authenticated, Create, Created, End, Which},
    };

    /// At a limit of 1 a sign-in keeps one notice, and two that end in one millisecond have no order of time.
    #[test]
    fn an_end_whose_notice_is_not_kept_is_reported_too() {
        let (now, hour) = (Timestamp::from_millis(9), Duration::from_secs(3_600));
        let create = |token: &Token| {
            let user = UserId::new("anna").ok();
            Create::new(token, user, Authenticated::At(now))
        };
        for is_kept in [true, false] {
            let tag = Tag::from_bytes([3; 12]);
            let mut tokens = [(); 2].map(|()| Token::random(tag).unwrap());
            tokens.sort_by_key(|token| token.session_id().encode());
            if !is_kept {
                tokens.reverse();
            }
            let [ended, evicted] = &tokens;
            let mut set = SessionSet::default();
            for token in &tokens {
                set.create(&create(token), now, hour);
            }
            let end = End::new(tag, Which::One(ended.session_id()), EndReason::Revoked);
            set.end(&end, now, hour);
            let before = set.clone();

            let mut create = create(&Token::random(tag).unwrap());
            create.limit = Limit::at_most(1);
            let created = set.create(&create, now, hour);

            assert!(matches!(created, Created::Created(new) if new.evicted.len() == 1));
            let named = FeedNews::Ended(vec![(evicted.session_id(), EndReason::Evicted)]);
            let wanted = if is_kept { named } else { FeedNews::LookAgain };
            assert_eq!(set.news_since(&before, now), [wanted]);
        }
    }
}
