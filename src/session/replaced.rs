//! Ends the session of another session set that a sign-in replaced.

use std::error::Error;

use super::{Session, staged::Op, state::Replaced};
use crate::{
    model::{Data, EndReason},
    store::{End, Ended, Which},
};

impl Session {
    /// Ends the session of a guest or of another user that a sign-in replaced. Only once the new session
    /// exists: a refused sign-in must not cost a guest the cart. A failure does not fail the sign-in.
    pub(super) async fn end_replaced(&self) {
        let Some(replaced) = self.state().replaced.clone() else {
            return;
        };
        let store = &self.0.rules.store;
        let mut end = End::new(replaced.tag, Which::One(replaced.id), EndReason::Replaced);
        end.by = Some(replaced.by);
        end.read_at = replaced.carry.as_ref().map(|(revision, _)| *revision);
        let mut ended = store.end(end.clone()).await;
        if ended.is_err() {
            ended = store.end(end).await;
        }
        if let Some(user) = &replaced.user
            && let Ok(Ended::Ended { ids, now, .. }) = &ended
            && ids.contains(&replaced.id)
        {
            let reason = EndReason::Replaced;
            self.report_ended(user, replaced.id, reason, Some(replaced.by), *now);
        }
        match ended {
            Ok(Ended::Ended {
                data: Some(data), ..
            }) => self.carry_late(&replaced, &data).await,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn Error,
                    kind = ?error.kind(),
                    "replaced session not ended"
                );
            }
        }
        self.state().replaced = None;
    }

    /// A parallel request stored something in the guest session after this one had read it.
    async fn carry_late(&self, replaced: &Replaced, data: &Data) {
        let Some((_, keys)) = &replaced.carry else {
            return;
        };
        let late: Vec<Op> = data
            .named(|key| keys.iter().any(|named| **named == *key))
            .map(|(key, value)| Op::carried(key, value))
            .collect();
        let Some(stored) = self.stored().filter(|_| !late.is_empty()) else {
            return;
        };
        if let Err(error) = self.save(stored, &late, None).await {
            tracing::warn!(error = &error as &dyn Error, "guest data not carried over");
        }
    }
}
