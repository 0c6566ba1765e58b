//! [`OutageStore`]: a store for tests that stops answering (feature `test`).

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::{
    Create, Created, End, EndEveryone, Ended, Feed, Forget, Horizon, List, Look, Looked,
    MemoryStore, NoteClient, Resolve, Resolved, Rotate, Rotated, Save, Saved, Scan, Scanned,
    SessionStore, StoreError, StoreErrorKind, Ticketed, Touch,
};
use crate::model::{Record, SessionId, Tag, TagKey, Timestamp, UserId};

/// A store in memory that stops answering when a test says so: what does my app do in an outage?
///
/// Give it to the [`SessionLayer`](crate::SessionLayer) of your app and sign in. Between [`begin`](Self::begin) and
/// [`end`](Self::end) each call fails with [`StoreErrorKind::Unavailable`]. Clones share sessions and outage.
///
/// ```
/// # #[cfg(feature = "axum")]
/// # tokio_test::block_on(async {
/// use axum::{Router, body::Body, http::{Request, header}, routing::{get, post}};
/// use tower::ServiceExt;
/// use tower_user_sessions::{Session, SessionLayer, User, test::OutageStore};
///
/// let store = OutageStore::new();
/// let app: Router = Router::new()
///     .route("/login", post(async |session: Session| session.log_in("alice")))
///     .route("/me", get(async |user: User| user.id().to_string()))
///     .layer(SessionLayer::new(store.clone()));
///
/// let login = Request::post("/login").body(Body::empty()).unwrap();
/// let response = app.clone().oneshot(login).await.unwrap();
/// let cookie = response.headers()[header::SET_COOKIE].to_str().unwrap();
/// let cookie = cookie.split(';').next().unwrap();
/// let me = || Request::get("/me").header(header::COOKIE, cookie).body(Body::empty()).unwrap();
///
/// store.begin();
/// let response = app.clone().oneshot(me()).await.unwrap();
/// assert_eq!(response.status(), 503);
/// assert!(!response.headers().contains_key(header::SET_COOKIE)); // the browser keeps its cookie
///
/// store.end();
/// assert_eq!(app.oneshot(me()).await.unwrap().status(), 200);
/// # });
/// ```
#[derive(Clone, Debug, Default)]
pub struct OutageStore {
    store: MemoryStore,
    away: Arc<AtomicBool>,
}

impl OutageStore {
    /// A store without sessions, which answers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on each call fails.
    pub fn begin(&self) {
        self.away.store(true, Ordering::SeqCst);
    }

    /// From now on the store answers again, with the sessions that it had.
    pub fn end(&self) {
        self.away.store(false, Ordering::SeqCst);
    }

    fn there(&self) -> Result<&MemoryStore, StoreError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(StoreError::new(StoreErrorKind::Unavailable));
        }
        Ok(&self.store)
    }
}

impl SessionStore for OutageStore {
    async fn resolve(&self, resolve: &Resolve) -> Result<Resolved, StoreError> {
        self.there()?.resolve(resolve).await
    }

    async fn create(&self, create: &Create) -> Result<Created, StoreError> {
        self.there()?.create(create).await
    }

    async fn ticket(&self, tag: Tag, ticket: &Ticketed) -> Result<Option<Vec<u8>>, StoreError> {
        self.there()?.ticket(tag, ticket).await
    }

    async fn save(&self, save: &Save) -> Result<Saved, StoreError> {
        self.there()?.save(save).await
    }

    async fn rotate(&self, rotate: &Rotate) -> Result<Rotated, StoreError> {
        self.there()?.rotate(rotate).await
    }

    async fn list(&self, list: &List) -> Result<Vec<Record>, StoreError> {
        self.there()?.list(list).await
    }

    async fn end(&self, end: &End) -> Result<Ended, StoreError> {
        self.there()?.end(end).await
    }

    async fn forget(&self, forget: &Forget) -> Result<(), StoreError> {
        self.there()?.forget(forget).await
    }

    async fn note_client(&self, note: &NoteClient) -> Result<bool, StoreError> {
        self.there()?.note_client(note).await
    }

    async fn look(&self, look: &Look) -> Result<Looked, StoreError> {
        self.there()?.look(look).await
    }

    async fn touch(&self, touch: &Touch) -> Result<(), StoreError> {
        self.there()?.touch(touch).await
    }

    fn horizon(&self) -> Option<&Horizon> {
        self.store.horizon()
    }

    async fn everyone(&self, knows: Option<Timestamp>) -> Result<Option<Timestamp>, StoreError> {
        self.there()?.everyone(knows).await
    }

    async fn end_everyone(&self, end: EndEveryone) -> Result<Timestamp, StoreError> {
        self.there()?.end_everyone(end).await
    }

    async fn scan(&self, scan: &Scan) -> Result<Scanned, StoreError> {
        self.there()?.scan(scan).await
    }

    async fn estimate(&self) -> Result<u64, StoreError> {
        self.there()?.estimate().await
    }

    fn feed(&self) -> Option<Feed> {
        self.store.feed()
    }

    fn tag_key(&self) -> Option<&TagKey> {
        self.store.tag_key()
    }

    fn tag(&self, user: &UserId) -> Tag {
        self.store.tag(user)
    }

    fn identity(&self) -> Option<u64> {
        self.store.identity()
    }

    fn end_undelivered(&self, tag: Tag, id: SessionId) {
        self.store.end_undelivered(tag, id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance;

    #[tokio::test]
    async fn keeps_the_whole_contract() {
        conformance::all(async |clock| OutageStore {
            store: MemoryStore::builder().clock(clock).build(),
            away: Arc::default(),
        })
        .await;
    }

    #[test]
    fn it_is_the_same_store_for_the_layer_and_for_streams() {
        let store = OutageStore::new();

        assert!(store.identity().is_some());
        assert_ne!(store.identity(), OutageStore::new().identity());
        assert!(store.feed().is_some() && store.horizon().is_some());
    }
}
