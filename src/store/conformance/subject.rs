//! The store under test without its type, so that the suite is compiled once and not for each store.

use std::{future::Future, pin::Pin};

use crate::{
    model::{SessionId, Tag, Timestamp, UserId},
    store::{
        Create, Created, End, EndEveryone, Ended, Feed, Forget, Horizon, List, Look, Looked,
        NoteClient, Record, Resolve, Resolved, Rotate, Rotated, Save, Saved, Scan, Scanned,
        SessionStore, StoreError, Ticketed, Touch,
    },
};

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Passes each call on and changes nothing of it.
pub(super) struct Subject(Box<dyn Erased>);

impl Subject {
    pub(super) fn new(store: impl SessionStore) -> Self {
        Self(Box::new(store))
    }
}

/// [`SessionStore`] for a store behind a pointer. The names differ, so that no method shadows another.
trait Erased: Send + Sync {
    fn resolve_boxed<'a>(&'a self, resolve: &'a Resolve) -> Answer<'a, Resolved>;
    fn create_boxed<'a>(&'a self, create: &'a Create) -> Answer<'a, Created>;
    fn ticket_boxed<'a>(&'a self, tag: Tag, ticket: &'a Ticketed) -> Answer<'a, Option<Vec<u8>>>;
    fn save_boxed<'a>(&'a self, save: &'a Save) -> Answer<'a, Saved>;
    fn rotate_boxed<'a>(&'a self, rotate: &'a Rotate) -> Answer<'a, Rotated>;
    fn list_boxed<'a>(&'a self, list: &'a List) -> Answer<'a, Vec<Record>>;
    fn end_boxed<'a>(&'a self, end: &'a End) -> Answer<'a, Ended>;
    fn forget_boxed<'a>(&'a self, forget: &'a Forget) -> Answer<'a, ()>;
    fn note_client_boxed<'a>(&'a self, note: &'a NoteClient) -> Answer<'a, bool>;
    fn look_boxed<'a>(&'a self, look: &'a Look) -> Answer<'a, Looked>;
    fn touch_boxed<'a>(&'a self, touch: &'a Touch) -> Answer<'a, ()>;
    fn horizon_of(&self) -> Option<&Horizon>;
    fn everyone_boxed(&self, knows: Option<Timestamp>) -> Answer<'_, Option<Timestamp>>;
    fn end_everyone_boxed(&self, end: EndEveryone) -> Answer<'_, Timestamp>;
    fn scan_boxed<'a>(&'a self, scan: &'a Scan) -> Answer<'a, Scanned>;
    fn estimate_boxed(&self) -> Answer<'_, u64>;
    fn feed_of(&self) -> Option<Feed>;
    fn tag_of(&self, user: &UserId) -> Tag;
    fn number(&self) -> Option<u64>;
    fn resolve_at_once(&self, resolve: &Resolve) -> Option<Result<Resolved, StoreError>>;
    fn give_up(&self, tag: Tag, id: SessionId);
}

impl<St: SessionStore> Erased for St {
    fn resolve_boxed<'a>(&'a self, resolve: &'a Resolve) -> Answer<'a, Resolved> {
        Box::pin(self.resolve(resolve))
    }

    fn create_boxed<'a>(&'a self, create: &'a Create) -> Answer<'a, Created> {
        Box::pin(self.create(create))
    }

    fn save_boxed<'a>(&'a self, save: &'a Save) -> Answer<'a, Saved> {
        Box::pin(self.save(save))
    }

    fn rotate_boxed<'a>(&'a self, rotate: &'a Rotate) -> Answer<'a, Rotated> {
        Box::pin(self.rotate(rotate))
    }

    fn list_boxed<'a>(&'a self, list: &'a List) -> Answer<'a, Vec<Record>> {
        Box::pin(self.list(list))
    }

    fn end_boxed<'a>(&'a self, end: &'a End) -> Answer<'a, Ended> {
        Box::pin(self.end(end))
    }

    fn forget_boxed<'a>(&'a self, forget: &'a Forget) -> Answer<'a, ()> {
        Box::pin(self.forget(forget))
    }

    fn note_client_boxed<'a>(&'a self, note: &'a NoteClient) -> Answer<'a, bool> {
        Box::pin(self.note_client(note))
    }

    fn look_boxed<'a>(&'a self, look: &'a Look) -> Answer<'a, Looked> {
        Box::pin(self.look(look))
    }

