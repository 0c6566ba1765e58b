//! More operations on one session set than may wait for their turn.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    task::Poll,
    time::Duration,
};

use tokio::sync::Semaphore;
use tower_user_sessions::{
    SessionId, SessionStore, Timestamp,
    store::{
        ManualClock, Save, SetStorage, SetStore, StoreError, StoreErrorKind, Stored, Tag, Token,
        Write, Written,
    },
};

use super::{START, end_all, sign_in, signed_in, tag};
use crate::common::{people::set, shelf::Shelf};

/// How many operations may wait for one session set.
const MOST: usize = 1_000;

/// A storage in which another writer wins once. Then its reads are not answered until its deadline.
#[derive(Clone)]
struct Stuck(Arc<Inner>);

struct Inner {
    shelf: Shelf,
    is_stuck: AtomicBool,
    /// Whether the database answers when the wait is over.
    answers: AtomicBool,
    /// Whether it answers reads alone.
    is_read_only: AtomicBool,
    writes: AtomicUsize,
    waiting: AtomicUsize,
    is_over: Semaphore,
}

impl Stuck {
    fn on(shelf: &Shelf) -> Self {
        Self(Arc::new(Inner {
            shelf: shelf.clone(),
            is_stuck: AtomicBool::new(false),
            answers: AtomicBool::new(false),
            is_read_only: AtomicBool::new(false),
            writes: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            is_over: Semaphore::new(0),
        }))
    }

    fn goes_on(&self, answers: bool) {
        self.0.answers.store(answers, Relaxed);
        self.0.is_over.close();
    }
}

impl SetStorage for Stuck {
    async fn read(&self, tag: Tag, part: Option<SessionId>) -> Result<Stored, StoreError> {
        if self.0.is_stuck.load(Relaxed) {
            self.0.waiting.fetch_add(1, Relaxed);
            let _closed = self.0.is_over.acquire().await;
            if !self.0.answers.load(Relaxed) {
                return Err(StoreError::new(StoreErrorKind::Timeout));
            }
        }
        self.0.shelf.read(tag, part).await
    }

    async fn write(&self, tag: Tag, write: &Write) -> Result<Written, StoreError> {
        if !self.0.is_stuck.swap(true, Relaxed) {
            return Ok(Written::Lost);
        }
        self.0.writes.fetch_add(1, Relaxed);
        if self.0.is_read_only.load(Relaxed) {
            return Err(StoreError::new(StoreErrorKind::Timeout));
        }
        self.0.shelf.write(tag, write).await
    }

    fn now(&self) -> Timestamp {
        self.0.shelf.now()
    }
}

type Call<'a> = Pin<Box<dyn Future<Output = Result<(), StoreErrorKind>> + 'a>>;

/// A user on such a storage, and calls of her that wait.
struct Scene {
    clock: ManualClock,
    stuck: Stuck,
    store: SetStore<Stuck>,
    phone: Token,
}

impl Scene {
    async fn new() -> Self {
        let clock = ManualClock::at(START);
        let shelf = Shelf::on(&clock);
        let phone = signed_in(&shelf.store(), &clock).await;
        let stuck = Stuck::on(&shelf);
        Self {
            clock,
            store: SetStore::new(stuck.clone()),
            stuck,
            phone,
        }
    }

    /// Operations wait for 500 ms.
    async fn impatient() -> Self {
        let mut scene = Self::new().await;
        scene.store = SetStore::builder(scene.stuck.clone())
            .patience(Duration::from_millis(500))
            .build();
        scene
    }

    fn saves(&self) -> Call<'_> {
        Box::pin(async {
            let save = Save::new(tag(), self.phone.session_id(), set("theme", "dark"));
            let saved = self.store.save(&save).await;
            saved.map(drop).map_err(|error| error.kind())
        })
    }

    fn ends(&self) -> Call<'_> {
        Box::pin(async {
            let ended = self.store.end(&end_all()).await;
            ended.map(drop).map_err(|error| error.kind())
        })
    }

    fn signs_in(&self) -> Call<'_> {
        Box::pin(async {
            let (_, create) = sign_in(&self.clock);
            let created = self.store.create(&create).await;
            created.map(drop).map_err(|error| error.kind())
        })
    }
}

/// Polls all of them once, and returns how many are `Busy`. The others wait.
async fn busy(calls: &mut Vec<Call<'_>>) -> usize {
    let all = calls.len();
    poll_fn(|context| {
        calls.retain_mut(|call| match call.as_mut().poll(context) {
            Poll::Pending => true,
            Poll::Ready(answer) => {
                assert_eq!(answer, Err(StoreErrorKind::Busy));
                false
            }
        });
        Poll::Ready(())
    })
    .await;
    all - calls.len()
}

async fn answers(calls: Vec<Call<'_>>) -> Vec<Result<(), StoreErrorKind>> {
    let mut answers = Vec::new();
    for call in calls {
        answers.push(call.await);
    }
    answers
}

