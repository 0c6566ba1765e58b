//! Calls `everyone.lua`, on each copy of the moment.

use std::{panic::resume_unwind, time::Duration};

use deadpool_redis::redis::Cmd;
use tokio::task::{JoinError, JoinSet};

use super::{
    super::{
        check::SKEW,
        keys::EVERYONE,
        link::{Call, Confirm, Lane},
    },
    Scripts,
};
use crate::{
    model::Timestamp,
    store::{EndEveryone, FeedMessage, StoreError, StoreErrorKind, nonce},
};

/// How long the last copies have once most have answered.
const LAST: Duration = Duration::from_millis(50);

/// What is asked of copies.
#[derive(Clone, Copy)]
struct Ask {
    /// A copy that has an earlier moment, or none, takes this one.
    least: Option<Timestamp>,
    confirm: Option<Confirm>,
    /// Whether each of them must answer.
    each: bool,
}

impl Ask {
    /// Of as many copies as answer.
    fn of(least: Option<Timestamp>) -> Self {
        Self {
            least,
            confirm: None,
            each: false,
        }
    }
}

/// What one copy says.
struct Copy {
    key: String,
    answer: Result<(Timestamp, Option<Timestamp>), StoreError>,
}

impl Copy {
    fn of(joined: Result<Self, JoinError>) -> Self {
        match joined.map_err(JoinError::try_into_panic) {
            Ok(copy) => copy,
            Err(Ok(panic)) => resume_unwind(panic),
            Err(Err(stopped)) => Self {
                key: String::new(),
                answer: Err(StoreError::new(StoreErrorKind::Unavailable).with_source(stopped)),
            },
        }
    }
}

impl Scripts {
    /// The moment before which the sessions of all users ended: the latest that any copy has.
    ///
    /// One copy that answers is enough. So users of a primary do not depend on another one. Nor do they wait for the slowest:
    /// an end that was acknowledged is in all copies, so most of them are as new as all. It takes more than one, because the
    /// primary of that one may have lost the moment in a failover, and most copies are never on one of three primaries.
    pub(in super::super) async fn everyone(
        &self,
        knows: Option<Timestamp>,
    ) -> Result<Option<Timestamp>, StoreError> {
        let copies = self.most_copies(knows).await;
        let said = || copies.iter().filter_map(|copy| copy.answer.as_ref().ok());
        let now = said().map(|(now, _)| *now).max();
        let moment = said().filter_map(|(_, moment)| *moment).max();
        let lost = |copy: &Copy| {
            let answer = copy.answer.as_ref();
            answer.is_ok_and(|(_, found)| *found < moment)
        };
        let keys: Vec<String> = copies
            .iter()
            .filter(|copy| lost(copy))
            .map(|copy| copy.key.clone())
            .collect();
        if !keys.is_empty() {
            // Whether it could be written shows when it is read again.
            self.copies(keys, Ask::of(moment)).await;
        }
        let (Some(now), Some(moment)) = (now, moment) else {
            // None answered, or none has a moment.
            let error = copies.into_iter().find_map(|copy| copy.answer.err());
            return error.filter(|_| now.is_none()).map_or(Ok(None), Err);
        };
        let kept = EndEveryone::kept(moment, now);
        if kept > moment {
            self.begin_era(kept).await?;
        }
        Ok(Some(kept))
    }

    /// Stores the first moment of an era. One copy is enough: the next question completes the others.
    async fn begin_era(&self, moment: Timestamp) -> Result<(), StoreError> {
        let ask = Ask {
            confirm: self.0.confirm,
            ..Ask::of(Some(moment))
        };
        let copies = self.copies(self.keys_of_copies(), ask).await;
        let is_stored = copies.iter().any(|copy| copy.answer.is_ok());
        let failed = copies.into_iter().find_map(|copy| copy.answer.err());
        if let Some(error) = failed.filter(|_| !is_stored) {
            return Err(error);
        }
        self.publish_end(moment).await;
        Ok(())
    }

