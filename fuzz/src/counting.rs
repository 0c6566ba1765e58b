//! A store that counts its calls.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tower_user_sessions::{
    MemoryStore, SessionStore,
    store::{
        Create, Created, End, Ended, Forget, List, Look, Looked, NoteClient, Record, Resolve,
        Resolved, Rotate, Rotated, Save, Saved, StoreError, Tag, Ticketed, Touch,
    },
};

/// A `MemoryStore` that counts its calls.
#[derive(Clone, Default)]
pub struct Counting {
    store: MemoryStore,
    calls: Arc<AtomicUsize>,
}

impl Counting {
    /// How many calls there were.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    fn counted(&self) -> &MemoryStore {
        self.calls.fetch_add(1, Ordering::Relaxed);
        &self.store
    }
}

impl SessionStore for Counting {
    async fn resolve(&self, resolve: &Resolve) -> Result<Resolved, StoreError> {
        self.counted().resolve(resolve).await
    }

    async fn create(&self, create: &Create) -> Result<Created, StoreError> {
        self.counted().create(create).await
    }

    async fn ticket(&self, tag: Tag, ticket: &Ticketed) -> Result<Option<Vec<u8>>, StoreError> {
        self.counted().ticket(tag, ticket).await
    }

    async fn save(&self, save: &Save) -> Result<Saved, StoreError> {
        self.counted().save(save).await
    }

    async fn rotate(&self, rotate: &Rotate) -> Result<Rotated, StoreError> {
        self.counted().rotate(rotate).await
    }

    async fn list(&self, list: &List) -> Result<Vec<Record>, StoreError> {
        self.counted().list(list).await
    }

    async fn end(&self, end: &End) -> Result<Ended, StoreError> {
        self.counted().end(end).await
    }

    async fn forget(&self, forget: &Forget) -> Result<(), StoreError> {
        self.counted().forget(forget).await
    }

    async fn note_client(&self, note: &NoteClient) -> Result<bool, StoreError> {
        self.counted().note_client(note).await
    }

    async fn look(&self, look: &Look) -> Result<Looked, StoreError> {
        self.counted().look(look).await
    }

    async fn touch(&self, touch: &Touch) -> Result<(), StoreError> {
        self.counted().touch(touch).await
    }
}
