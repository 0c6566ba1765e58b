//! A relay before any server, which can hold requests back, close connections and fall silent.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and not every test needs all of it"
)]

use std::{
    net::Ipv4Addr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Notify, watch},
};

/// A relay on a port of the loopback.
pub(crate) struct Wire {
    pub(crate) port: u16,
    way: Arc<Way>,
}

struct Way {
    upstream: u16,
    made: AtomicU32,
    /// Bytes that the server sent, and those that it received.
    sent: AtomicU64,
    received: AtomicU64,
    /// Requests with these bytes in them are held.
    holds: Mutex<Option<Vec<u8>>>,
    held: AtomicU32,
    released: watch::Sender<u32>,
    /// Connections up to this one are closed when the next request comes on them.
    doomed: AtomicU32,
    /// How much later each reply arrives, in ms.
    delay: AtomicU32,
    /// New connections carry nothing.
    silent: AtomicBool,
    /// New connections are closed at once.
    closed: AtomicBool,
    cut: Notify,
}

impl Wire {
    pub(crate) async fn before(upstream: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let way = Arc::new(Way {
            upstream,
            made: AtomicU32::new(0),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            holds: Mutex::new(None),
            held: AtomicU32::new(0),
            released: watch::Sender::new(0),
            doomed: AtomicU32::new(0),
            delay: AtomicU32::new(0),
            silent: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            cut: Notify::new(),
        });
        let shared = Arc::clone(&way);
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let number = shared.made.fetch_add(1, SeqCst) + 1;
                if shared.closed.load(SeqCst) {
                    continue;
                }
                tokio::spawn(relay(client, number, Arc::clone(&shared)));
            }
        });
        Self { port, way }
    }

    /// How many connections were made.
    pub(crate) fn made(&self) -> u32 {
        self.way.made.load(SeqCst)
    }

    /// How many bytes the server sent, and how many it received.
    pub(crate) fn carried(&self) -> (u64, u64) {
        (self.way.sent.load(SeqCst), self.way.received.load(SeqCst))
    }

    /// Each reply arrives so much later.
    pub(crate) fn delay(&self, time: Duration) {
        let millis = u32::try_from(time.as_millis()).unwrap();
        self.way.delay.store(millis, SeqCst);
    }

    /// Holds requests that have these bytes in them.
    pub(crate) fn hold(&self, bytes: impl AsRef<[u8]>) {
        *self.way.holds.lock().unwrap() = Some(bytes.as_ref().to_vec());
    }

    /// How many requests were held.
    pub(crate) fn held(&self) -> u32 {
        self.way.held.load(SeqCst)
    }

    /// Lets the held ones go, also those whose client is gone, and holds no more.
    pub(crate) fn release(&self) {
        *self.way.holds.lock().unwrap() = None;
        self.way.released.send_modify(|times| *times += 1);
    }

    /// Closes all connections.
    pub(crate) fn cut(&self) {
        self.way.cut.notify_waiters();
    }

    /// Closes each connection that there is now, but only when a request comes on it.
    pub(crate) fn cut_when_used(&self) {
        self.way.doomed.store(self.made(), SeqCst);
    }

    /// Closes all connections. What is held never arrives, and no more is held.
    pub(crate) fn lose_held(&self) {
        *self.way.holds.lock().unwrap() = None;
        self.cut();
    }

    /// Closes all connections, and new ones for this long.
    pub(crate) async fn go_away(&self, time: Duration) {
        self.way.closed.store(true, SeqCst);
        self.cut();
        tokio::time::sleep(time).await;
        self.way.closed.store(false, SeqCst);
    }

    /// New connections carry nothing, until this is called with `false`.
    pub(crate) fn be_silent(&self, silent: bool) {
        self.way.silent.store(silent, SeqCst);
    }
}

async fn relay(client: TcpStream, number: u32, way: Arc<Way>) {
    let cut = way.cut.notified();
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, way.upstream)).await else {
        return;
    };
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    if way.silent.load(SeqCst) {
        return cut.await;
    }
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let doom = Notify::new();
    let requests = async {
        let mut bytes = vec![0; 1 << 20];
        while let Ok(read @ 1..) = from_client.read(&mut bytes).await {
            let request = &bytes[..read];
            if number <= way.doomed.load(SeqCst) {
                doom.notify_one();
                return;
            }
            if way.is_held(request) {
                let mut released = way.released.subscribe();
                way.held.fetch_add(1, SeqCst);
                released.changed().await.unwrap();
            }
            way.received.fetch_add(read as u64, SeqCst);
            if to_server.write_all(request).await.is_err() {
                return;
            }
        }
    };
    let replies = async {
        let mut bytes = vec![0; 1 << 16];
        while let Ok(mut read @ 1..) = from_server.read(&mut bytes).await {
            let delay = way.delay.load(SeqCst);
            if delay > 0 {
                tokio::time::sleep(Duration::from_millis(delay.into())).await;
                // The rest of the same reply is no later than this.
                read += from_server.try_read(&mut bytes[read..]).unwrap_or(0);
            }
            way.sent.fetch_add(read as u64, SeqCst);
            // A client that is gone does not keep its request from the server.
            let _ = to_client.write_all(&bytes[..read]).await;
        }
    };
    tokio::select! {
        () = async { tokio::join!(requests, replies); } => {}
        () = cut => {}
        () = doom.notified() => {}
    }
}

impl Way {
    fn is_held(&self, request: &[u8]) -> bool {
        let holds = self.holds.lock().unwrap();
        let has = |part: &Vec<u8>| request.windows(part.len()).any(|window| window == part);
        holds.as_ref().is_some_and(has)
    }
}
