//! One row of the guide's table of faults: what it promises, and what a load saw of the fault.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::Instant;
use tower_user_sessions::{
    EndReason, RedisStore,
    store::{
        Created, End, Resolve, Resolved, Save, Saved, SessionStore, StoreError, StoreErrorKind,
        Token, Which,
    },
};

use crate::common::{
    load::{Told, kinds, median, millis, offer_steadily},
    people::{self, asks, is_live, set, signs_in, until},
    redis::{Server, ask_with},
};

const GUIDE: &str = include_str!("../../src/guide/operations.md");

/// How many calls a second.
const RATE: u32 = 200;

/// How long the load goes on before the fault, and after it.
const BEFORE: Duration = millis(500);
const AFTER: Duration = millis(4_500);

/// What the guide's table promises for a fault.
struct Promise {
    /// The kinds of error.
    kinds: Vec<String>,
    /// Kinds that come with them where the disk is slow.
    may: Vec<String>,
    /// Half of the errors come within this time.
    half: Duration,
    /// All answers and errors come within this time.
    all: Duration,
    /// How many connections are made at most.
    connects: u32,
    /// After so long from the end of the fault no call fails.
    again: Duration,
}

/// All faults of the guide's table.
pub(super) fn faults() -> Vec<&'static str> {
    let mut lines = GUIDE.lines();
    lines
        .by_ref()
        .find(|line| line.starts_with("| fault | "))
        .unwrap();
    let rows = lines.skip(1).map_while(|line| line.strip_prefix("| "));
    rows.map(|row| row.split(" | ").next().unwrap()).collect()
}

/// Lets the server load its data for a second and a half when it starts again. It serves its connections between keys.
///
/// The data are a snapshot: of a log of commands it loads 1,024 before it serves a connection.
pub(super) async fn fills(server: &Server, key: &str) {
    let fill = "for i = 1, 9000 do redis.call('SET', KEYS[1] .. i, i) end";
    let _: () = ask_with(&server.url(), &["EVAL", fill, "1", key]).await;
    let _: String = server.ask("BGREWRITEAOF").await;
    until("the snapshot is written", async || {
        let info: String = server.ask("INFO persistence").await;
        let is_written = ["rewrite_in_progress:0", "rewrite_scheduled:0"];
        is_written.iter().all(|line| info.contains(line))
    })
    .await;
}

impl Promise {
    fn of(fault: &str) -> Self {
        let begins = format!("| {fault} | ");
        let row = GUIDE.lines().find(|line| line.starts_with(&begins));
        let row = row.unwrap_or_else(|| panic!("the table of the guide has no row {fault:?}"));
        let cells: Vec<&str> = row.split(" | ").collect();
        assert_eq!(cells.len(), 6, "{row}");
        let time = |cell: &str| {
            let seconds = cell.trim_matches(['|', ' ']).strip_suffix(" s").unwrap();
            Duration::from_secs_f64(seconds.parse().unwrap())
        };
        let named = |text: &str| {
            let named = text.split('`').skip(1).step_by(2);
            named.map(str::to_owned).collect()
        };
        let (kinds, may) = cells[1]
            .split_once("; on a slow disk also ")
            .unwrap_or((cells[1], ""));
        Self {
            kinds: named(kinds),
            may: named(may),
            half: time(cells[2]),
            all: time(cells[3]),
            connects: cells[4].parse().unwrap(),
            again: time(cells[5]),
        }
    }
}

/// A load of calls of all operations, and what was acknowledged.
pub(super) struct Shop {
    store: RedisStore,
    /// Of two sessions that are never ended.
    alice: Token,
    bob: Token,
    signed_in: Mutex<Vec<Token>>,
    ended: Mutex<Vec<Token>>,
    wrong: AtomicU32,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Does {
    Resolves,
    ResolvesBob,
    SignsIn,
    Saves,
    Ends,
}

impl Does {
    /// One call of eight signs in, and half of those sessions end.
    fn at(number: u32) -> Self {
        match number % 16 {
            0 | 8 => Self::SignsIn,
            3 | 11 => Self::Saves,
            5 => Self::Ends,
            1 | 7 | 13 => Self::ResolvesBob,
            _ => Self::Resolves,
        }
    }
}

impl Shop {
    pub(super) async fn open(store: RedisStore) -> Arc<Self> {
        Self::open_with(store, "bob").await
    }

    /// With a second user of this name, who may be on another primary.
    pub(super) async fn open_with(store: RedisStore, bob: &str) -> Arc<Self> {
        let alice = signs_in(&store, "alice").await;
        let bob = signs_in(&store, bob).await;
        Arc::new(Self {
            store,
            alice,
            bob,
            signed_in: Mutex::new(Vec::new()),
            ended: Mutex::new(Vec::new()),
            wrong: AtomicU32::new(0),
        })
    }

