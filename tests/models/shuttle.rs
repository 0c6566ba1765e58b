//! Requests with interleaved steps: sign-ins at a limit, ends, saves, rotations and double submits.
//! `shuttle` chooses the order with its random and its probabilistic scheduler.
//!
//! A step of `MemoryStore` holds one lock, so it is atomic here too. The steps of requests are
//! interleaved: the store yields to the scheduler before and after each one.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::sync::Arc;

use shuttle::{
    Config, Runner,
    future::{block_on, spawn, yield_now},
    scheduler::{PctScheduler, RandomScheduler},
};
use tower_user_sessions::{
    Limit, MemoryStore, SessionId, SessionLayer, SessionStore, UserId, UserSessions,
    store::{
        Create, Created, End, Ended, Forget, List, Look, Looked, ManualClock, NoteClient, Record,
        Resolve, Resolved, Rotate, Rotated, Save, Saved, StoreError, Tag, Ticketed, Touch,
    },
};

use crate::common::http::{Client, HOUR, ids, store, user};

/// How many schedules each test tries, under each of the two schedulers.
const SCHEDULES: usize = 400;

/// `MemoryStore` that lets other tasks run first, and never replies at once.
struct Yielding(MemoryStore);

async fn between<T>(step: impl Future<Output = T>) -> T {
    yield_now().await;
    let done = step.await;
    yield_now().await;
    done
}

impl SessionStore for Yielding {
    async fn resolve(&self, resolve: &Resolve) -> Result<Resolved, StoreError> {
        between(self.0.resolve(resolve)).await
    }

    async fn create(&self, create: &Create) -> Result<Created, StoreError> {
        between(self.0.create(create)).await
    }

    async fn ticket(&self, tag: Tag, ticket: &Ticketed) -> Result<Option<Vec<u8>>, StoreError> {
        between(self.0.ticket(tag, ticket)).await
    }

    async fn save(&self, save: &Save) -> Result<Saved, StoreError> {
        between(self.0.save(save)).await
    }

    async fn rotate(&self, rotate: &Rotate) -> Result<Rotated, StoreError> {
        between(self.0.rotate(rotate)).await
    }

    async fn list(&self, list: &List) -> Result<Vec<Record>, StoreError> {
        between(self.0.list(list)).await
    }

    async fn end(&self, end: &End) -> Result<Ended, StoreError> {
        between(self.0.end(end)).await
    }

    async fn forget(&self, forget: &Forget) -> Result<(), StoreError> {
        between(self.0.forget(forget)).await
    }

    async fn note_client(&self, note: &NoteClient) -> Result<bool, StoreError> {
        between(self.0.note_client(note)).await
    }

    async fn look(&self, look: &Look) -> Result<Looked, StoreError> {
        between(self.0.look(look)).await
    }

    async fn touch(&self, touch: &Touch) -> Result<(), StoreError> {
        between(self.0.touch(touch)).await
    }

    fn tag(&self, user: &UserId) -> Tag {
        self.0.tag(user)
    }

    fn end_undelivered(&self, tag: Tag, id: SessionId) {
        self.0.end_undelivered(tag, id);
    }
}

/// Runs this under many schedules.
fn scheduled<Fut: Future<Output = ()> + Send + 'static>(scenario: fn() -> Fut) {
    let config = || {
        let mut config = Config::new();
        // The futures of requests are deep, most of all without optimisation.
        config.stack_size = 1024 * 1024;
        config
    };
    let random = Runner::new(RandomScheduler::new(SCHEDULES), config());
    random.run(move || block_on(scenario()));
    let probabilistic = Runner::new(PctScheduler::new(3, SCHEDULES), config());
    probabilistic.run(move || block_on(scenario()));
}

fn world(limit: Limit) -> (SessionLayer, MemoryStore, ManualClock) {
    let (store, clock) = store();
    let layer = SessionLayer::new(Yielding(store.clone())).limit(limit);
    (layer, store, clock)
}

async fn all<T: Send + 'static>(
    tasks: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let tasks: Vec<_> = tasks.into_iter().map(spawn).collect();
    let mut done = Vec::new();
    for task in tasks {
        done.push(task.await.unwrap());
    }
    done
}

