//! Sessions fill the disk, and it has space for others when they end. Nobody else frees any.

use std::{mem, thread, time::Duration};

use tokio::task::JoinSet;

use super::{super::FileStore, Small, tag};
use crate::{
    model::{
        Arrival, Changes, EndReason, Lifetime, Limit, ManualClock, Salt, Timestamp, Token, UserId,
        clock::Monotonic,
    },
    store::{
        Authenticated, Create, End, FileStoreBuilder, Look, Presence, Renewal, Resolve, Resolved,
        Rotate, Rotated, Save, SessionStore, StoreError, StoreErrorKind, Which,
    },
};

const HOUR: Duration = Duration::from_secs(3_600);

/// How long to wait for the thread that writes.
const PATIENCE: Duration = Duration::from_secs(60);

/// How many do something at once, so that they share commits.
const TOGETHER: usize = 16;

/// Users, with what is in their sessions.
struct Users {
    store: FileStore,
    note: usize,
    next: usize,
    live: Vec<Token>,
}

impl Users {
    fn of(store: &FileStore, note: usize) -> Self {
        Self {
            store: store.clone(),
            note,
            next: 0,
            live: Vec::new(),
        }
    }

    /// Signs so many users in. The others get `Full`. Returns how many that were.
    async fn sign_in(&mut self, users: usize) -> usize {
        let calls: JoinSet<_> = (0..users).map(|_| self.signs_in()).collect();
        let before = self.live.len();
        for created in calls.join_all().await {
            match created {
                Ok(token) => self.live.push(token),
                Err(error) => assert_eq!(error.kind(), StoreErrorKind::Full),
            }
        }
        before + users - self.live.len()
    }

    fn signs_in(&mut self) -> impl Future<Output = Result<Token, StoreError>> + Send + use<> {
        self.next += 1;
        let token = Token::random(tag(self.next)).unwrap();
        let id = UserId::new(format!("user {}", self.next)).ok();
        let mut create = Create::new(&token, id, Authenticated::On(Arrival::now()));
        create.limit = Limit::at_most(1);
        create.lifetime = Lifetime::new(HOUR, HOUR);
        if self.note > 0 {
            let note = "x".repeat(self.next * 37 % self.note);
            create.changes.set("note", note);
        }
        let store = self.store.clone();
        async move { store.create(&create).await.map(|_| token) }
    }

    /// Until nobody can sign in. Nobody is signed out by that.
    async fn fill(&mut self) {
        while self.sign_in(TOGETHER).await < TOGETHER {
            assert!(self.live.len() < 50_000, "the disk is not full");
        }
        self.are_live().await;
    }

    async fn are_live(&self) {
        for token in &self.live {
            assert!(is_live(&self.store, token).await);
        }
    }

    /// Ends every other session.
    async fn end_half(&mut self) {
        let (mut kept, mut ended) = (Vec::new(), Vec::new());
        for pair in mem::take(&mut self.live).chunks(2) {
            kept.extend(pair.first().cloned());
            ended.extend(pair.get(1).cloned());
        }
        self.live = kept;
        for some in ended.chunks(TOGETHER) {
            let ends = some.iter().map(|token| {
                let reason = EndReason::LoggedOut;
                let end = End::new(token.tag(), Which::One(token.session_id()), reason);
                let store = self.store.clone();
                async move { store.end(&end).await }
            });
            for end in ends.collect::<JoinSet<_>>().join_all().await {
                end.unwrap();
            }
        }
        for token in &ended {
            assert!(!is_live(&self.store, token).await);
        }
    }

