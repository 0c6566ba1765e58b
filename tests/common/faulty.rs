//! A store that fails, hangs, or does its work and then loses the reply.

use std::{
    collections::HashMap,
    future::{Future, poll_fn},
    pin::Pin,
    sync::{Arc, Mutex},
    task::Poll,
};

use tokio::sync::Semaphore;
use tower_user_sessions::{
    MemoryStore, SessionId, SessionStore, UserId,
    store::{
        Changes, Create, Created, End, Ended, Feed, Forget, List, Look, Looked, NoteClient, Record,
        Resolve, Resolved, Rotate, Rotated, Save, Saved, StoreError, StoreErrorKind, Tag, Ticketed,
        Touch,
    },
};

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Method {
    Create,
    End,
    Forget,
    NoteClient,
    List,
    Look,
    Resolve,
    Rotate,
    Save,
    Ticket,
    Touch,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// Does nothing and returns an error.
    Fail,
    /// Waits for [`FaultyStore::release`], then does the work.
    Hang,
    /// Does the work, then waits for [`FaultyStore::release`].
    HangAfter,
    /// For `create`: does the work and answers that the user's sessions were ended at this moment.
    LateCutoff,
    /// Does the work and loses the reply.
    Lose,
    /// For `save`: another request changes the data first.
    Overtake,
    /// Does the work and reports an unknown outcome.
    Unsure,
}

/// `MemoryStore` with faults. Like a store over the network, it never replies at once.
#[derive(Clone)]
pub struct FaultyStore(Arc<Inner>);

struct Inner {
    store: MemoryStore,
    gate: Semaphore,
    /// All users share this session set.
    set: Option<Tag>,
    /// Whether it has a feed.
    reports: bool,
    plan: Mutex<Plan>,
}

impl Inner {
    fn new(store: &MemoryStore, set: Option<Tag>) -> Self {
        Self {
            store: store.clone(),
            gate: Semaphore::new(0),
            set,
            reports: true,
            plan: Mutex::default(),
        }
    }
}

#[derive(Default)]
struct Plan {
    calls: HashMap<Method, usize>,
    at: HashMap<(Method, usize), Fault>,
    always: HashMap<Method, Fault>,
    given_up: Vec<SessionId>,
}

impl FaultyStore {
    pub fn new(store: &MemoryStore) -> Self {
        Self::with(store, None)
    }

    /// A store in which the tags of all users are the same.
    pub fn colliding(store: &MemoryStore) -> Self {
        Self::with(store, Some(Tag::from_bytes([7; 12])))
    }

    /// A store that reports no changes.
    pub fn without_feed(store: &MemoryStore) -> Self {
        Self(Arc::new(Inner {
            reports: false,
            ..Inner::new(store, None)
        }))
    }

    fn with(store: &MemoryStore, set: Option<Tag>) -> Self {
        Self(Arc::new(Inner::new(store, set)))
    }

    /// Sets a fault for the next call of this method.
    pub fn next(&self, method: Method, fault: Fault) {
        self.nth(method, 1, fault);
    }

    /// Sets a fault for the n-th call of this method from now on.
    pub fn nth(&self, method: Method, n: usize, fault: Fault) {
        let mut plan = self.0.plan.lock().unwrap();
        let at = plan.calls.get(&method).copied().unwrap_or(0) + n;
        plan.at.insert((method, at), fault);
    }

    /// Sets the same fault for every call of these methods.
    pub fn always(&self, methods: impl IntoIterator<Item = Method>, fault: Fault) {
        let mut plan = self.0.plan.lock().unwrap();
        plan.always
            .extend(methods.into_iter().map(|method| (method, fault)));
    }

    /// Removes all faults.
    pub fn mend(&self) {
        let mut plan = self.0.plan.lock().unwrap();
        plan.at.clear();
        plan.always.clear();
    }

    /// Lets one call that hangs continue.
    pub fn release(&self) {
        self.0.gate.add_permits(1);
    }

    pub fn calls(&self, method: Method) -> usize {
        let plan = self.0.plan.lock().unwrap();
        plan.calls.get(&method).copied().unwrap_or(0)
    }

    /// The number of calls of all methods.
    pub fn all_calls(&self) -> usize {
        self.0.plan.lock().unwrap().calls.values().sum()
    }

    /// The sessions that were given up as undelivered.
    pub fn given_up(&self) -> Vec<SessionId> {
        self.0.plan.lock().unwrap().given_up.clone()
    }

