//! A stream or a task that keeps a session after the response: what it can still ask, and what it costs.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use tower::{Layer, service_fn};
use tower_user_sessions::{
    MemoryStore, Session, SessionErrorKind, SessionLayer, SessionStore,
    store::{
        Create, Created, Data, End, Ended, Feed, Forget, List, Look, Looked, Near, NoteClient,
        Record, Resolve, Resolved, Rotate, Rotated, Save, Saved, StoreError, Tag, Ticketed, Touch,
    },
};

use super::allocations::answer;
use crate::common::{
    faulty::{Fault, FaultyStore, Method},
    http::{Client, ids, store, user},
};

#[tokio::test]
async fn a_kept_session_knows_its_user_and_its_times_and_reads_no_data() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store.clone());
    let mut client = Client::signed_in(&layer, "alice").await;
    client.insert("cart", "apple").await;
    let id = ids(&store, "alice").await[0];

    for inserts in [false, true] {
        let answer = client.send(move |session| async move {
            if inserts {
                session.insert("note", "x").unwrap();
            }
            session
        });
        let kept: Session = answer.await.value();

        let read = kept.get::<String>("cart").unwrap_err().kind();
        assert_eq!((read, kept.keys()), (SessionErrorKind::Closed, vec![]));
        assert_eq!((kept.user_id(), kept.id()), (Some(user("alice")), Some(id)));
        assert!(kept.expires_at() > kept.idle_expires_at());
        assert!(kept.authenticated_at().is_some() && kept.is_available());
        let sessions = kept.user_sessions().unwrap();
        assert_eq!(sessions.list().await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn while_the_layer_stores_the_changes_the_data_can_be_read() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store);
    let mut client = Client::signed_in(&layer, "alice").await;
    client.insert("cart", "apple").await;

    let read = client.send(|session: Session| async move {
        session.insert("note", "x").unwrap();
        session.commit().await.unwrap();
        session.get::<String>("cart").unwrap()
    });

    assert_eq!(read.await.value().as_deref(), Some("apple"));
}

// T57
#[tokio::test]
async fn a_kept_session_whose_changes_were_not_stored_still_commits_nothing() {
    let (store, _clock) = store();
    let faulty = FaultyStore::new(&store);
    let mut client = Client::signed_in(&SessionLayer::new(faulty.clone()), "alice").await;
    faulty.next(Method::Save, Fault::Fail);

    let answer = client.send(|session: Session| async move {
        session.insert("cart", "apple").unwrap();
        session
    });
    let answer = answer.await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    let kept = answer.value();

    let late = kept.commit().await.unwrap_err();
    assert!(
        matches!(late, tower_user_sessions::CommitError::Closed),
        "{late:?}"
    );
    assert_eq!(client.get("cart").await, None);
}

/// A store whose data are bytes of their own, as from a server.
struct Copying {
    store: MemoryStore,
    /// How many times the next `resolve` waits.
    waits: Arc<AtomicUsize>,
}

impl SessionStore for Copying {
    async fn resolve(&self, resolve: &Resolve) -> Result<Resolved, StoreError> {
        while self.waits.load(SeqCst) > 0 {
            self.waits.fetch_sub(1, SeqCst);
            tokio::task::yield_now().await;
        }
        let mut resolved = self.store.resolve(resolve).await?;
        if let Resolved::Live(found) = &mut resolved {
            let bytes = Bytes::copy_from_slice(found.data.as_bytes());
            found.data = Data::from_bytes(bytes).unwrap();
        }
        Ok(resolved)
    }

    async fn create(&self, create: &Create) -> Result<Created, StoreError> {
        self.store.create(create).await
    }

    async fn save(&self, save: &Save) -> Result<Saved, StoreError> {
        self.store.save(save).await
    }

    async fn rotate(&self, rotate: &Rotate) -> Result<Rotated, StoreError> {
        self.store.rotate(rotate).await
    }

    async fn list(&self, list: &List) -> Result<Vec<Record>, StoreError> {
        self.store.list(list).await
    }

    async fn end(&self, end: &End) -> Result<Ended, StoreError> {
        self.store.end(end).await
    }

