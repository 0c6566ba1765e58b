//! What happens when a session is used from another address or agent.

use std::time::Duration;

use super::{
    Session,
    current::{Current, Live},
    sent::Dead,
};
use crate::{
    model::{
        Client, EndNotice, EndReason, Event, EventKind, Hidden, Initiator, LastSeen, Record,
        SessionId, Tag, Timestamp, Token, UserId,
    },
    request::{mark, same_client},
    store::{End, NOTICE_KEPT, NoteClient, StoreError, Which, together::together},
};

/// How often the client of a session is written at most.
const WRITTEN_EVERY: Duration = Duration::from_secs(60);

/// A session is used from another address or agent than before: for
/// [`SessionLayer::on_client_changed`](crate::SessionLayer::on_client_changed).
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct ClientChange {
    /// The user.
    pub user: UserId,
    /// The session.
    pub session: SessionId,
    /// The client of this request.
    pub now: Client,
    /// The client before it.
    pub before: Client,
    /// The client of the sign-in.
    pub signed_in: Client,
}

/// What happens to a session that is used from another address or agent.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ClientVerdict {
    /// The session goes on.
    #[default]
    Keep,
    /// The session goes on, but its user has to authenticate again where freshness is required:
    /// [`Session::is_fresh`] is false until [`Session::reauthenticated`].
    RequireFresh,
    /// The session ends, with [`EndReason::ClientChanged`]. The request is a guest.
    ///
    /// If the session was ended a moment before, for example by an administrator, it keeps that reason. Then this raises no
    /// event.
    End,
}

/// The app's decision about a change.
pub(crate) type OnClientChanged = Hidden<dyn Fn(&ClientChange) -> ClientVerdict + Send + Sync>;

/// What a change of the client needs of the store.
pub(crate) struct Due {
    note: NoteClient,
    /// The event is raised if the client is noted, or the session ended.
    event: bool,
    verdict: ClientVerdict,
    now: Timestamp,
}

impl Session {
    /// What a change of the client needs of the store, if there is one.
    #[inline]
    pub(crate) fn client_change(&self, activity: bool) -> Option<Box<Due>> {
        let state = self.state();
        let live = state.live()?;
        let (tag, record, now) = (live.tag, live.record.clone(), live.now);
        let client = state.sender.client();
        // The app's function is called without the lock.
        drop(state);
        let change = self.changed(tag, &record, client, now, activity);
        change.map(Box::new)
    }

    #[cold]
    fn changed(
        &self,
        tag: Tag,
        record: &Record,
        client: Client,
        now: Timestamp,
        activity: bool,
    ) -> Option<Due> {
        let user = record.user_id()?;
        if same_client(&client, last_client(record)) {
            return None;
        }
        let verdict = match &self.0.rules.on_client_changed {
            Some(decide) => decide(&ClientChange {
                user: user.clone(),
                session: record.id,
                now: client.clone(),
                before: last_client(record).clone(),
                signed_in: record.client().clone(),
            }),
            None => ClientVerdict::Keep,
        };
        let before = record.last_seen();
        let pause = |seen: &LastSeen| now.since(seen.at) >= WRITTEN_EVERY;
        let due = activity && before.is_none_or(pause);
        let doubts = verdict == ClientVerdict::RequireFresh && !is_doubted(record);
        if !due && !doubts && verdict != ClientVerdict::End {
            return None;
        }
        let mark = mark(&client);
        let mut seen = LastSeen::after(before, client, now);
        if doubts {
            seen.doubted = Some(record.authenticated_at);
        }
        let event = seen.report(mark, now);
        Some(Due {
            note: NoteClient::new(tag, record.clone(), seen),
            event,
            verdict,
            now,
        })
    }