    /// Counts a call and returns the fault set for it.
    fn enter(&self, method: Method) -> Option<Fault> {
        let mut plan = self.0.plan.lock().unwrap();
        let calls = plan.calls.entry(method).or_default();
        *calls += 1;
        let at = (method, *calls);
        let fault = plan.at.get(&at).or_else(|| plan.always.get(&method));
        fault.copied()
    }

    async fn pass(&self) {
        self.0.gate.acquire().await.unwrap().forget();
    }

    /// Runs `work` with this fault.
    async fn run<T>(
        &self,
        fault: Option<Fault>,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        tokio::task::yield_now().await;
        match fault {
            Some(Fault::Fail) => Err(StoreError::new(StoreErrorKind::Unavailable)),
            Some(Fault::Lose) => {
                work.await?;
                Err(StoreError::new(StoreErrorKind::Timeout))
            }
            Some(Fault::Unsure) => {
                work.await?;
                Err(StoreError::new(StoreErrorKind::Uncertain))
            }
            Some(Fault::Hang) => {
                self.pass().await;
                work.await
            }
            Some(Fault::HangAfter) => {
                let done = work.await;
                self.pass().await;
                done
            }
            Some(Fault::LateCutoff | Fault::Overtake) | None => work.await,
        }
    }
}

impl SessionStore for FaultyStore {
    async fn resolve(&self, resolve: &Resolve) -> Result<Resolved, StoreError> {
        let fault = self.enter(Method::Resolve);
        self.run(fault, self.0.store.resolve(resolve)).await
    }

    async fn create(&self, create: &Create) -> Result<Created, StoreError> {
        let fault = self.enter(Method::Create);
        let mut created = self.run(fault, self.0.store.create(create)).await?;
        if let Created::Created(new) = &mut created
            && fault == Some(Fault::LateCutoff)
        {
            new.cutoff = Some(new.now);
        }
        Ok(created)
    }

    async fn ticket(&self, tag: Tag, ticket: &Ticketed) -> Result<Option<Vec<u8>>, StoreError> {
        let fault = self.enter(Method::Ticket);
        self.run(fault, self.0.store.ticket(tag, ticket)).await
    }

    async fn save(&self, save: &Save) -> Result<Saved, StoreError> {
        let fault = self.enter(Method::Save);
        if fault == Some(Fault::Overtake) {
            let mut changes = Changes::default();
            changes.set("overtaken", "x");
            let other = Save::new(save.tag, save.id, changes);
            self.0.store.save(&other).await?;
        }
        self.run(fault, self.0.store.save(save)).await
    }

    async fn rotate(&self, rotate: &Rotate) -> Result<Rotated, StoreError> {
        let fault = self.enter(Method::Rotate);
        self.run(fault, self.0.store.rotate(rotate)).await
    }

    async fn list(&self, list: &List) -> Result<Vec<Record>, StoreError> {
        let fault = self.enter(Method::List);
        self.run(fault, self.0.store.list(list)).await
    }

    async fn end(&self, end: &End) -> Result<Ended, StoreError> {
        let fault = self.enter(Method::End);
        self.run(fault, self.0.store.end(end)).await
    }

    async fn forget(&self, forget: &Forget) -> Result<(), StoreError> {
        let fault = self.enter(Method::Forget);
        self.run(fault, self.0.store.forget(forget)).await
    }

    async fn note_client(&self, note: &NoteClient) -> Result<bool, StoreError> {
        let fault = self.enter(Method::NoteClient);
        self.run(fault, self.0.store.note_client(note)).await
    }

    async fn look(&self, look: &Look) -> Result<Looked, StoreError> {
        let fault = self.enter(Method::Look);
        self.run(fault, self.0.store.look(look)).await
    }

    async fn touch(&self, touch: &Touch) -> Result<(), StoreError> {
        let fault = self.enter(Method::Touch);
        self.run(fault, self.0.store.touch(touch)).await
    }

    fn feed(&self) -> Option<Feed> {
        self.0.store.feed().filter(|_| self.0.reports)
    }

    fn tag(&self, user: &UserId) -> Tag {
        self.0.set.unwrap_or_else(|| self.0.store.tag(user))
    }

    fn end_undelivered(&self, tag: Tag, id: SessionId) {
        self.0.plan.lock().unwrap().given_up.push(id);
        self.0.store.end_undelivered(tag, id);
    }
}

/// Polls until the store was called this often. The future must not be ready before.
pub async fn until_asked(
    faulty: &FaultyStore,
    method: Method,
    calls: usize,
    mut future: Pin<&mut impl Future>,
) {
    for _ in 0..100 {
        let waits = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending()));
        assert!(waits.await, "ready before the store was asked");
        if faulty.calls(method) >= calls {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("the store was never asked");
}

/// Polls once.
pub async fn poll_once<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}