    async fn calls(self: Arc<Self>, number: u32) -> Result<(), StoreError> {
        match Does::at(number) {
            Does::SignsIn => {
                let user = format!("user-{number}");
                let token = people::token(&self.store, &user);
                let created = self.store.create(&asks(&user, &token)).await;
                if created.is_err() {
                    self.store.end_undelivered(token.tag(), token.session_id());
                }
                self.expect(matches!(created?, Created::Created(_)));
                self.signed_in.lock().unwrap().push(token);
            }
            Does::Saves => {
                let (tag, id) = (self.alice.tag(), self.alice.session_id());
                let save = Save::new(tag, id, set("cart", "apple"));
                let saved = self.store.save(&save).await?;
                self.expect(matches!(saved, Saved::Saved { .. }));
            }
            Does::Ends => {
                let taken = self.signed_in.lock().unwrap().pop();
                let Some(token) = taken else {
                    return Ok(());
                };
                let which = Which::One(token.session_id());
                let end = End::new(token.tag(), which, EndReason::LoggedOut);
                self.store.end(&end).await?;
                self.ended.lock().unwrap().push(token);
            }
            Does::Resolves => self.resolves(&self.alice).await?,
            Does::ResolvesBob => self.resolves(&self.bob).await?,
        }
        Ok(())
    }

    async fn resolves(&self, token: &Token) -> Result<(), StoreError> {
        let found = self.store.resolve(&Resolve::new(token.clone())).await?;
        self.expect(matches!(found, Resolved::Live(_)));
        Ok(())
    }

    fn expect(&self, is_right: bool) {
        self.wrong.fetch_add(u32::from(!is_right), Relaxed);
    }

    /// All that was acknowledged is so. Returns how many sign-ins and ends.
    async fn is_kept(&self) -> (usize, usize) {
        assert_eq!(self.wrong.load(Relaxed), 0, "wrong answers");
        let signed_in = std::mem::take(&mut *self.signed_in.lock().unwrap());
        for token in &signed_in {
            assert!(is_live(&self.store, token).await, "a sign-in was lost");
        }
        let ended = std::mem::take(&mut *self.ended.lock().unwrap());
        for token in &ended {
            assert!(!is_live(&self.store, token).await, "an end was lost");
        }
        (signed_in.len(), ended.len())
    }
}

/// What a load saw of a fault.
pub(super) struct Row {
    all: Vec<Told>,
    /// When the fault had ended, after the start of the load.
    ends: Duration,
    connects: u32,
    /// How many sign-ins and ends were acknowledged.
    pub(super) kept: (usize, usize),
}

impl Row {
    /// Makes a fault that lasts so long, while the load goes on.
    pub(super) async fn watch(
        shop: &Arc<Shop>,
        connects: impl Fn() -> u32,
        lasts: Duration,
        fault: impl AsyncFnOnce(),
    ) -> Self {
        // The second connection is opened after the first answered.
        tokio::time::sleep(millis(300)).await;
        let (before, began) = (connects(), Instant::now());
        let load = {
            let shop = Arc::clone(shop);
            let calls = move |number| Arc::clone(&shop).calls(number);
            // In a task of its own: a fault may block this one.
            tokio::spawn(offer_steadily(RATE, BEFORE + lasts + AFTER, calls))
        };
        tokio::time::sleep(BEFORE).await;
        fault().await;
        let ends = began.elapsed();
        let all = load.await.unwrap();
        Self {
            all,
            ends,
            connects: connects() - before,
            kept: shop.is_kept().await,
        }
    }

    /// Demands what the guide promises for the fault.
    pub(super) fn keeps(&self, fault: &str) {
        let promise = Promise::of(fault);
        let failed: Vec<Duration> = self.failed().map(|told| told.took).collect();
        let half = if failed.is_empty() {
            Duration::ZERO
        } else {
            median(failed)
        };
        let longest = self.all.iter().map(|told| told.took).max().unwrap();
        let after = self.all.iter().filter(|told| told.failed.is_none());
        let after = after.filter_map(|told| (told.at + told.took).checked_sub(self.ends));
        let first = after.min().expect("no good answer after the fault");
        let last = self.failed().map(|told| told.at).max().unwrap_or_default();
        let (seen, connects) = (kinds(&self.all), self.connects);
        println!(
            "{fault}: {seen:?} of {}, half {half:?}, longest {longest:?}, {connects} connects, first good answer after {first:?}, last failed call {:?} after the end, kept {:?}",
            self.all.len(),
            last.saturating_sub(self.ends),
            self.kept,
        );

        let seen: Vec<String> = seen.iter().map(|(kind, _)| format!("{kind:?}")).collect();
        let has = |of: &[String], kind: &String| of.contains(kind);
        assert!(
            seen.iter()
                .all(|kind| has(&promise.kinds, kind) || has(&promise.may, kind)),
            "{seen:?}"
        );
        assert!(
            promise.kinds.iter().all(|kind| has(&seen, kind)),
            "{seen:?}"
        );
        assert!(half <= promise.half, "half of the errors took {half:?}");
        assert!(longest <= promise.all, "{longest:?}");
        assert!(connects <= promise.connects, "{connects} connects");
        assert!(first <= promise.again, "{first:?}");
        let settled = self.ends + promise.again;
        let end = self.all.iter().map(|told| told.at).max().unwrap();
        assert!(end > settled + millis(500), "the load ended too soon");
        assert!(last <= settled, "a call failed at {last:?}");
    }

    fn failed(&self) -> impl Iterator<Item = &Told> {
        self.all.iter().filter(|told| told.failed.is_some())
    }

    /// The kinds of error of the calls that did this.
    pub(super) fn kinds(&self, does: Does) -> Vec<StoreErrorKind> {
        let own = |told: &&Told| Does::at(told.number) == does;
        let own: Vec<Told> = self.all.iter().filter(own).copied().collect();
        kinds(&own).into_iter().map(|(kind, _)| kind).collect()
    }
}
