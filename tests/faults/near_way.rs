//! The way of a node to its server: what comes on the connection of its feed and what answers its calls can each be
//! late, fall silent and be cut, and messages can be lost.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU16, AtomicU32, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Notify, mpsc},
    time::{Instant, sleep, sleep_until},
};

use crate::common::{postgres, resp};

/// A relay on a port of the loopback.
pub(super) struct Way {
    pub(super) port: u16,
    state: Arc<State>,
}

struct State {
    speaks: Language,
    /// The port of the server.
    to: AtomicU16,
    feed: Part,
    data: Part,
    /// How many of 100 messages are lost.
    loses: AtomicU32,
    messages: AtomicU32,
    lost: AtomicU64,
}

/// The connection of the feed, or that of calls.
#[derive(Default)]
struct Part {
    late: AtomicU64,
    silent: AtomicBool,
    cut: Notify,
}

/// Which connection.
#[derive(Clone, Copy, Debug)]
pub(super) enum Of {
    Feed,
    Data,
}

/// How a server frames what it sends.
#[derive(Clone, Copy, Debug)]
enum Language {
    Redis,
    Postgres,
}

impl Language {
    /// Whether a client with this question begins to listen.
    fn listens(self, said: &[u8]) -> bool {
        let word = match self {
            Self::Redis => &b"SUBSCRIBE\r\n"[..],
            Self::Postgres => b"LISTEN \"",
        };
        said.windows(word.len()).any(|part| part == word)
    }

    /// How long the first reply is, if it is there as a whole.
    fn reply(self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::Redis => resp::reply(bytes),
            Self::Postgres => postgres::reply(bytes),
        }
    }

    /// Whether it is a message that reports a change.
    fn is_message(self, reply: &[u8]) -> bool {
        match self {
            Self::Redis => resp::is_message(reply),
            Self::Postgres => postgres::is_message(reply),
        }
    }
}

impl State {
    fn part(&self, of: Of) -> &Part {
        match of {
            Of::Feed => &self.feed,
            Of::Data => &self.data,
        }
    }

    fn loses_one(&self) -> bool {
        // 37 has no common divisor with 100, so all of 100 messages differ.
        let number = self.messages.fetch_add(37, SeqCst) % 100;
        let loses = number < self.loses.load(SeqCst);
        self.lost.fetch_add(loses.into(), SeqCst);
        loses
    }
}

impl Way {
    /// Before a server of Redis.
    pub(super) async fn start(to: u16) -> Self {
        Self::before(Language::Redis, to).await
    }

    pub(super) async fn postgres(to: u16) -> Self {
        Self::before(Language::Postgres, to).await
    }

    async fn before(speaks: Language, to: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            speaks,
            to: AtomicU16::new(to),
            feed: Part::default(),
            data: Part::default(),
            loses: AtomicU32::new(0),
            messages: AtomicU32::new(0),
            lost: AtomicU64::new(0),
        });
        let accepting = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, Arc::clone(&accepting)));
            }
        });
        Self { port, state }
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// New connections go to this server.
    pub(super) fn leads_to(&self, port: u16) {
        self.state.to.store(port, SeqCst);
        self.cut(Of::Feed);
        self.cut(Of::Data);
    }

    /// Holds each reply or message for so long.
    pub(super) fn be_late(&self, of: Of, time: Duration) {
        let millis = u64::try_from(time.as_millis()).unwrap();
        self.state.part(of).late.store(millis, SeqCst);
    }

    /// Nothing arrives, and nothing closes, until it is no longer silent.
    pub(super) fn be_silent(&self, of: Of, silent: bool) {
        self.state.part(of).silent.store(silent, SeqCst);
    }

    pub(super) fn cut(&self, of: Of) {
        self.state.part(of).cut.notify_waiters();
    }

    /// Loses so many of 100 messages.
    pub(super) fn lose(&self, percent: u32) {
        self.state.loses.store(percent, SeqCst);
    }

    /// How many messages it has lost.
    pub(super) fn lost(&self) -> u64 {
        self.state.lost.load(SeqCst)
    }

    /// No more faults.
    pub(super) fn be_well(&self) {
        self.lose(0);
        for of in [Of::Feed, Of::Data] {
            self.be_late(of, Duration::ZERO);
            self.be_silent(of, false);
        }
    }
}

async fn carry(client: TcpStream, state: Arc<State>) {
    let cuts = (state.feed.cut.notified(), state.data.cut.notified());
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, state.to.load(SeqCst))).await else {
        return;
    };
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let listens = AtomicBool::new(false);
    let (mut feed_cut, mut data_cut) = (std::pin::pin!(cuts.0), std::pin::pin!(cuts.1));
    let cut = async {
        loop {
            tokio::select! {
                () = &mut feed_cut => {
                    if listens.load(SeqCst) {
                        return;
                    }
                    feed_cut.set(state.feed.cut.notified());
                }
                () = &mut data_cut => {
                    if !listens.load(SeqCst) {
                        return;
                    }
                    data_cut.set(state.data.cut.notified());
                }
            }
        }
    };
    tokio::select! {
        () = questions(from_client, to_server, &listens, state.speaks) => {}
        () = answers(from_server, to_client, &listens, &state) => {}
        () = cut => {}
    }
}

async fn questions(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    listens: &AtomicBool,
    speaks: Language,
) {
    let mut bytes = vec![0; 65_536];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        let said = bytes.get(..read).unwrap_or_default();
        if speaks.listens(said) {
            listens.store(true, SeqCst);
        }
        if to.write_all(said).await.is_err() {
            return;
        }
    }
}

async fn answers(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    listens: &AtomicBool,
    state: &State,
) {
    let (queue, mut due) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let part = || {
        state.part(if listens.load(SeqCst) {
            Of::Feed
        } else {
            Of::Data
        })
    };
    let comes = async {
        let mut bytes = Vec::new();
        loop {
            while let Some(length) = state.speaks.reply(&bytes) {
                let reply: Vec<u8> = bytes.drain(..length).collect();
                if state.speaks.is_message(&reply) && state.loses_one() {
                    continue;
                }
                let late = Duration::from_millis(part().late.load(SeqCst));
                if queue.send((Instant::now() + late, reply)).is_err() {
                    return;
                }
            }
            if from.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                return;
            }
        }
    };
    let goes = async {
        while let Some((at, reply)) = due.recv().await {
            if at > Instant::now() {
                sleep_until(at).await;
            }
            while part().silent.load(SeqCst) {
                sleep(Duration::from_millis(5)).await;
            }
            if to.write_all(&reply).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = comes => {}
        () = goes => {}
    }
}