    async fn ticket(&self, tag: Tag, ticket: &Ticketed) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.ticket(tag, ticket).await
    }

    async fn note_client(&self, note: &NoteClient) -> Result<bool, StoreError> {
        self.store.note_client(note).await
    }

    async fn look(&self, look: &Look) -> Result<Looked, StoreError> {
        self.store.look(look).await
    }

    async fn touch(&self, touch: &Touch) -> Result<(), StoreError> {
        self.store.touch(touch).await
    }

    async fn forget(&self, forget: &Forget) -> Result<(), StoreError> {
        self.store.forget(forget).await
    }

    fn feed(&self) -> Option<Feed> {
        self.store.feed()
    }
}

/// A request whose headers are parts of 16 KiB that the connection has read.
fn request(path: &str, cookie: &HeaderValue) -> Request<()> {
    let read = Bytes::from(vec![b'a'; 16 * 1024]);
    let part = |length| HeaderValue::from_maybe_shared(read.slice(..length)).unwrap();
    let mut request = Request::builder().uri(path).body(()).unwrap();
    for (name, value) in [
        ("cookie", cookie.clone()),
        ("user-agent", part(100)),
        ("sec-ch-ua", part(50)),
        ("sec-ch-ua-mobile", part(2)),
        ("sec-ch-ua-platform", part(10)),
    ] {
        request.headers_mut().insert(name, value);
    }
    request
}

type Verify = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A call of `verify` that waits for the store.
fn verifying(session: Session, waits: &AtomicUsize) -> Verify {
    waits.store(1, SeqCst);
    let mut verify: Verify = Box::pin(async move { session.verify().await.unwrap() });
    assert!(poll(&mut verify).is_pending());
    verify
}

fn poll(verify: &mut Verify) -> Poll<()> {
    verify
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
}

/// How many bytes 16 kept sessions hold in all. Their requests do this beside.
fn bytes_kept(path: &'static str) -> i64 {
    let kept = Arc::new(Mutex::new(Vec::with_capacity(64)));
    let verifies = Arc::new(Mutex::new(Vec::<Verify>::with_capacity(16)));
    let (keeping, waiting) = (Arc::clone(&kept), Arc::clone(&verifies));
    let waits = Arc::<AtomicUsize>::default();
    let store = Copying {
        store: MemoryStore::new(),
        waits: Arc::clone(&waits),
    };
    let layer = if path == "/verify" {
        SessionLayer::new(Near::new(store)).near(|_request| true)
    } else {
        SessionLayer::new(store)
    };
    let mut service = layer.layer(service_fn(move |request: Request<()>| {
        let session: Session = request.extensions().get::<Session>().unwrap().clone();
        let (keeping, waiting) = (Arc::clone(&keeping), Arc::clone(&waiting));
        let waits = Arc::clone(&waits);
        async move {
            let large = "x".repeat(30_000);
            match request.uri().path() {
                "/in" => {
                    session.log_in(7).unwrap();
                    session.insert("large", &large).unwrap();
                    return Ok(Response::new(()));
                }
                "/look" => return Ok(Response::new(())),
                "/write" => session.insert("other", &large).unwrap(),
                "/commit" => {
                    session.insert("other", &large).unwrap();
                    session.commit().await.unwrap();
                }
                "/verify" => {
                    let verify = verifying(session.clone(), &waits);
                    waiting.lock().unwrap().push(verify);
                }
                _ => assert!(session.get::<String>("large").unwrap().is_some()),
            }
            keeping.lock().unwrap().push(session);
            Ok::<_, Infallible>(Response::new(()))
        }
    }));
    let signed_in = answer(
        &mut service,
        request("/in", &HeaderValue::from_static("x=y")),
    );
    let line = signed_in.headers()["set-cookie"].to_str().unwrap();
    let cookie = HeaderValue::from_str(line.split(';').next().unwrap()).unwrap();
    // What the store keeps does not count, nor does a near cache.
    answer(&mut service, request("/write", &cookie));
    answer(&mut service, request("/look", &cookie));

    let counted = allocation_counter::measure(|| {
        for _ in 0..16 {
            answer(&mut service, request(path, &cookie));
            // The response is on its way now.
            for mut verify in verifies.lock().unwrap().drain(..) {
                assert!(poll(&mut verify).is_ready());
            }
        }
    });
    assert_eq!(kept.lock().unwrap().len(), 17);
    counted.bytes_current
}

#[test]
fn a_kept_session_holds_neither_data_nor_the_buffer_of_the_connection() {
    for path in ["/read", "/write", "/commit", "/verify"] {
        let each = bytes_kept(path) / 16;

        // Mostly the state of the request, which has a fixed size.
        assert!(each < 2_560, "{path}: {each} bytes");
    }
}
