//! Many clients at once through a PgBouncer in transaction mode.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use deadpool_postgres::tokio_postgres::NoTls;
use tokio::task::JoinSet;
use tower_user_sessions::{
    EndReason, Limit, PostgresStore, SessionStore, UserId,
    store::{
        Arrival, Authenticated, Create, Created, End, FeedMessage, FeedReader, List, Resolve,
        Resolved, StoreError, Token, Which,
    },
};

use crate::{growth::signs_in, pool};

const CLIENTS: usize = 32;

/// Several clients are one user, so sign-ins evict.
const USERS: usize = 12;

/// What was answered how often.
#[derive(Clone, Default)]
struct Counts(Arc<Mutex<BTreeMap<String, u32>>>);

impl Counts {
    fn add(&self, what: &str) {
        *self.0.lock().unwrap().entry(what.to_owned()).or_default() += 1;
    }

    fn failed(&self, what: &str, error: &StoreError) {
        let mut text = format!("{what}: {error}");
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            text += &format!(": {cause}");
            source = cause.source();
        }
        self.add(&text);
    }
}

/// Signs in, sends requests, and ends its session or all of the user's, until the time is over.
async fn client(store: PostgresStore, number: usize, until: Instant, counts: Counts) {
    let user = UserId::new(format!("user-{}", number % USERS)).unwrap();
    let tag = store.tag(&user);
    let mut round = number;
    while Instant::now() < until {
        round += 1;
        let token = Token::random(tag).unwrap();
        let now = Authenticated::On(Arrival::now());
        let mut create = Create::new(&token, Some(user.clone()), now);
        create.limit = Limit::at_most(3);
        match store.create(&create).await {
            Ok(Created::Created(_)) => counts.add("signed in"),
            // Another client ended all sessions a moment ago.
            Ok(Created::Rejected) => {
                counts.add("sign-in rejected");
                continue;
            }
            Ok(other) => {
                counts.add(&format!("{other:?}"));
                continue;
            }
            Err(error) => {
                counts.failed("sign-in", &error);
                continue;
            }
        }
        for _ in 0..20 {
            match store.resolve(&Resolve::new(token.clone())).await {
                Ok(Resolved::Live(_)) => counts.add("request, live"),
                Ok(_) => counts.add("request, ended"),
                Err(error) => counts.failed("request", &error),
            }
        }
        let which = match round % 8 {
            0 => Which::All,
            1..4 => Which::One(token.session_id()),
            _ => continue,
        };
        match store.end(&End::new(tag, which, EndReason::Revoked)).await {
            Ok(_) => counts.add("ended"),
            Err(error) => {
                counts.failed("end", &error);
                continue;
            }
        }
        match store.resolve(&Resolve::new(token.clone())).await {
            Ok(Resolved::Live(_)) => counts.add("WRONG: live after its end"),
            Ok(_) => {}
            Err(error) => counts.failed("request", &error),
        }
    }
}

pub async fn bouncer(url: &str, seconds: usize) {
    for prepared in [false, true] {
        let store = PostgresStore::builder(pool(url)).prepared(prepared).build();
        store.migrate().await.unwrap();
        let counts = Counts::default();
        let until = Instant::now() + Duration::from_secs(seconds as u64);
        let mut clients = JoinSet::new();
        for number in 0..CLIENTS {
            clients.spawn(client(store.clone(), number, until, counts.clone()));
        }
        // The limit holds all the while.
        let mut most = 0;
        while Instant::now() < until {
            let user = UserId::new(format!("user-{}", most % USERS)).unwrap();
            match store.list(&List::new(store.tag(&user))).await {
                Ok(listed) if listed.len() > 3 => counts.add("WRONG: over the limit"),
                Ok(_) => counts.add("listed"),
                Err(error) => counts.failed("list", &error),
            }
            most += 1;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        clients.join_all().await;
        println!("prepared {prepared}:");
        for (what, count) in counts.0.lock().unwrap().iter() {
            println!("  {count:7} {what}");
        }
    }
}

/// Counts the messages that arrive.
#[derive(Default)]
struct Heard(AtomicU32);

impl FeedReader for Heard {
    fn message(&self, _: &FeedMessage) {
        self.0.fetch_add(1, Relaxed);
    }

    fn epoch_changed(&self) {}
}

/// A reader that is gone, so that the store listens.
pub fn nobody() -> Weak<dyn FeedReader> {
    Weak::<Heard>::new()
}

/// What the feed is worth if `live` names the PgBouncer.
pub async fn feed(url: &str, seconds: u32) {
    let builder = PostgresStore::builder(pool(url)).prepared(false);
    let store = builder.live(url.parse().unwrap(), NoTls).build();
    let (feed, heard) = (store.feed().unwrap(), Arc::new(Heard::default()));
    let reader: Arc<dyn FeedReader> = heard.clone();
    let _interest = feed.read_by(Weak::clone(&Arc::downgrade(&reader)));
    let (mut trusted, mut looks) = (0, 0);
    for _ in 0..seconds {
        let token = signs_in(&store, "anna").await;
        let end = End::new(token.tag(), Which::All, EndReason::Revoked);
        store.end(&end).await.unwrap();
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            looks += 1;
            trusted += u32::from(feed.state(token.tag()).trusted);
        }
    }
    println!(
        "the feed: trusted {trusted} of {looks} times, {} messages of {seconds} ends arrived",
        heard.0.load(Relaxed)
    );
}