    fn touch_boxed<'a>(&'a self, touch: &'a Touch) -> Answer<'a, ()> {
        Box::pin(self.touch(touch))
    }

    fn scan_boxed<'a>(&'a self, scan: &'a Scan) -> Answer<'a, Scanned> {
        Box::pin(self.scan(scan))
    }

    fn ticket_boxed<'a>(&'a self, tag: Tag, ticket: &'a Ticketed) -> Answer<'a, Option<Vec<u8>>> {
        Box::pin(self.ticket(tag, ticket))
    }

    fn horizon_of(&self) -> Option<&Horizon> {
        self.horizon()
    }

    fn everyone_boxed(&self, knows: Option<Timestamp>) -> Answer<'_, Option<Timestamp>> {
        Box::pin(self.everyone(knows))
    }

    fn end_everyone_boxed(&self, end: EndEveryone) -> Answer<'_, Timestamp> {
        Box::pin(self.end_everyone(end))
    }

    fn estimate_boxed(&self) -> Answer<'_, u64> {
        Box::pin(self.estimate())
    }

    fn feed_of(&self) -> Option<Feed> {
        self.feed()
    }

    fn tag_of(&self, user: &UserId) -> Tag {
        self.tag(user)
    }

    fn number(&self) -> Option<u64> {
        self.identity()
    }

    fn resolve_at_once(&self, resolve: &Resolve) -> Option<Result<Resolved, StoreError>> {
        self.resolve_now(resolve)
    }

    fn give_up(&self, tag: Tag, id: SessionId) {
        self.end_undelivered(tag, id);
    }
}

impl SessionStore for Subject {
    async fn resolve(&self, resolve: &Resolve) -> Result<Resolved, StoreError> {
        self.0.resolve_boxed(resolve).await
    }

    async fn create(&self, create: &Create) -> Result<Created, StoreError> {
        self.0.create_boxed(create).await
    }

    async fn save(&self, save: &Save) -> Result<Saved, StoreError> {
        self.0.save_boxed(save).await
    }

    async fn rotate(&self, rotate: &Rotate) -> Result<Rotated, StoreError> {
        self.0.rotate_boxed(rotate).await
    }

    async fn list(&self, list: &List) -> Result<Vec<Record>, StoreError> {
        self.0.list_boxed(list).await
    }

    async fn end(&self, end: &End) -> Result<Ended, StoreError> {
        self.0.end_boxed(end).await
    }

    async fn forget(&self, forget: &Forget) -> Result<(), StoreError> {
        self.0.forget_boxed(forget).await
    }

    async fn note_client(&self, note: &NoteClient) -> Result<bool, StoreError> {
        self.0.note_client_boxed(note).await
    }

    async fn look(&self, look: &Look) -> Result<Looked, StoreError> {
        self.0.look_boxed(look).await
    }

    async fn touch(&self, touch: &Touch) -> Result<(), StoreError> {
        self.0.touch_boxed(touch).await
    }

    async fn scan(&self, scan: &Scan) -> Result<Scanned, StoreError> {
        self.0.scan_boxed(scan).await
    }

    async fn ticket(&self, tag: Tag, ticket: &Ticketed) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.ticket_boxed(tag, ticket).await
    }

    fn horizon(&self) -> Option<&Horizon> {
        self.0.horizon_of()
    }

    async fn everyone(&self, knows: Option<Timestamp>) -> Result<Option<Timestamp>, StoreError> {
        self.0.everyone_boxed(knows).await
    }

    async fn end_everyone(&self, end: EndEveryone) -> Result<Timestamp, StoreError> {
        self.0.end_everyone_boxed(end).await
    }

    async fn estimate(&self) -> Result<u64, StoreError> {
        self.0.estimate_boxed().await
    }

    fn feed(&self) -> Option<Feed> {
        self.0.feed_of()
    }

    fn tag(&self, user: &UserId) -> Tag {
        self.0.tag_of(user)
    }

    fn identity(&self) -> Option<u64> {
        self.0.number()
    }

    fn resolve_now(&self, resolve: &Resolve) -> Option<Result<Resolved, StoreError>> {
        self.0.resolve_at_once(resolve)
    }

    fn end_undelivered(&self, tag: Tag, id: SessionId) {
        self.0.give_up(tag, id);
    }
}
