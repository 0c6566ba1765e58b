//! A store that counts what it is asked.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tower_user_sessions::{
    MemoryStore, SessionStore,
    store::{
        Create, Created, End, Ended, List, Record, Resolve, Resolved, Rotate, Rotated, Save, Saved,
        StoreError,
    },
};

/// `MemoryStore` that counts what it is asked.
#[derive(Clone, Default)]
pub struct Counting {
    store: MemoryStore,
    calls: Arc<AtomicUsize>,
}

impl Counting {
    /// How often it was asked anything.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    fn asked(&self) -> &MemoryStore {
        self.calls.fetch_add(1, Ordering::Relaxed);
        &self.store
    }
}

impl SessionStore for Counting {
    async fn resolve(&self, resolve: &Resolve) -> Result<Resolved, StoreError> {
        self.asked().resolve(resolve).await
    }

    async fn create(&self, create: &Create) -> Result<Created, StoreError> {
        self.asked().create(create).await
    }

    async fn save(&self, save: &Save) -> Result<Saved, StoreError> {
        self.asked().save(save).await
    }

    async fn rotate(&self, rotate: &Rotate) -> Result<Rotated, StoreError> {
        self.asked().rotate(rotate).await
    }

    async fn list(&self, list: &List) -> Result<Vec<Record>, StoreError> {
        self.asked().list(list).await
    }

    async fn end(&self, end: &End) -> Result<Ended, StoreError> {
        self.asked().end(end).await
    }
}
