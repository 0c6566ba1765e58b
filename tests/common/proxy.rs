//! A TCP proxy in front of a server. It can lose replies, fall silent, connect slowly, and lead to
//! another server.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and not every test needs all of it"
)]

use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicU16, AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// A proxy on a free port of the loopback.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    way: Way,
}

#[derive(Clone)]
struct Way {
    upstream: Arc<AtomicU16>,
    /// How many more replies to scripts are lost, each with its connection.
    lose: Arc<AtomicU32>,
    lost: Arc<AtomicU32>,
    /// The number of connections made.
    made: Arc<AtomicU32>,
    /// Connections up to this number no longer carry anything.
    silent: Arc<AtomicU32>,
    /// How long a new connection carries nothing at first, in ms.
    hold: Arc<AtomicU32>,
}

impl Proxy {
    pub(crate) async fn start(upstream: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let way = Way {
            upstream: Arc::new(upstream.into()),
            lose: Arc::default(),
            lost: Arc::default(),
            made: Arc::default(),
            silent: Arc::default(),
            hold: Arc::default(),
        };
        let shared = way.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(shared.clone().carry(client));
            }
        });
        Self { port, way }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Loses the replies to the next scripts: they run, then the connection is closed.
    pub(crate) fn lose_answers(&self, count: u32) {
        self.way.lose.store(count, Ordering::SeqCst);
    }

    /// The number of lost replies.
    pub(crate) fn lost(&self) -> u32 {
        self.way.lost.load(Ordering::SeqCst)
    }

    /// The number of connections made.
    pub(crate) fn made(&self) -> u32 {
        self.way.made.load(Ordering::SeqCst)
    }

    /// Turns all existing connections into black holes.
    pub(crate) fn fall_silent(&self) {
        self.way.silent.store(self.made(), Ordering::SeqCst);
    }

    /// Makes new connections carry nothing for this long.
    pub(crate) fn hold(&self, patience: Duration) {
        let millis = u32::try_from(patience.as_millis()).unwrap();
        self.way.hold.store(millis, Ordering::SeqCst);
    }

    /// Leads new connections to another server.
    pub(crate) fn lead_to(&self, upstream: u16) {
        self.way.upstream.store(upstream, Ordering::SeqCst);
    }
}

impl Way {
    async fn carry(self, mut client: TcpStream) {
        let number = self.made.fetch_add(1, Ordering::SeqCst) + 1;
        let hold = self.hold.load(Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(hold.into())).await;
        let upstream = (Ipv4Addr::LOCALHOST, self.upstream.load(Ordering::SeqCst));
        let Ok(mut server) = TcpStream::connect(upstream).await else {
            return;
        };
        let (mut question, mut answer) = (vec![0; 65_536], vec![0; 65_536]);
        let mut script = false;
        loop {
            tokio::select! {
                Ok(read) = client.read(&mut question) => {
                    let part = &question[..read];
                    if number <= self.silent.load(Ordering::SeqCst) {
                        std::future::pending::<()>().await;
                    }
                    // Of a user or a guest: probes are not among them.
                    script = part.windows(10).any(|word| word == b"sessions:{");
                    if read == 0 || server.write_all(part).await.is_err() {
                        return;
                    }
                }
                Ok(read) = server.read(&mut answer) => {
                    // After an error nothing ran, so no reply can be lost.
                    let ran = script && !answer.starts_with(b"-");
                    if read == 0 || ran && self.loses_this() {
                        return;
                    }
                    if client.write_all(&answer[..read]).await.is_err() {
                        return;
                    }
                }
                else => return,
            }
        }
    }

    fn loses_this(&self) -> bool {
        let one_less = |left: u32| left.checked_sub(1);
        let order = Ordering::SeqCst;
        let loses = self.lose.fetch_update(order, order, one_less).is_ok();
        self.lost.fetch_add(loses.into(), order);
        loses
    }
}
