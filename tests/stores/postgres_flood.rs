//! 128 clients flood PostgreSQL with requests of one user, who is signed out meanwhile.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::Instant,
};
use tower_user_sessions::{
    EndReason, PostgresStore,
    store::{Created, End, Resolve, SessionStore, Token, Which},
};

use crate::common::{
    people::{asks, is_live, signs_in, token},
    postgres::{Server, client, patient},
};

/// Commits one row after the other, on a connection that nobody else has. Returns the longest time since it was last asked.
struct Probe(Arc<Mutex<Duration>>, JoinHandle<()>);

impl Probe {
    async fn start(server: &Server) -> Self {
        let client = client(&server.url()).await;
        client
            .batch_execute("CREATE TABLE probed AS SELECT 1 AS number")
            .await
            .unwrap();
        let longest = Arc::new(Mutex::new(Duration::ZERO));
        let kept = Arc::clone(&longest);
        let task = tokio::spawn(async move {
            loop {
                let began = Instant::now();
                client
                    .execute("UPDATE probed SET number = number + 1", &[])
                    .await
                    .unwrap();
                let mut longest = kept.lock().unwrap();
                *longest = longest.max(began.elapsed());
            }
        });
        Self(longest, task)
    }

    fn longest(&self) -> Duration {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// One hundred ends in the flood.
struct Series {
    /// How much longer than a commit of its time each took, in order.
    over: Vec<Duration>,
    /// How many requests were answered meanwhile, in order.
    overtook: Vec<u32>,
}

/// `direct` is a store that no client floods.
async fn series(
    store: &PostgresStore,
    direct: &PostgresStore,
    sends: &watch::Sender<Token>,
    answered: &AtomicU32,
    probe: &Probe,
) -> Series {
    let (mut over, mut overtook) = (Vec::new(), Vec::new());
    for _ in 0..100 {
        let token = loop {
            let token = token(direct, "anna");
            // In a flood the age of a sign-in is known to within the time of a reply.
            if let Created::Created(_) = direct.create(&asks("anna", &token)).await.unwrap() {
                break token;
            }
        };
        sends.send_replace(token.clone());
        tokio::task::yield_now().await;
        let end = End::new(token.tag(), Which::All, EndReason::Revoked);
        probe.longest();
        let (before, began) = (answered.load(SeqCst), Instant::now());
        store.end(&end).await.unwrap();
        let took = began.elapsed();
        overtook.push(answered.load(SeqCst) - before);
        // What the machine itself held up counts for both.
        over.push(took.saturating_sub(probe.longest()));
        assert!(!is_live(direct, &token).await);
    }
    over.sort();
    overtook.sort_unstable();
    Series { over, overtook }
}

/// An end has two statements. Each waits for those that have a connection, and for two requests.
// T24
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_requests_does_not_delay_an_end_by_a_tenth_of_a_second() {
    let server = Server::start();
    let store = || patient(server.pool()).build();
    let (store, direct) = (store(), store());
    store.migrate().await.unwrap();
    let (sends, sent) = watch::channel(signs_in(&direct, "anna").await);
    let (mut flood, answered) = (JoinSet::new(), Arc::new(AtomicU32::new(0)));
    for _ in 0..128 {
        let (store, sent, answered) = (store.clone(), sent.clone(), Arc::clone(&answered));
        flood.spawn(async move {
            loop {
                let token = sent.borrow().clone();
                // Its session may have ended a moment ago, and the pool may have no connection for so many.
                let _ = store.resolve(&Resolve::new(token)).await;
                answered.fetch_add(1, SeqCst);
            }
        });
    }
    let probe = Probe::start(&server).await;

    // A machine that does other things has another try.
    for last in [false, false, true] {
        let Series { over, overtook } = series(&store, &direct, &sends, &answered, &probe).await;

        println!(
            "an end took {:?} more than a commit of its time at half, {:?} at most; {} requests were answered meanwhile at \
             half, {} at most",
            over[50], over[99], overtook[50], overtook[99]
        );
        // In the order of their arrival, each statement waits for all the others.
        assert!(overtook[50] < 128, "{overtook:?}");
        // It also interrupts single calls.
        if over[95] < Duration::from_millis(100) {
            break;
        }
        assert!(!last, "{over:?}");
    }
    flood.abort_all();
    probe.1.abort();
}
