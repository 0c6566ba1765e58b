//! Accounts of a load's sign-ins: which were answered, which failed, and which sessions there are afterwards.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and not every test needs all of it"
)]

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use tower_user_sessions::{
    RedisStore, SessionId,
    store::{Create, Created, List, Resolve, Resolved, SessionStore, StoreError, Tag, Token},
};

use super::{
    load::millis,
    people::{asks, listed, signs_in, token},
};

/// How many sessions each user may have.
const LIMIT: usize = 3;

/// Users who read, and others who sign in while they have as many sessions as they may.
pub(crate) struct Ledger {
    readers: Vec<Token>,
    visitors: Vec<Visitor>,
    /// Answers to readers with the session of another user, or with none.
    wrong: AtomicUsize,
}

struct Visitor {
    name: String,
    tag: Tag,
    sign_ins: Mutex<SignIns>,
}

#[derive(Default)]
struct SignIns {
    /// Sessions that the store acknowledged.
    made: Vec<SessionId>,
    /// Sessions that ended for those, as the store said.
    evicted: HashSet<SessionId>,
    failed: Vec<SessionId>,
}

/// What is wrong with the sessions of all users after a load.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Balance {
    /// Sign-ins that failed.
    pub(crate) failed: usize,
    /// Acknowledged sessions that ended though no acknowledged sign-in evicted them.
    pub(crate) evicted_by_failed: usize,
    /// Live sessions of sign-ins that failed.
    pub(crate) orphans: usize,
    /// Users with more sessions than they may have.
    pub(crate) over_limit: usize,
    /// Answers with the session of another user.
    pub(crate) wrong: usize,
}

/// The user's live sessions. Where a fault has just ended, or other programs use the processor, it asks again.
async fn live(store: &RedisStore, tag: Tag) -> Vec<SessionId> {
    for _ in 0..20 {
        if let Ok(listed) = store.list(&List::new(tag)).await {
            return listed.iter().map(|record| record.id).collect();
        }
        tokio::time::sleep(millis(250)).await;
    }
    listed(store, tag).await
}

impl Ledger {
    /// So many users of each kind, signed in on this store.
    pub(crate) async fn open(store: &RedisStore, prefix: &str, users: usize) -> Arc<Self> {
        let (mut readers, mut visitors) = (Vec::new(), Vec::new());
        for number in 0..users {
            readers.push(signs_in(store, &format!("{prefix}-reader-{number}")).await);
            let name = format!("{prefix}-visitor-{number}");
            let mut sign_ins = SignIns::default();
            for _ in 0..LIMIT {
                let token = signs_in(store, &name).await;
                sign_ins.made.push(token.session_id());
            }
            visitors.push(Visitor {
                tag: token(store, &name).tag(),
                name,
                sign_ins: Mutex::new(sign_ins),
            });
        }
        let wrong = AtomicUsize::new(0);
        Arc::new(Self {
            readers,
            visitors,
            wrong,
        })
    }

    /// Every eighth call is a sign-in, the others resolve a session. A sign-in that fails is given up, as the layer does.
    pub(crate) async fn visit(&self, store: &RedisStore, number: u32) -> Result<(), StoreError> {
        let number = number as usize;
        if number.is_multiple_of(8) {
            return self.sign_in(store, number / 8).await;
        }
        let token = &self.readers[number % self.readers.len()];
        let resolved = store.resolve(&Resolve::new(token.clone())).await?;
        let is_own =
            matches!(&resolved, Resolved::Live(found) if found.record.id == token.session_id());
        if !is_own {
            self.wrong.fetch_add(1, Relaxed);
        }
        Ok(())
    }

    async fn sign_in(&self, store: &RedisStore, number: usize) -> Result<(), StoreError> {
        let visitor = &self.visitors[number % self.visitors.len()];
        let token = token(store, &visitor.name);
        let create: Create = asks(&visitor.name, &token);
        let created = store.create(&create).await;
        let mut sign_ins = visitor.sign_ins.lock().unwrap();
        match created {
            Ok(Created::Created(new)) => {
                sign_ins.made.push(token.session_id());
                let evicted = new.evicted.iter().map(|record| record.id);
                sign_ins.evicted.extend(evicted);
                Ok(())
            }
            Ok(other) => panic!("{other:?}"),
            Err(error) => {
                sign_ins.failed.push(token.session_id());
                store.end_undelivered(token.tag(), token.session_id());
                Err(error)
            }
        }
    }

    /// Compares with the sessions that there are, by this store.
    pub(crate) async fn balance(&self, store: &RedisStore) -> Balance {
        let mut balance = Balance {
            wrong: self.wrong.load(Relaxed),
            ..Balance::default()
        };
        for visitor in &self.visitors {
            let live = live(store, visitor.tag).await;
            let sign_ins = visitor.sign_ins.lock().unwrap();
            let is_live = |id: &&SessionId| live.contains(id);
            let unexplained =
                |id: &&SessionId| !live.contains(id) && !sign_ins.evicted.contains(id);
            balance.failed += sign_ins.failed.len();
            balance.evicted_by_failed += sign_ins.made.iter().filter(unexplained).count();
            balance.orphans += sign_ins.failed.iter().filter(is_live).count();
            balance.over_limit += usize::from(live.len() > LIMIT);
        }
        balance
    }
}
