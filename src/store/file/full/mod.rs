//! A disk that is full while the log is long, and what a commit does after one that failed.

use std::{
    pin::Pin,
    task::{Context, Waker},
};

use bytes::Bytes;

mod ends;
mod failed;
mod log;
mod small;

use self::small::Small;
use super::{
    FileStore,
    journal::{self, Journal},
    queue::FAILED_MAX,
};
use crate::{
    model::{Arrival, Changes, EndReason, Limit, Tag, Token, UserId},
    store::{
        Authenticated, Create, End, Resolve, Resolved, Save, SessionStore, StoreErrorKind, Which,
    },
};

/// So many users that the log is mostly the latest versions of their sets.
const USERS: usize = 60;

/// One who signs in again and again.
const BUSY: usize = 20_000;

fn tag(user: usize) -> Tag {
    Tag::of(&UserId::new(format!("user {user}")).unwrap())
}

/// Signs a user in. Her session of before is evicted.
async fn signs_in(store: &FileStore, user: usize) -> Result<Token, StoreErrorKind> {
    let token = Token::random(tag(user)).unwrap();
    let id = UserId::new(format!("user {user}")).ok();
    let mut create = Create::new(&token, id, Authenticated::On(Arrival::now()));
    create.limit = Limit::at_most(1);
    create.changes.set("theme", "dark");
    match store.create(&create).await {
        Ok(_) => Ok(token),
        Err(error) => Err(error.kind()),
    }
}

async fn is_live(store: &FileStore, token: &Token) -> bool {
    let resolved = store.resolve(&Resolve::new(token.clone())).await.unwrap();
    matches!(resolved, Resolved::Live(_))
}

/// Users with sessions, and a log that each commit has to clean.
async fn long_log(small: &Small, store: &FileStore) -> Vec<Token> {
    let mut tokens = Vec::new();
    for round in 0..4 {
        for user in 0..USERS {
            let token = signs_in(store, user).await.unwrap();
            if round == 3 {
                tokens.push(token);
            }
        }
    }
    // Until nearly all values have the latest version of a set.
    for _ in 0..3 * USERS {
        signs_in(store, BUSY).await.unwrap();
    }
    assert!(small.is_cleaned());
    tokens
}

// T75
#[tokio::test]
async fn on_a_full_disk_with_a_long_log_sign_ins_fail_and_the_next_one_with_space_works() {
    let small = Small::with(Vec::new());
    let store = small.open();
    let mut tokens = long_log(&small, &store).await;
    small.state().free = 0;

    // The file has some room of its own.
    let mut refused = 0;
    for user in USERS.. {
        match signs_in(&store, user).await {
            Ok(token) => (refused, _) = (0, tokens.push(token)),
            Err(kind) => {
                assert_eq!(kind, StoreErrorKind::Full);
                refused += 1;
            }
        }
        if refused == 20 {
            break;
        }
        assert!(user < 10_000, "the disk is not full");
    }
    let ended = tokens.pop().unwrap();
    let end = End::new(
        ended.tag(),
        Which::One(ended.session_id()),
        EndReason::LoggedOut,
    );
    let error = store.end(&end).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Full);
    let crashed = Small::with(small.state().bytes.clone());
    let waiting = Journal::after(&mut journal::read(&crashed).unwrap()).waiting();
    let waiting = journal::changes(&waiting, None).count();
    assert!(waiting > 1, "the disk was full before sign-ins waited");

    assert!(!is_live(&store, &ended).await);
    for store in [&store, &crashed.open()] {
        for token in &tokens {
            assert!(is_live(store, token).await);
        }
    }

    small.state().free = usize::MAX;
    tokens.push(signs_in(&store, 10_000).await.unwrap());
    drop(store);

    let store = small.open();
    assert!(!is_live(&store, &ended).await);
    for token in &tokens {
        assert!(is_live(&store, token).await);
    }
}

type Call<'a> = Pin<Box<dyn Future<Output = bool> + 'a>>;

/// Polls all of them once. All wait.
fn poll_all(calls: &mut [Call<'_>]) {
    let mut context = Context::from_waker(Waker::noop());
    for call in calls {
        assert!(call.as_mut().poll(&mut context).is_pending());
    }
}

/// A save is the one commit of all users, and its n-th write that is waited for fails although it is done. Then another user
/// signs in.
///
/// Returns the users with whether their save was answered, and the files that the end of the process would have left since.
async fn saves_fail(nth: u64) -> (Vec<(Token, bool)>, Vec<Vec<u8>>) {
    let small = Small::with(Vec::new());
    let store = small.open();
    let tokens = long_log(&small, &store).await;
    small.hold(true);
    // The thread waits with this one, so all that come meanwhile are in the next commit.
    let mut calls: Vec<Call<'_>> = vec![Box::pin(async { signs_in(&store, USERS).await.is_ok() })];
    poll_all(&mut calls);
    while small.state().waiting == 0 {
        tokio::task::yield_now().await;
    }
    calls.extend(tokens.iter().map(|token| -> Call<'_> {
        let mut changes = Changes::default();
        changes.set("theme", "light");
        let save = Save::new(token.tag(), token.session_id(), changes);
        let store = &store;
        Box::pin(async move { store.save(&save).await.is_ok() })
    }));
    poll_all(&mut calls[1..]);
    {
        let mut state = small.state();
        state.fails = Some(state.through + 1 + nth);
        state.left = Some(Vec::new());
    }
    small.hold(false);
    let mut answered = Vec::new();
    for call in calls {
        answered.push(call.await);
    }
    small.state().left = Some(Vec::new());

    while signs_in(&store, USERS + 1).await.is_err() {}
    drop(store);

    let left = small.state().left.take().unwrap();
    let saved = answered.into_iter().skip(1);
    (tokens.into_iter().zip(saved).collect(), left)
}

/// What a session in this file has, if it is live.
async fn theme(store: &FileStore, token: &Token) -> Option<Bytes> {
    let resolved = store.resolve(&Resolve::new(token.clone())).await.unwrap();
    match resolved {
        Resolved::Live(found) => found.data.get("theme"),
        _ => None,
    }
}

// T75
#[tokio::test]
async fn after_a_failed_commit_that_is_in_the_file_all_the_same_no_older_version_of_a_set_is_copied()
 {
    let mut there = 0;
    for nth in 1..=3 {
        let (users, left) = saves_fail(nth).await;
        for (at, bytes) in left.into_iter().enumerate() {
            // A head of before with the data of after would be damage.
            let store = Small::with(bytes).open();
            for (token, saved) in &users {
                let theme = theme(&store, token).await.unwrap();
                assert!(theme == "light" || theme == "dark" && !saved, "{theme:?}");
                there += usize::from(at == 0 && !saved && theme == "light");
            }
        }
    }
    assert!(there > USERS / 2, "no failed commit was in the file");
}

#[tokio::test]
async fn new_users_on_a_full_disk_take_no_more_memory_than_some_of_them() {
    let small = Small::with(Vec::new());
    let store = small.open();
    small.state().free = 150;
    let mut users = 0..;
    while signs_in(&store, users.next().unwrap()).await.is_ok() {}

    for user in users.take(3 * FAILED_MAX) {
        assert_eq!(
            signs_in(&store, user).await.err(),
            Some(StoreErrorKind::Full)
        );
    }

    assert_eq!(store.0.front.queue.failed(), FAILED_MAX);
    small.state().free = usize::MAX;
    assert!(signs_in(&store, BUSY).await.is_ok());
}