    /// Notes the client, or ends the session if the app decided so, and raises the event. Returns why the token opens no
    /// session any more, if it ended.
    pub(crate) async fn settle_change(
        &self,
        token: &Token,
        due: Due,
    ) -> Result<Option<Box<Dead>>, StoreError> {
        let Due {
            note,
            event,
            verdict,
            now,
        } = due;
        let store = &self.0.rules.store;
        let (tag, record) = (note.tag, note.record.clone());
        let seen = note.last_seen.clone();
        let report = || self.report_client(EventKind::ClientChanged, &record, now);
        if verdict == ClientVerdict::End {
            // The client is not noted: if the session cannot end now, its next request has to be a change again.
            let end = End::new(tag, Which::One(record.id), EndReason::ClientChanged);
            // The client waits for all of these calls.
            let ends = together(async {
                let ended = self.end_surely(end).await?.has(record.id);
                let otherwise = match ended {
                    true => None,
                    false => self.ended_otherwise(token).await?,
                };
                Ok::<_, StoreError>((ended, otherwise))
            });
            let (ended, otherwise) = ends.await?;
            if otherwise.is_some() {
                return Ok(otherwise);
            }
            if ended && event {
                report();
            }
            if let (true, Some(user)) = (ended, record.user_id()) {
                self.report_ended(user, record.id, EndReason::ClientChanged, None, now);
            }
            let kept = now.plus(NOTICE_KEPT);
            let reason = EndReason::ClientChanged;
            let notice = EndNotice::new(record.digest, reason, now, None, kept);
            return Ok(Some(Box::new(Dead::ended(token, notice))));
        }
        let noted = store.note_client(note).await;
        if noted.as_ref().is_ok_and(|noted| *noted) && event {
            report();
        }
        let doubted = seen.doubted != record.last_seen().and_then(|before| before.doubted);
        if let Err(error) = &noted {
            // The request goes on: a later one notes its client.
            let outage = &self.0.rules.outage;
            outage.beside(error, "client of the request not noted");
        }
        // This request is doubted also if that could not be noted.
        if (doubted || noted.is_ok_and(|noted| noted))
            && let Current::Live(live) = &mut self.state().current
            && live.record.id == record.id
        {
            live.record = live.record.clone().with_last_seen(seen);
        }
        Ok(None)
    }

    /// Why a session had ended before this request could end it. If a sign-in replaced it, the browser may have a newer cookie
    /// by now.
    async fn ended_otherwise(&self, token: &Token) -> Result<Option<Box<Dead>>, StoreError> {
        let rules = &self.0.rules;
        let resolve = rules.resolve(token.clone(), false);
        let answer = rules.store.resolve(resolve).await?;
        Ok(self.opened_by(token, answer).err())
    }

    /// The user has just authenticated again, so no change of the client before that counts any more.
    ///
    /// The times of the record say so, unless the clock of the store stepped back since the sign-in.
    pub(super) async fn lift_doubt(&self, tag: Tag, record: &mut Record) {
        if !is_doubted(record) {
            return;
        }
        let (client, at) = {
            let state = self.state();
            let Some(Live { now, .. }) = state.live() else {
                return;
            };
            (state.sender.client(), *now)
        };
        // The client that authenticated is the present one, or its next request would be a change again.
        let mut seen = LastSeen::after(record.last_seen(), client, at);
        seen.doubted = None;
        let note = NoteClient::new(tag, record.clone(), seen.clone());
        if let Err(error) = self.0.rules.store.note_client(note).await {
            let outage = &self.0.rules.outage;
            outage.beside(
                &error,
                "re-authentication after a step of the clock not noted",
            );
        }
        *record = record.clone().with_last_seen(seen);
    }

    /// This session is used by another client.
    pub(super) fn report_client(&self, kind: EventKind, record: &Record, at: Timestamp) {
        self.0.rules.audit.raise(|| {
            let client = self.state().sender.client();
            let event = Event::new(kind, at, Initiator::Policy);
            event.of(record).at_client(client)
        });
    }
}

/// The client of the last request that was noted, or of the sign-in.
pub(super) fn last_client(record: &Record) -> &Client {
    record
        .last_seen()
        .map_or_else(|| record.client(), |seen| &seen.client)
}

/// Whether the user has to authenticate again because the client changed.
pub(super) fn is_doubted(record: &Record) -> bool {
    let doubted = record.last_seen().and_then(|seen| seen.doubted);
    doubted.is_some_and(|moment| record.authenticated_at <= moment)
}