    /// Ends the sessions of all users: the moment is later than the clock of each primary.
    pub(in super::super) async fn end_everyone(
        &self,
        end: EndEveryone,
        knows: Option<Timestamp>,
    ) -> Result<Timestamp, StoreError> {
        let mut keys = self.keys_of_copies();
        keys.extend(self.0.route.served(&self.0.keys).await?);
        let (mut now, mut before) = (None, knows);
        let mut ask = Ask {
            each: true,
            ..Ask::of(None)
        };
        for copy in self.copies(keys, ask).await {
            let (time, moment) = copy.answer?;
            (now, before) = (now.max(Some(time)), before.max(moment));
        }
        let now = now.ok_or(StoreError::new(StoreErrorKind::Unavailable))?;
        let now = if self.0.route.may_be_cluster() {
            now.plus(SKEW)
        } else {
            now
        };
        let moment = end.moment(now, before);
        let copies = self.keys_of_copies();
        (ask.least, ask.confirm) = (Some(moment), self.0.confirm);
        for copy in self.copies(copies, ask).await {
            copy.answer?;
        }
        self.publish_end(moment).await;
        Ok(moment)
    }

    /// Nodes that miss it read the moment within 5 s.
    async fn publish_end(&self, moment: Timestamp) {
        let message = FeedMessage::everyone(moment);
        if let Err(error) = self.publish_everywhere(&message.encode()).await {
            tracing::debug!(kind = ?error.kind(), "the end of all sessions was not published");
        }
    }

    fn keys_of_copies(&self) -> Vec<String> {
        let copies = if self.0.route.may_be_cluster() {
            &EVERYONE[..]
        } else {
            &EVERYONE[..1]
        };
        copies.iter().map(|name| self.0.keys.named(name)).collect()
    }

    /// Asks all copies at once, and does not wait long for the last ones once most have answered.
    async fn most_copies(&self, knows: Option<Timestamp>) -> Vec<Copy> {
        let mut asked = self.ask_copies(self.keys_of_copies(), Ask::of(knows));
        let (all, mut copies) = (asked.len(), Vec::new());
        let answered = |copies: &[Copy]| copies.iter().filter(|copy| copy.answer.is_ok()).count();
        while answered(&copies) <= all / 2
            && let Some(copy) = asked.join_next().await
        {
            copies.push(Copy::of(copy));
        }
        let rest = async {
            while let Some(copy) = asked.join_next().await {
                copies.push(Copy::of(copy));
            }
        };
        // Those that are left out are asked again with the next question.
        let _ = tokio::time::timeout(LAST, rest).await;
        copies
    }

    /// Asks the copies under these keys, all at once.
    async fn copies(&self, keys: Vec<String>, ask: Ask) -> Vec<Copy> {
        self.ask_copies(keys, ask).join_all().await
    }

    fn ask_copies(&self, keys: Vec<String>, ask: Ask) -> JoinSet<Copy> {
        let mut asked = JoinSet::new();
        for key in keys {
            let scripts = self.clone();
            asked.spawn(async move {
                let answer = scripts.copy(&key, ask).await;
                Copy { key, answer }
            });
        }
        asked
    }

    /// Runs `lua/everyone.lua`.
    async fn copy(
        &self,
        key: &str,
        ask: Ask,
    ) -> Result<(Timestamp, Option<Timestamp>), StoreError> {
        let of = nonce();
        let least = ask
            .least
            .map_or(String::new(), |least| least.as_millis().to_string());
        let arguments = |cmd: &mut Cmd, _latest: Option<i64>| {
            cmd.arg(&least)
                .arg(u8::from(ask.confirm.is_some()))
                .arg(self.given())
                .arg(&of[..]);
        };
        let call = Call {
            lane: Lane::Ends,
            patient: ask.each,
            confirm: ask.confirm,
            ..Call::new(&self.0.all.everyone, key, of)
        };
        let mut reply = self.run(&call, &arguments).await?;
        reply.confirmed()?;
        let (_, now) = reply.head();
        let moment = reply.integer()?.map(Timestamp::from_millis);
        Ok((now, moment))
    }
}
