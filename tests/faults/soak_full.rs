//! Sessions fill a disk again and again: `scripts/soak file_full` starts it.

use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use tower_user_sessions::{
    EndReason,
    store::{
        Create, End, FileStore, Look, ManualClock, Presence, SessionStore, StoreErrorKind,
        Timestamp, Token, Which,
    },
};

use crate::{
    common::people::{asks, token},
    file_full::on_a_disk_of,
};

/// So many sign in or out at once.
const AT_ONCE: usize = 200;

/// The notice of an end is over after an hour, and sessions expire after some weeks.
const NOTICE: Duration = Duration::from_secs(2 * 3_600);
const LIFE: Duration = Duration::from_secs(60 * 24 * 3_600);

#[test]
#[ignore = "scripts/soak runs it"]
fn a_disk_that_sessions_fill_has_space_for_others_when_they_end() {
    let size = env::var("SOAK_DISK").unwrap();
    let test = "soak_full::a_disk_that_sessions_fill_has_space_for_others_when_they_end";
    on_a_disk_of(&size, test, fills);
}

/// One in four has some data, and one in fifty has much.
fn wants(store: &FileStore, user: usize) -> (Create, Token) {
    let name = format!("user {user}");
    let token = token(store, &name);
    let mut create = asks(&name, &token);
    let note = match user % 50 {
        0 => 20_000,
        n if n % 4 == 1 => 2_000,
        _ => 0,
    };
    if note > 0 {
        create.changes.set("note", "x".repeat(note));
    }
    (create, token)
}

/// Until nobody can sign in.
async fn fill(store: &FileStore, next: &Arc<AtomicUsize>) -> Vec<Token> {
    let mut filling = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (store, next) = (store.clone(), Arc::clone(next));
        filling.spawn(async move {
            let mut tokens = Vec::new();
            loop {
                let (create, token) = wants(&store, next.fetch_add(1, Relaxed));
                match store.create(&create).await {
                    Ok(_) => tokens.push(token),
                    Err(error) => break assert_eq!(error.kind(), StoreErrorKind::Full),
                }
            }
            tokens
        });
    }
    filling.join_all().await.concat()
}

/// Returns how long the longest call took.
async fn end(store: &FileStore, tokens: Vec<Token>) -> Duration {
    let (tokens, next) = (Arc::new(tokens), Arc::new(AtomicUsize::new(0)));
    let mut ending = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (store, tokens, next) = (store.clone(), Arc::clone(&tokens), Arc::clone(&next));
        ending.spawn(async move {
            let mut longest = Duration::ZERO;
            while let Some(token) = tokens.get(next.fetch_add(1, Relaxed)) {
                let began = Instant::now();
                let which = Which::One(token.session_id());
                let end = End::new(token.tag(), which, EndReason::LoggedOut);
                store.end(&end).await.unwrap();
                longest = longest.max(began.elapsed());
            }
            longest
        });
    }
    ending.join_all().await.into_iter().max().unwrap()
}

async fn live(store: &FileStore, tokens: &[Token]) -> usize {
    let mut live = 0;
    for token in tokens {
        let look = Look::new(token.tag(), [token.session_id()]);
        let looked = store.look(&look).await.unwrap();
        live += usize::from(matches!(looked.sessions[..], [Presence::Live(_)]));
    }
    live
}

async fn fills(disk: PathBuf) {
    let path = disk.join("sessions.db");
    let clock = ManualClock::at(Timestamp::from_millis(1_800_000_000_000));
    let open = |path: &Path| {
        FileStore::builder()
            .clock(clock.clone())
            .open(path)
            .unwrap()
    };
    let mut store = open(&path);
    let next = Arc::new(AtomicUsize::new(0));
    let mut tokens = Vec::new();
    for round in 0..8 {
        let began = Instant::now();
        let new = fill(&store, &next).await;
        let counts = BTreeMap::from([("new", new.len()), ("kept", tokens.len())]);
        println!("{round}: full after {:?}: {counts:?}", began.elapsed());
        tokens.extend(new);
        assert_eq!(live(&store, &tokens).await, tokens.len());
        let expire = round % 4 == 3;
        let ended = match expire {
            true => std::mem::take(&mut tokens),
            false => tokens.split_off(tokens.len() / 2),
        };
        let began = Instant::now();
        if expire {
            clock.advance(LIFE);
        } else {
            let (count, longest) = (ended.len(), end(&store, ended).await);
            println!(
                "   {count} ended in {:?}, one in {longest:?}",
                began.elapsed()
            );
        }
        if round % 4 == 1 {
            drop(store);
            store = open(&path);
        }
        let began = Instant::now();
        loop {
            let (create, token) = wants(&store, next.fetch_add(1, Relaxed));
            if store.create(&create).await.is_ok() {
                break tokens.push(token);
            }
            assert!(began.elapsed() < Duration::from_secs(60));
            sleep(Duration::from_millis(100)).await;
        }
        println!("   a sign-in works after {:?}", began.elapsed());
        clock.advance(NOTICE);
        // What has ended goes after a while.
        while store.sets() > tokens.len() {
            let (create, token) = wants(&store, next.fetch_add(1, Relaxed));
            if store.create(&create).await.is_ok() {
                tokens.push(token);
            }
            sleep(Duration::from_millis(1)).await;
        }
    }
}
