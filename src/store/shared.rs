//! A store without its type, so that `SessionLayer` and `Session` need no type parameter.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use super::{
    Create, Created, End, Ended, Feed, Forget, List, Look, Looked, NoteClient, Resolve, Resolved,
    Rotate, Rotated, Save, Saved, SessionStore, StoreError, Ticketed, Touch, genuine, meter::timed,
};
use crate::model::{Record, SessionId, Tag, UserId};

type Answer<T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send>>;

/// Any [`SessionStore`] behind one clonable type, for apps that choose their store at run time.
///
/// ```
/// use tower_user_sessions::{MemoryStore, store::SharedStore};
///
/// let store: SharedStore = MemoryStore::new().into();
/// # let _ = store;
/// ```
#[derive(Clone)]
pub struct SharedStore(Arc<dyn ErasedStore>);

/// [`SessionStore`] for a store behind a pointer. The names differ, so that no method shadows another.
trait ErasedStore: Send + Sync {
    fn resolve_boxed(self: Arc<Self>, resolve: Resolve) -> Answer<Resolved>;
    fn create_boxed(self: Arc<Self>, create: Create) -> Answer<Created>;
    fn ticket_boxed(self: Arc<Self>, tag: Tag, ticket: Ticketed) -> Answer<Option<Vec<u8>>>;
    fn save_boxed(self: Arc<Self>, save: Save) -> Answer<Saved>;
    fn rotate_boxed(self: Arc<Self>, rotate: Rotate) -> Answer<Rotated>;
    fn list_boxed(self: Arc<Self>, list: List) -> Answer<Vec<Record>>;
    fn end_boxed(self: Arc<Self>, end: End) -> Answer<Ended>;
    fn forget_boxed(self: Arc<Self>, forget: Forget) -> Answer<()>;
    fn note_client_boxed(self: Arc<Self>, note: NoteClient) -> Answer<bool>;
    fn look_boxed(self: Arc<Self>, look: Look) -> Answer<Looked>;
    fn touch_boxed(self: Arc<Self>, touch: Touch) -> Answer<()>;
    fn feed_of(&self) -> Option<Feed>;
    fn tag_of(&self, user: &UserId) -> Tag;
    fn number(&self) -> Option<u64>;
    fn resolve_at_once(&self, resolve: &Resolve) -> Option<Result<Resolved, StoreError>>;
    fn give_up(&self, tag: Tag, id: SessionId);
}

impl<St: SessionStore> ErasedStore for St {
    fn resolve_boxed(self: Arc<Self>, resolve: Resolve) -> Answer<Resolved> {
        Box::pin(async move {
            let answer = timed("resolve", self.resolve(&resolve)).await;
            genuine::resolved(&resolve, answer)
        })
    }

    fn create_boxed(self: Arc<Self>, create: Create) -> Answer<Created> {
        Box::pin(async move {
            let answer = timed("create", self.create(&create)).await;
            genuine::created(&create, answer)
        })
    }

    fn ticket_boxed(self: Arc<Self>, tag: Tag, ticket: Ticketed) -> Answer<Option<Vec<u8>>> {
        Box::pin(async move { timed("ticket", self.ticket(tag, &ticket)).await })
    }

    fn save_boxed(self: Arc<Self>, save: Save) -> Answer<Saved> {
        Box::pin(async move { timed("save", self.save(&save)).await })
    }

    fn rotate_boxed(self: Arc<Self>, rotate: Rotate) -> Answer<Rotated> {
        Box::pin(async move {
            let answer = timed("rotate", self.rotate(&rotate)).await;
            genuine::rotated(&rotate, answer)
        })
    }

    fn list_boxed(self: Arc<Self>, list: List) -> Answer<Vec<Record>> {
        Box::pin(async move { timed("list", self.list(&list)).await })
    }

    fn end_boxed(self: Arc<Self>, end: End) -> Answer<Ended> {
        Box::pin(async move { timed("end", self.end(&end)).await })
    }

    fn forget_boxed(self: Arc<Self>, forget: Forget) -> Answer<()> {
        Box::pin(async move { timed("forget", self.forget(&forget)).await })
    }

    fn note_client_boxed(self: Arc<Self>, note: NoteClient) -> Answer<bool> {
        Box::pin(async move { timed("note_client", self.note_client(&note)).await })
    }

    fn look_boxed(self: Arc<Self>, look: Look) -> Answer<Looked> {
        Box::pin(async move {
            let answer = timed("look", self.look(&look)).await;
            genuine::looked(&look, answer)
        })
    }

    fn touch_boxed(self: Arc<Self>, touch: Touch) -> Answer<()> {
        Box::pin(async move { timed("touch", self.touch(&touch)).await })
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
        let answer = self.resolve_now(resolve)?;
        Some(genuine::resolved(resolve, answer))
    }

    fn give_up(&self, tag: Tag, id: SessionId) {
        self.end_undelivered(tag, id);
    }
}

impl SharedStore {
    pub(crate) fn resolve(&self, resolve: Resolve) -> Answer<Resolved> {
        Arc::clone(&self.0).resolve_boxed(resolve)
    }

    pub(crate) fn create(&self, create: Create) -> Answer<Created> {
        Arc::clone(&self.0).create_boxed(create)
    }

    pub(crate) fn ticket(&self, tag: Tag, ticket: Ticketed) -> Answer<Option<Vec<u8>>> {
        Arc::clone(&self.0).ticket_boxed(tag, ticket)
    }

    pub(crate) fn save(&self, save: Save) -> Answer<Saved> {
        Arc::clone(&self.0).save_boxed(save)
    }

    pub(crate) fn rotate(&self, rotate: Rotate) -> Answer<Rotated> {
        Arc::clone(&self.0).rotate_boxed(rotate)
    }

    pub(crate) fn list(&self, list: List) -> Answer<Vec<Record>> {
        Arc::clone(&self.0).list_boxed(list)
    }

    pub(crate) fn end(&self, end: End) -> Answer<Ended> {
        Arc::clone(&self.0).end_boxed(end)
    }

    pub(crate) fn forget(&self, forget: Forget) -> Answer<()> {
        Arc::clone(&self.0).forget_boxed(forget)
    }

    pub(crate) fn note_client(&self, note: NoteClient) -> Answer<bool> {
        Arc::clone(&self.0).note_client_boxed(note)
    }

    pub(crate) fn look(&self, look: Look) -> Answer<Looked> {
        Arc::clone(&self.0).look_boxed(look)
    }

    pub(crate) fn touch(&self, touch: Touch) -> Answer<()> {
        Arc::clone(&self.0).touch_boxed(touch)
    }

    pub(crate) fn feed(&self) -> Option<Feed> {
        self.0.feed_of()
    }

    pub(crate) fn tag(&self, user: &UserId) -> Tag {
        self.0.tag_of(user)
    }

    pub(crate) fn identity(&self) -> Option<u64> {
        self.0.number()
    }

    pub(crate) fn resolve_now(&self, resolve: &Resolve) -> Option<Result<Resolved, StoreError>> {
        self.0.resolve_at_once(resolve)
    }

    pub(crate) fn end_undelivered(&self, tag: Tag, id: SessionId) {
        self.0.give_up(tag, id);
    }
}

impl<St: SessionStore> From<St> for SharedStore {
    fn from(store: St) -> Self {
        Self(Arc::new(store))
    }
}

impl fmt::Debug for SharedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedStore(..)")
    }
}
