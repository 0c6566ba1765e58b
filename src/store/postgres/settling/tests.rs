//! A server that answers no change while its table is locked.

use std::{
    pin::Pin,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use deadpool_postgres::{
    Connect, Manager, ManagerConfig, Pool,
    tokio_postgres::{self, Config},
};
use tokio::{
    io::{self, AsyncReadExt, AsyncWriteExt, DuplexStream},
    task::JoinHandle,
};

use super::{
    super::places::{Place, Places},
    *,
};
use crate::store::Urgency;

const LONG: Duration = Duration::from_secs(60);

/// What the fake server knows.
#[derive(Clone)]
struct Server {
    locked: watch::Sender<bool>,
    /// How many processes serve a connection, or wait for the lock for one that was closed.
    processes: Arc<AtomicUsize>,
}

impl Server {
    fn locked() -> Self {
        Self {
            locked: watch::Sender::new(true),
            processes: Arc::default(),
        }
    }

    fn pool(&self, connections: usize) -> Pool {
        let manager = Manager::from_connect(Config::new(), self.clone(), ManagerConfig::default());
        let pool = Pool::builder(manager).max_size(connections);
        pool.build().unwrap()
    }

    fn processes(&self) -> usize {
        self.processes.load(Relaxed)
    }

    /// One process. While it waits for the lock it does not notice that its connection is closed.
    async fn serve(self, mut stream: DuplexStream) -> io::Result<()> {
        let len = stream.read_u32().await?;
        skip(&mut stream, len).await?;
        // Authenticated, and ready.
        stream.write_all(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I").await?;
        let mut locked = self.locked.subscribe();
        loop {
            let kind = stream.read_u8().await?;
            let len = stream.read_u32().await?;
            skip(&mut stream, len).await?;
            if kind == b'Q' {
                let free = locked.wait_for(|locked| !locked).await;
                drop(free.map_err(io::Error::other)?);
                stream.write_all(b"C\0\0\0\x0dUPDATE 1\0").await?;
            }
            stream.write_all(b"Z\0\0\0\x05I").await?;
        }
    }
}

/// Reads what follows a length.
async fn skip(stream: &mut DuplexStream, len: u32) -> io::Result<()> {
    let mut rest = vec![0; usize::try_from(len).map_err(io::Error::other)? - 4];
    stream.read_exact(&mut rest).await.map(drop)
}

type Connected = Result<(tokio_postgres::Client, JoinHandle<()>), tokio_postgres::Error>;

impl Connect for Server {
    fn connect(&self, config: &Config) -> Pin<Box<dyn Future<Output = Connected> + Send + '_>> {
        let (config, (near, far)) = (config.clone(), io::duplex(1_024));
        let server = self.clone();
        Box::pin(async move {
            server.processes.fetch_add(1, Relaxed);
            tokio::spawn(async move {
                let _ = server.clone().serve(far).await;
                server.processes.fetch_sub(1, Relaxed);
            });
            let (client, connection) = config.connect_raw(near, NoTls).await?;
            let connection = tokio::spawn(async move { drop(connection.await) });
            Ok((client, connection))
        })
    }
}

/// A store's connections to it.
struct App {
    pool: Pool,
    size: usize,
    places: Arc<Places>,
    settling: Settling,
}

impl App {
    fn new(server: &Server, size: usize) -> Self {
        Self {
            pool: server.pool(size),
            size,
            places: Arc::default(),
            settling: Settling::new(Duration::ZERO, LONG),
        }
    }

    /// A place, if one is free.
    async fn place(&self) -> Option<Place> {
        let mut place = self.places.take(Urgency::Other, false, self.size);
        let turn = time::timeout(Duration::ZERO, place.turn()).await;
        turn.is_ok().then_some(place)
    }

    /// A call that is given up before its statement is answered. Returns whether it was sent.
    async fn gives_up(&self, sql: &str) -> bool {
        let Some(place) = self.place().await else {
            return false;
        };
        let client = self.pool.get().await.unwrap();
        let sent = time::timeout(Duration::ZERO, client.batch_execute(sql)).await;
        let since = Monotonic::now().as_millis();
        self.settling.settle(client, place, since, self.size, false);
        assert!(sent.is_err());
        true
    }

    /// A write, unless it is refused.
    async fn writes(&self) -> bool {
        !self.settling.refuses(self.size) && self.gives_up("UPDATE").await
    }

    /// How many statements are late, keep their place for long, and have none.
    fn counts(&self) -> [usize; 3] {
        let Inner {
            late, kept, beside, ..
        } = &*self.settling.0;
        [late, kept, beside].map(|count| count.load(SeqCst))
    }
}

/// Waits a second for this at most. The clock goes on only while nothing else happens.
async fn until(mut is_so: impl FnMut() -> bool) {
    let soon = async {
        while !is_so() {
            time::sleep(Duration::from_millis(1)).await;
        }
    };
    time::timeout(Duration::from_secs(1), soon).await.unwrap();
}

/// Offers writes for many times the time after which a late one gives its place away. Returns the most processes.
async fn most_processes(size: usize) -> usize {
    let server = Server::locked();
    let app = App::new(&server, size);
    let (mut most, mut sent) = (0, 0);
    for _ in 0..100 {
        for _ in 0..size {
            sent += usize::from(app.writes().await);
        }
        time::sleep(LONG / 5).await;
        most = most.max(server.processes());
    }
    assert!(sent > size, "{sent} writes were sent");

    server.locked.send_replace(false);
    until(|| app.counts() == [0; 3]).await;
    let mut all = Vec::new();
    for _ in 0..size {
        assert!(!app.settling.refuses(size));
        let place = app.place().await.unwrap();
        let client = app.pool.get().await.unwrap();
        client.batch_execute("UPDATE").await.unwrap();
        all.push((place, client));
    }
    until(|| server.processes() == size).await;
    most
}

#[tokio::test(start_paused = true)]
async fn while_a_lock_of_the_table_lasts_the_server_has_few_processes_more_than_the_pool() {
    for size in [1, 2, 3, 8, 16] {
        let most = most_processes(size).await;

        assert!(
            most <= size + BESIDE,
            "{most} processes of a pool of {size}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn changes_that_all_connections_wait_for_leave_a_place_for_reads() {
    let server = Server::locked();
    let app = App::new(&server, 3);
    for _ in 0..3 {
        assert!(app.gives_up("UPDATE").await);
    }

    until(|| app.counts() == [2, 0, 1]).await;

    assert!(app.place().await.is_some());
    assert!(app.settling.refuses(3));
    assert_eq!(server.processes(), 3);
}

/// Without a server.
fn settling() -> Settling {
    Settling::new(Duration::from_secs(3_600), LONG)
}

#[test]
fn once_a_write_was_late_for_long_one_write_at_a_time_tries_whether_writes_are_answered() {
    let settling = settling();
    assert_eq!([settling.refuses(3), settling.refuses(3)], [false; 2]);

    settling.waits_long();
    assert_eq!([settling.refuses(3), settling.refuses(3)], [false, true]);

    settling.works();
    assert_eq!([settling.refuses(3), settling.refuses(3)], [false; 2]);
}

#[test]
fn once_a_write_was_late_for_long_no_write_tries_while_another_is_late() {
    let settling = settling();
    let late = settling.count(LATE, 2);
    assert!(!settling.refuses(3));

    settling.waits_long();
    assert!(settling.refuses(3));

    drop(late);
    assert!(!settling.refuses(3));
}

#[test]
fn a_write_that_keeps_its_place_for_long_lets_another_one_try_while_there_are_places() {
    let settling = settling();
    let _late = settling.count(LATE, 2);
    settling.waits_long();
    let _kept = settling.count(KEPT, 1);

    assert!(!settling.refuses(3));
    settling.waits_long();
    let _late = settling.count(LATE, 2);
    let _kept = settling.count(KEPT, 2);

    assert!(settling.refuses(3));
}