#[tokio::test]
async fn of_ten_thousand_calls_for_one_user_a_thousand_wait_and_all_are_answered() {
    let scene = Scene::new().await;
    let mut waiting = vec![scene.saves()];
    assert_eq!(busy(&mut waiting).await, 0);

    let mut refused = 0;
    for _ in 0..10 {
        waiting.extend((0..1_000).map(|_| scene.saves()));
        refused += busy(&mut waiting).await;
    }

    assert_eq!(waiting.len(), 1 + MOST, "the one with the turn, and these");
    assert_eq!(refused, 10_000 - MOST);
    // Only the one with the turn costs the storage a call.
    assert_eq!(scene.stuck.0.waiting.load(Relaxed), 1);

    scene.stuck.goes_on(false);
    let answers = answers(waiting).await;

    // Those whose turn comes after the patience are not tried.
    let expected = [StoreErrorKind::Timeout, StoreErrorKind::Busy].map(Err);
    assert!(answers.iter().all(|answer| expected.contains(answer)));
}

#[tokio::test]
async fn calls_that_were_dropped_while_they_waited_leave_room_for_others() {
    let scene = Scene::new().await;
    let mut first = vec![scene.saves()];
    assert_eq!(busy(&mut first).await, 0);

    for _ in 0..10 {
        let mut waiting: Vec<_> = (0..1_000).map(|_| scene.saves()).collect();
        assert_eq!(busy(&mut waiting).await, 0);
    }

    scene.stuck.goes_on(true);
    assert_eq!(answers(first).await, [Ok(())]);
}

// T19 T25
#[tokio::test]
async fn an_end_finds_a_place_where_a_thousand_others_wait_and_goes_first() {
    let scene = Scene::new().await;
    let mut waiting = vec![scene.saves()];
    waiting.extend((0..MOST).map(|_| scene.saves()));
    assert_eq!(busy(&mut waiting).await, 0);

    let mut urgent = vec![scene.signs_in(), scene.ends(), scene.ends()];
    assert_eq!(busy(&mut urgent).await, 0);
    let refused = busy(&mut waiting).await;
    let mut more = vec![scene.saves()];
    assert_eq!(busy(&mut more).await, 1);
    scene.stuck.goes_on(true);
    // The sign-in came first of the three, and goes last.
    urgent.rotate_left(1);
    urgent.insert(0, waiting.remove(0));
    // The saves are not polled. If one of them had its turn before, these would wait for ever.
    let answers = answers(urgent).await;

    assert_eq!(refused, 3, "the last saves gave their places away");
    assert_eq!(answers, [Ok(()); 4]);
}

#[tokio::test]
async fn ends_that_wait_longer_than_the_patience_are_not_tried_one_by_one_while_the_storage_fails()
{
    let scene = Scene::impatient().await;
    let mut waiting = vec![scene.saves()];
    waiting.extend((0..100).map(|_| scene.ends()));
    assert_eq!(busy(&mut waiting).await, 0);
    tokio::time::sleep(Duration::from_millis(600)).await;

    scene.stuck.goes_on(false);
    let answers = answers(waiting).await;

    let (first, others) = answers.split_first().unwrap();
    assert_eq!(*first, Err(StoreErrorKind::Timeout));
    assert_eq!(others, vec![Err(StoreErrorKind::Busy); 100]);
    assert_eq!(
        scene.stuck.0.waiting.load(Relaxed),
        1,
        "calls of the storage"
    );
}

// T19
#[tokio::test]
async fn ends_that_wait_longer_than_the_patience_are_tried_while_the_storage_answers() {
    let scene = Scene::impatient().await;
    let mut waiting = vec![scene.saves(), scene.ends(), scene.ends(), scene.saves()];
    assert_eq!(busy(&mut waiting).await, 0);
    tokio::time::sleep(Duration::from_millis(600)).await;

    scene.stuck.goes_on(true);
    let answers = answers(waiting).await;

    assert_eq!(answers[..3], [Ok(()); 3]);
    assert_eq!(answers[3], Err(StoreErrorKind::Busy));
}

#[tokio::test]
async fn ends_that_wait_longer_than_the_patience_are_not_tried_while_writes_fail() {
    let scene = Scene::impatient().await;
    let mut waiting = vec![scene.saves()];
    waiting.extend((0..100).map(|_| scene.ends()));
    assert_eq!(busy(&mut waiting).await, 0);
    tokio::time::sleep(Duration::from_millis(600)).await;

    scene.stuck.0.is_read_only.store(true, Relaxed);
    scene.stuck.goes_on(true);
    let answers = answers(waiting).await;

    let (first, others) = answers.split_first().unwrap();
    assert_eq!(*first, Err(StoreErrorKind::Timeout));
    assert_eq!(others, vec![Err(StoreErrorKind::Busy); 100]);
    assert_eq!(scene.stuck.0.writes.load(Relaxed), 1);
}
