//! How sessions of a user are ended.

use super::{
    super::{
        error::UserSessionsError,
        report::initiator,
        unanswered::{Ends, Unanswered, lock},
    },
    UserSessions,
};
use crate::{
    model::{EndReason, Event, EventKind, SessionId, Timestamp},
    store::{End, Ended, Which, meter},
};

impl UserSessions {
    pub(super) async fn end_which(&self, which: Which) -> Result<usize, UserSessionsError> {
        self.give(self.order(which)).await
    }

    pub(super) fn order(&self, which: Which) -> End {
        let reason = match (which, self.current) {
            (Which::One(id), Some(current)) if id == current => EndReason::LoggedOut,
            _ if self.caller.is_none() => self.reason.unwrap_or(EndReason::Administrator),
            _ => self.reason.unwrap_or(EndReason::Revoked),
        };
        let mut end = End::new(self.tag, which, reason);
        end.within = Some(self.realm);
        end.spare_uncounted = self.spare_uncounted;
        end.by = self.caller;
        // Signing out a session that has ended already is harmless.
        end.caller = self.caller.filter(|id| which != Which::One(*id));
        end
    }

    pub(super) async fn give(&self, mut end: End) -> Result<usize, UserSessionsError> {
        let (which, reason, by, spared) = (end.which, end.reason, end.by, end.spare_uncounted);
        let by_live = end.caller.is_some();
        // The layer may see the end before its answer is here.
        let _ends = self.session.as_ref().map(Ends::begin);
        if let Some(before) = lock(&self.unanswered).take()
            && (before.which, before.reason, before.bar) == (which, reason, end.bar)
        {
            end.call = before.call;
        }
        let mut unanswered = Unanswered {
            end: Some(end.clone()),
            slot: &self.unanswered,
        };
        let ended = self.store.end(end).await?;
        unanswered.end = None;
        let (ids, now, before) = match &ended {
            Ended::Ended {
                ids, now, before, ..
            } => (ids, *now, *before),
            Ended::CallerEnded => return Err(UserSessionsError::CallerEnded),
            Ended::Unknown => return Err(UserSessionsError::Unknown),
        };
        for id in ids {
            self.report_ended(*id, reason, by, now);
        }
        if let Some(session) = &self.session {
            if !matches!(which, Which::One(_)) {
                session.made_cutoff(self.tag, now, before, by_live);
            }
            let mut state = session.state();
            let own = state.record().map(|record| record.id);
            if let Some(own) = own.filter(|own| which.names(*own, spared) || ended.has(*own))
                && state.tag() == Some(self.tag)
            {
                state.ended_own(own, &ended);
            }
        }
        Ok(ids.len())
    }

    fn report_ended(
        &self,
        id: SessionId,
        reason: EndReason,
        by: Option<SessionId>,
        now: Timestamp,
    ) {
        if let Some(session) = &self.session {
            session.report_ended(&self.user, id, reason, by, now);
            return;
        }
        meter::ended(reason);
        self.audit.raise(|| {
            Event::new(EventKind::Ended, now, initiator(reason, by.is_some()))
                .to(self.user.clone(), Some(id))
                .because(reason, by)
        });
    }
}