    /// Until the store has space, although nobody asks it for some.
    fn wait(&self) {
        let began = Monotonic::now();
        while self.store.0.front.queue.is_full() {
            assert!(began.elapsed() < PATIENCE, "the disk is full for ever");
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Without activity, which would have to be written.
async fn is_live(store: &FileStore, token: &Token) -> bool {
    let look = Look::new(token.tag(), [token.session_id()]);
    let looked = store.look(&look).await.unwrap();
    matches!(looked.sessions[..], [Presence::Live(_)])
}

fn builder() -> FileStoreBuilder {
    FileStore::builder().notice_kept(Duration::ZERO)
}

/// A disk with so many blocks.
fn disk(blocks: usize) -> Small {
    let small = Small::with(Vec::new());
    let mut state = small.state();
    (state.says, state.free) = (true, blocks);
    drop(state);
    small
}

/// What is in the sessions, and how many blocks the disk has for them.
const DISKS: [(usize, usize); 3] = [(0, 340), (2_000, 400), (9_000, 600)];

// T75
#[tokio::test]
async fn a_disk_that_sessions_filled_has_space_for_sign_ins_when_some_of_them_end() {
    for (note, blocks) in DISKS {
        let small = disk(blocks);
        let store = small.open_with(builder());
        let mut users = Users::of(&store, note);
        let mut first = 0;
        for round in 0..3 {
            users.fill().await;
            if round == 0 {
                first = users.live.len();
            }
            // Ends have what they need, and the disk is used.
            assert!(
                users.live.len() > first / 2,
                "{round}: {}",
                users.live.len()
            );
            assert!(small.state().free > blocks / 20, "{}", small.state().free);
            users.end_half().await;
            users.wait();
        }
        let live = users.live;
        drop((store, users.store));

        let store = small.open_with(builder());
        for token in &live {
            assert!(is_live(&store, token).await);
        }
        assert_eq!(store.sets(), live.len());
    }
}

// T75
#[tokio::test]
async fn a_disk_that_sessions_filled_has_space_for_sign_ins_when_they_expire() {
    for (note, blocks) in DISKS {
        let small = disk(blocks);
        let clock = ManualClock::at(Timestamp::from_millis(1_764_000_000_000));
        let store = small.open_with(builder().clock(clock.clone()));
        let mut users = Users::of(&store, note);
        for _ in 0..2 {
            users.fill().await;
            clock.advance(2 * HOUR);
            users.live.clear();
            // It notices them when a user wants to sign in.
            let began = Monotonic::now();
            while users.sign_in(1).await > 0 {
                assert!(began.elapsed() < PATIENCE, "the disk is full for ever");
            }
        }
    }
}

// T75
#[tokio::test]
async fn a_file_that_a_crash_left_on_a_disk_that_sessions_filled_is_opened_and_has_space_when_they_end()
 {
    for (note, blocks) in DISKS {
        let small = disk(blocks);
        let store = small.open_with(builder());
        let mut users = Users::of(&store, note);
        users.fill().await;
        let live = mem::take(&mut users.live);
        let crashed = small.copy();

        let store = crashed.open_with(builder());

        let mut users = Users::of(&store, note);
        (users.live, users.next) = (live, 100_000);
        users.fill().await;
        users.end_half().await;
        users.wait();
        assert_eq!(users.sign_in(1).await, 0);
    }
}

// Without that none becomes so much shorter. Now and then the database uses what is free in the file, and takes no more.
#[tokio::test]
async fn a_file_that_is_mostly_unused_and_takes_more_of_the_disk_is_made_shorter() {
    for _ in 0..20 {
        let small = disk(400);
        let store = small.open_with(builder());
        let mut users = Users::of(&store, 2_000);
        users.fill().await;
        while users.live.len() > 8 {
            users.end_half().await;
            users.wait();
        }
        small.state().take_all();

        users.fill().await;

        if small.state().is_halved {
            return;
        }
    }
    panic!("no file became shorter");
}

#[tokio::test]
async fn on_a_disk_that_others_filled_sign_ins_use_what_is_free_in_the_file() {
    let small = disk(400);
    let store = small.open_with(builder());
    let mut users = Users::of(&store, 2_000);
    users.fill().await;
    users.end_half().await;
    users.wait();
    small.state().free = 0;
    let half = users.live.len();

    users.fill().await;

    let more = users.live.len() - half;
    assert!(more > half / 4, "{half} and {more}");
    small.state().free = 400;
    assert_eq!(users.sign_in(1).await, 0);
}

#[tokio::test]
async fn on_a_disk_that_sessions_filled_data_may_change_and_not_grow_and_tokens_are_renewed() {
    let small = disk(400);
    let store = small.open_with(builder());
    let mut users = Users::of(&store, 2_000);
    users.fill().await;
    let token = users.live.swap_remove(40);
    let resolved = store.resolve(&Resolve::new(token.clone())).await.unwrap();
    let Resolved::Live(found) = resolved else {
        panic!("a sign-in that failed evicted a user");
    };
    let note = found.data.get("note").unwrap().len();
    let save = async |note: usize| {
        let mut changes = Changes::default();
        changes.set("note", "y".repeat(note));
        let save = Save::new(token.tag(), token.session_id(), changes);
        store.save(&save).await.map_err(|error| error.kind())
    };

    assert_eq!(save(note + 1).await, Err(StoreErrorKind::Full));
    assert!(save(note).await.is_ok());
    assert!(save(note - 1).await.is_ok());
    assert_eq!(save(note).await, Err(StoreErrorKind::Full));
    let salt = Salt::from_bytes([1; 16]);
    let rotate = Rotate::new(&token, &token.successor(&salt), Renewal::Derived(salt));
    let rotated = store.rotate(&rotate).await.unwrap();
    assert!(matches!(rotated, Rotated::Rotated(_)));
}
