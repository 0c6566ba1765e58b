//! A server whose probe does not show that it is a replica, as one that knows no first line of scripts.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::Notify,
};
use tower_user_sessions::{
    RedisStore,
    store::{RedisSource, Resolve, SessionStore, StoreError},
};

use crate::common::{
    load::{millis, offer},
    people::guest,
};

const READONLY: &[u8] = b"-READONLY You can't write against a read only replica.\r\n";

async fn resolves(store: RedisStore) -> Result<(), StoreError> {
    store.resolve(&Resolve::new(guest())).await.map(drop)
}

/// What becomes of a script, by its number: it is refused after so long, or runs.
type Plan = fn(u32) -> Option<Duration>;

/// Speaks just enough to pass for a server.
#[derive(Clone)]
struct Fake {
    port: u16,
    plan: Plan,
    scripts: Arc<AtomicU32>,
    connects: Arc<AtomicU32>,
    cut: Arc<Notify>,
}

impl Fake {
    async fn start(plan: Plan) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let fake = Self {
            port: listener.local_addr().unwrap().port(),
            plan,
            scripts: Arc::default(),
            connects: Arc::default(),
            cut: Arc::default(),
        };
        let serving = fake.clone();
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                serving.connects.fetch_add(1, Ordering::Relaxed);
                let fake = serving.clone();
                tokio::spawn(async move {
                    tokio::select! {
                        _ = fake.serve(client) => {}
                        () = fake.cut.notified() => {}
                    }
                });
            }
        });
        fake
    }

    async fn serve(&self, client: TcpStream) -> std::io::Result<()> {
        let mut client = BufReader::new(client);
        loop {
            let mut words = Vec::new();
            for _ in 0..number(&mut client).await? {
                let mut word = vec![0; number(&mut client).await? + 2];
                client.read_exact(&mut word).await?;
                word.truncate(word.len() - 2);
                words.push(word);
            }
            let answer = match &words[0][..] {
                b"EVAL" => b"*3\r\n:1\r\n:1000\r\n$8\r\nprobing.\r\n".to_vec(),
                b"EVALSHA" => {
                    let number = self.scripts.fetch_add(1, Ordering::Relaxed);
                    if let Some(time) = (self.plan)(number) {
                        tokio::time::sleep(time).await;
                        READONLY.to_vec()
                    } else {
                        let of = &words[5][..8];
                        [b"*3\r\n:0\r\n:1000\r\n$8\r\n", of, b"\r\n"].concat()
                    }
                }
                _ => b"+OK\r\n".to_vec(),
            };
            client.write_all(&answer).await?;
        }
    }

    fn source(&self) -> RedisSource {
        RedisSource::url(&format!("redis://127.0.0.1:{}", self.port)).unwrap()
    }

    fn connects(&self) -> u32 {
        self.connects.load(Ordering::Relaxed)
    }
}

async fn number(client: &mut BufReader<TcpStream>) -> std::io::Result<usize> {
    let mut line = String::new();
    if client.read_line(&mut line).await? == 0 {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line[1..].trim().parse().unwrap())
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_passes_the_probe_is_not_stormed() {
    let fake = Fake::start(|_| Some(Duration::ZERO)).await;
    let store = RedisStore::new(fake.source());

    let all = offer(100, millis(2_000), |_| resolves(store.clone())).await;

    assert!(all.iter().all(|told| told.failed.is_some()));
    assert!(fake.connects() <= 10, "{} connects", fake.connects());
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn a_late_refusal_of_a_replica_leaves_the_new_link_up() {
    let fake = Fake::start(|script| match script {
        1 => Some(Duration::ZERO),
        2 => Some(millis(60)),
        _ => None,
    })
    .await;
    let store = RedisStore::new(fake.source());
    resolves(store.clone()).await.unwrap();
    tokio::time::sleep(millis(200)).await;
    assert_eq!(fake.connects(), 2);

    let (one, two) = tokio::join!(resolves(store.clone()), resolves(store.clone()));
    one.unwrap();
    two.unwrap();
    tokio::time::sleep(millis(500)).await;

    assert_eq!(fake.connects(), 4, "the link went down once");
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn a_link_with_a_long_deadline_connects_again_soon_after_it_went_up() {
    let fake = Fake::start(|script| (script == 1).then_some(Duration::ZERO)).await;
    let store = RedisStore::builder(fake.source()).deadline(millis(60_000));
    let store = store.build();
    resolves(store.clone()).await.unwrap();
    resolves(store.clone()).await.unwrap();

    fake.cut.notify_waiters();
    tokio::time::sleep(millis(20)).await;
    let again = tokio::time::timeout(millis(2_000), resolves(store));

    again.await.expect("the next call is answered").unwrap();
}
