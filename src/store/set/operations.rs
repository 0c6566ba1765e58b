//! The operations of a `SetStore`.

use super::{
    SetStorage, SetStore, Urgency,
    attempt::{Done, Failed, Loaded, Task, TaskKind, load, run, unknown},
    undelivered::Taken,
};
use crate::{
    model::{EndReason, Record, SessionId, Tag, TagKey, Timestamp, UserId},
    store::{
        Create, Created, End, EndEveryone, Ended, Feed, Forget, Horizon, List, Look, Looked,
        NoteClient, Resolve, Resolved, Rotate, Rotated, Save, Saved, Scan, Scanned, SessionSet,
        SessionStore, StoreError, StoreErrorKind, Ticketed, Touch, Which,
    },
};

/// The data of this session, if they were not read.
fn lacks(id: SessionId) -> impl Fn(&SessionSet, Timestamp) -> Option<SessionId> {
    move |set, _| set.lacks_part(id).then_some(id)
}

fn nothing(_: &SessionSet, _: Timestamp) -> Option<SessionId> {
    None
}

impl<S: SetStorage> SetStore<S> {
    async fn load(&self, tag: Tag) -> Result<Loaded, StoreError> {
        load(&self.0.storage, tag, None, Urgency::Other, nothing).await
    }

    async fn run_task<T>(
        &self,
        task: Task,
        lacks: impl Fn(&SessionSet, Timestamp) -> Option<SessionId>,
        operation: impl FnMut(&mut SessionSet, Timestamp) -> T,
    ) -> Result<Done<T>, Failed> {
        self.run_unless(task, lacks, |_| false, operation).await
    }

    /// As [`run_task`](Self::run_task). Some outcomes hold also if they cannot be written.
    async fn run_unless<T>(
        &self,
        task: Task,
        lacks: impl Fn(&SessionSet, Timestamp) -> Option<SessionId>,
        holds_unwritten: impl Fn(&T) -> bool,
        operation: impl FnMut(&mut SessionSet, Timestamp) -> T,
    ) -> Result<Done<T>, Failed> {
        let (storage, turns) = (&self.0.storage, &self.0.turns);
        let done = run(
            storage,
            turns,
            self.patience(),
            task,
            lacks,
            holds_unwritten,
            operation,
        );
        let done = done.await?;
        if done.ran {
            let confirmed = self.confirm(task.kind.urgency()).await;
            confirmed.map_err(|error| unknown(task.kind, true, error))?;
        }
        Ok(done)
    }

    /// An operation that needs no data and may be tried again.
    async fn change<T>(
        &self,
        tag: Tag,
        operation: impl FnMut(&mut SessionSet, Timestamp) -> T,
    ) -> Result<T, StoreError> {
        Ok(self.try_change(tag, operation).await?)
    }

    async fn try_change<T>(
        &self,
        tag: Tag,
        operation: impl FnMut(&mut SessionSet, Timestamp) -> T,
    ) -> Result<T, Failed> {
        let task = Task {
            tag,
            part: None,
            kind: TaskKind::Repeatable,
        };
        let done = self.run_task(task, nothing, operation).await?;
        self.end_next().await;
        Ok(done.outcome)
    }

    /// The storage answered. If no task ends sign-ins that were given up, this operation ends one.
    async fn end_next(&self) {
        if let Some(next) = self.0.undelivered.next_without_worker() {
            self.end_taken(next).await;
        }
    }

    /// Ends this one. Returns whether none of it is left, for as far as this version can tell.
    pub(super) async fn end_taken(&self, next: Taken<'_>) -> bool {
        let ended = self.end_given_up(next.tag, next.id).await;
        let is_over = match ended.map_err(|error| error.kind()) {
            Ok(()) => true,
            // This version cannot read or write the set, so trying again does not help.
            Err(kind) => matches!(
                kind,
                StoreErrorKind::Corrupt | StoreErrorKind::TooNew | StoreErrorKind::Unsupported
            ),
        };
        if is_over {
            next.ended();
        }
        is_over
    }

    /// Ends a session whose token never reached its client.
    async fn end_given_up(&self, tag: Tag, id: SessionId) -> Result<(), StoreError> {
        let end = End::new(tag, Which::One(id), EndReason::Undelivered);
        let task = Task {
            tag,
            part: None,
            kind: TaskKind::GivenUp,
        };
        let kept = self.0.notice_kept;
        let ended = self.run_task(task, nothing, |set, now| set.end(&end, now, kept));
        ended.await?;
        Ok(())
    }

    /// A sign-in that is answered with a refusal, of which an attempt may still run.
    async fn give_up(&self, create: &Create) {
        if self.end_given_up(create.tag, create.id).await.is_err() {
            self.0.undelivered.add(create.tag, create.id);
        }
    }
}

impl<S: SetStorage> SessionStore for SetStore<S> {
    async fn resolve(&self, resolve: &Resolve) -> Result<Resolved, StoreError> {
        let mut resolve = resolve.clone();
        resolve.activity_every = resolve.activity_every.max(self.0.activity_every);
        let id = resolve.token.session_id();
        let task = Task {
            tag: resolve.token.tag(),
            part: Some(id),
            kind: TaskKind::Request,
        };
        let kept = self.0.notice_kept;
        // A full disk must not lock users out. The next request notes its token again.
        let holds = |resolved: &Resolved| !matches!(resolved, Resolved::Reused(_));
        let done = self
            .run_unless(task, lacks(id), holds, |set, now| {
                set.resolve(&resolve, now, kept)
            })
            .await?;
        self.end_next().await;
        Ok(done.outcome)
    }