// T25 T26
#[test]
fn sign_ins_at_the_limit_never_exceed_it() {
    scheduled(|| async {
        let (layer, store, _clock) = world(Limit::at_most(2));
        let sign_ins = (0..4).map(|_| {
            let (mut client, store) = (Client::new(&layer), store.clone());
            async move {
                client.log_in("alice").await;
                assert!(ids(&store, "alice").await.len() <= 2);
            }
        });

        all(sign_ins).await;

        assert_eq!(ids(&store, "alice").await.len(), 2);
    });
}

// T21
#[test]
fn a_sign_in_proven_before_end_all_never_survives_it() {
    scheduled(|| async {
        let (layer, store, clock) = world(Limit::default());
        let ended = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let sign_ins = (0..3).map(|_| {
            let client = Client::new(&layer);
            let ended = Arc::clone(&ended);
            async move {
                let answer = client.request(move |session| {
                    let before = !ended.load(std::sync::atomic::Ordering::SeqCst);
                    async move {
                        yield_now().await;
                        session.log_in(user("alice")).unwrap();
                        (before, session.id())
                    }
                });
                answer.await
            }
        });
        let sessions = UserSessions::new(store.clone(), user("alice"));
        let flag = Arc::clone(&ended);
        let ending = spawn(async move {
            yield_now().await;
            sessions.end_all().await.unwrap();
            flag.store(true, std::sync::atomic::Ordering::SeqCst);
        });

        let answers = all(sign_ins).await;
        ending.await.unwrap();

        // The clock stands still, so a request from before the cutoff was authenticated at the same
        // moment or earlier.
        let live = ids(&store, "alice").await;
        for answer in answers {
            let signed_in = answer.status == 200;
            let (before, id) = answer.value();
            if before && signed_in {
                let made_before = !live.contains(&id.unwrap());
                assert!(made_before, "a sign-in from before the cutoff is live");
            }
        }
        clock.advance(HOUR);
        Client::new(&layer).log_in("alice").await;
    });
}

// T20 T21
#[test]
fn no_request_in_flight_brings_an_ended_session_back() {
    scheduled(|| async {
        let (layer, store, _clock) = world(Limit::default());
        let client = Client::signed_in(&layer, "alice").await;
        let saves = client.request(|session| async move { session.insert("a", "1").unwrap() });
        let rotates = client.request(|session| async move { session.rotate().unwrap() });
        let proves = client.request(|session| async move {
            let _ = session.reauthenticated();
        });
        let sessions = UserSessions::new(store.clone(), user("alice"));
        let ending = spawn(async move { sessions.end_all().await.unwrap() });

        all([
            Box::pin(async move { drop(saves.await) })
                as std::pin::Pin<Box<dyn Future<Output = ()> + Send>>,
            Box::pin(async move { drop(rotates.await) }),
            Box::pin(async move { drop(proves.await) }),
        ])
        .await;
        ending.await.unwrap();

        assert!(ids(&store, "alice").await.is_empty());
    });
}

// T46 T48
#[test]
fn parallel_rotations_make_one_new_token() {
    scheduled(|| async {
        let (layer, _store, _clock) = world(Limit::default());
        let client = Client::signed_in(&layer, "alice").await;
        let rotations = (0..3).map(|_| {
            let client = client.clone();
            async move {
                let answer = client.request(|session| async move {
                    session.rotate().unwrap();
                    session.user_id()
                });
                let answer = answer.await;
                let mut next = client.clone();
                next.keep(&answer);
                (answer.value(), next.token())
            }
        });

        let done = all(rotations).await;

        let mut tokens: Vec<&String> = done.iter().map(|(_, token)| token).collect();
        tokens.sort();
        tokens.dedup();
        assert_eq!(tokens.len(), 1);
        assert_ne!(*tokens[0], client.token());
        assert!(done.iter().all(|(found, _)| *found == Some(user("alice"))));
    });
}

// T54
#[test]
fn a_double_submit_makes_one_session() {
    scheduled(|| async {
        let (layer, store, clock) = world(Limit::at_most(2));
        let mut phone = Client::signed_in(&layer, "alice").await;
        clock.advance(HOUR);
        let mut guest = Client::new(&layer);
        guest.insert("cart", "apple").await;
        let submits = (0..2).map(|_| {
            let mut client = guest.clone();
            async move { client.log_in("alice").await }
        });

        all(submits).await;

        assert_eq!(ids(&store, "alice").await.len(), 2);
        assert_eq!(phone.user().await.as_deref(), Some("alice"));
    });
}