    async fn create(&self, create: &Create) -> Result<Created, StoreError> {
        let task = Task {
            tag: create.tag,
            part: create.replaces,
            kind: TaskKind::SignIn,
        };
        let kept = self.0.notice_kept;
        let lacks = |set: &SessionSet, now| set.lacks_for(create, now);
        let done = self
            .run_task(task, lacks, |set, now| set.create(create, now, kept))
            .await?;
        let is_created = |outcome: &Created| matches!(outcome, Created::Created(_));
        if done.late && is_created(&done.outcome) {
            // It exists, as it may after any error: the caller creates it again or gives it up.
            return Err(StoreError::new(StoreErrorKind::Timeout));
        }
        // One that may still run must not make what is refused here.
        if !is_created(&done.outcome) && done.doubtful.iter().any(is_created) {
            self.give_up(create).await;
        }
        if done.found && is_created(&done.outcome) {
            self.confirm(Urgency::SignIn).await?;
        }
        self.end_next().await;
        Ok(done.outcome)
    }

    async fn ticket(&self, tag: Tag, ticket: &Ticketed) -> Result<Option<Vec<u8>>, StoreError> {
        let Loaded { set, now, .. } = self.load(tag).await?;
        Ok(set.ticket(ticket, now))
    }

    async fn save(&self, save: &Save) -> Result<Saved, StoreError> {
        let task = Task {
            tag: save.tag,
            part: Some(save.id),
            kind: match save.expect {
                Some(_) => TaskKind::Once,
                None => TaskKind::Repeatable,
            },
        };
        let done = self
            .run_task(task, lacks(save.id), |set, now| set.save(save, now))
            .await?;
        self.end_next().await;
        Ok(done.outcome)
    }

    async fn rotate(&self, rotate: &Rotate) -> Result<Rotated, StoreError> {
        let (tag, kept) = (rotate.tag, self.0.notice_kept);
        // If it may have run, nobody may have the new token, and the previous one may not work any more.
        let rotated = self.try_change(tag, |set, now| set.rotate(rotate, now, kept));
        rotated.await.map_err(Failed::or_uncertain)
    }

    async fn list(&self, list: &List) -> Result<Vec<Record>, StoreError> {
        let task = Task {
            tag: list.tag,
            part: None,
            kind: TaskKind::Request,
        };
        // It drops what has expired. The list is right if that cannot be written.
        let done = self
            .run_unless(task, nothing, |_| true, |set, now| set.list(list, now))
            .await?;
        Ok(done.outcome)
    }

    async fn end(&self, end: &End) -> Result<Ended, StoreError> {
        let part = match end.which {
            Which::One(id) if end.read_at.is_some() => Some(id),
            Which::One(_) | Which::All | Which::Others(_) => None,
        };
        let task = Task {
            tag: end.tag,
            part,
            kind: TaskKind::End,
        };
        let kept = self.0.notice_kept;
        let lacks = |set: &SessionSet, _| part.filter(|id| set.lacks_part(*id));
        let done = self
            .run_task(task, lacks, |set, now| set.end(end, now, kept))
            .await?;
        if done.found {
            self.confirm(Urgency::End).await?;
        }
        self.end_next().await;
        Ok(done.outcome)
    }

    async fn forget(&self, forget: &Forget) -> Result<(), StoreError> {
        self.change(forget.tag, |set, now| set.forget(forget, now))
            .await
    }

    async fn note_client(&self, note: &NoteClient) -> Result<bool, StoreError> {
        self.change(note.tag, |set, now| set.note_client(note, now))
            .await
    }

    async fn look(&self, look: &Look) -> Result<Looked, StoreError> {
        let Loaded { set, now, .. } = self.load(look.tag).await?;
        Ok(Looked::new(set.look(look, now), now))
    }

    async fn touch(&self, touch: &Touch) -> Result<(), StoreError> {
        let task = Task {
            tag: touch.tag,
            part: None,
            kind: TaskKind::Request,
        };
        self.run_task(task, nothing, |set, now| set.touch(touch, now))
            .await?;
        Ok(())
    }

    fn horizon(&self) -> Option<&Horizon> {
        Some(&self.0.horizon)
    }

    async fn everyone(&self, knows: Option<Timestamp>) -> Result<Option<Timestamp>, StoreError> {
        let moved = self.move_everyone(|before, now| {
            let latest = before.max(knows)?;
            Some(EndEveryone::kept(latest, now))
        });
        Ok(moved.await?.0)
    }

    async fn end_everyone(&self, end: EndEveryone) -> Result<Timestamp, StoreError> {
        self.end_all_users(end).await
    }

    async fn scan(&self, scan: &Scan) -> Result<Scanned, StoreError> {
        self.read_part(scan).await
    }

    async fn estimate(&self) -> Result<u64, StoreError> {
        self.0.storage.estimate().await
    }

    fn feed(&self) -> Option<Feed> {
        self.0.storage.feed()
    }

    fn tag_key(&self) -> Option<&TagKey> {
        self.0.storage.tag_key()
    }

    fn tag(&self, user: &UserId) -> Tag {
        self.0.storage.tag(user)
    }

    fn identity(&self) -> Option<u64> {
        Some(self.0.identity)
    }

    /// Ended by the task of [`run`](SetStore::run), or by the next operations.
    fn end_undelivered(&self, tag: Tag, id: SessionId) {
        self.0.undelivered.add(tag, id);
    }
}
