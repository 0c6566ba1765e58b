//! Passes for a server of Redis: a test says what each command is answered.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and not every test needs all of it"
)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Mutex, Notify, broadcast},
};
use tower_user_sessions::store::RedisSource;

/// A command on one connection.
pub(crate) struct Asked {
    /// Which connection it was, from 1.
    pub(crate) connection: u32,
    pub(crate) words: Vec<Vec<u8>>,
}

impl Asked {
    pub(crate) fn name(&self) -> &[u8] {
        &self.words[0]
    }

    /// Answers that a probe runs, that a token is unknown, and `OK` to all else.
    pub(crate) fn usual(&self) -> Vec<u8> {
        match self.name() {
            b"EVAL" => b"*3\r\n:1\r\n:1000\r\n$8\r\nprobing.\r\n".to_vec(),
            b"EVALSHA" => self.outcome(0, 0),
            _ => b"+OK\r\n".to_vec(),
        }
    }

    /// The reply of a script: the outcome, a time, and this of the four parts of the digest.
    pub(crate) fn outcome(&self, outcome: i64, part: usize) -> Vec<u8> {
        let of = &self.words[5][part * 8..][..8];
        let head = format!("*3\r\n:{outcome}\r\n:1000\r\n$8\r\n");
        [head.as_bytes(), of, b"\r\n"].concat()
    }
}

/// What is answered, after which time.
pub(crate) type Answer = (Duration, Vec<u8>);

type Answers = dyn Fn(&Asked) -> Answer + Send + Sync;

/// A server that speaks just enough. It goes on until the runtime stops.
#[derive(Clone)]
pub(crate) struct Fake {
    pub(crate) port: u16,
    answers: Arc<Answers>,
    connects: Arc<AtomicU32>,
    open: Arc<AtomicU32>,
    silent: Arc<AtomicBool>,
    cut: Arc<Notify>,
    push: broadcast::Sender<Vec<u8>>,
}

impl Fake {
    pub(crate) async fn start(answers: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let fake = Self {
            port: listener.local_addr().unwrap().port(),
            answers: Arc::new(answers),
            connects: Arc::default(),
            open: Arc::default(),
            silent: Arc::default(),
            cut: Arc::default(),
            push: broadcast::Sender::new(16),
        };
        let serving = fake.clone();
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let connection = serving.connects.fetch_add(1, SeqCst) + 1;
                let fake = serving.clone();
                tokio::spawn(async move {
                    fake.open.fetch_add(1, SeqCst);
                    tokio::select! {
                        _ = fake.serve(client, connection) => {}
                        () = fake.cut.notified() => {}
                    }
                    fake.open.fetch_sub(1, SeqCst);
                });
            }
        });
        fake
    }

    async fn serve(&self, client: TcpStream, connection: u32) -> std::io::Result<()> {
        let (from, to) = client.into_split();
        let to = Mutex::new(to);
        let listens = AtomicBool::new(false);
        tokio::select! {
            done = self.answer(from, &to, &listens, connection) => done,
            done = self.report(&to, &listens) => done,
        }
    }

    async fn answer(
        &self,
        from: OwnedReadHalf,
        to: &Mutex<OwnedWriteHalf>,
        listens: &AtomicBool,
        connection: u32,
    ) -> std::io::Result<()> {
        let mut from = BufReader::new(from);
        loop {
            let mut words = Vec::new();
            for _ in 0..number(&mut from).await? {
                let mut word = vec![0; number(&mut from).await? + 2];
                from.read_exact(&mut word).await?;
                word.truncate(word.len() - 2);
                words.push(word);
            }
            let asked = Asked { connection, words };
            let (after, answer) = (self.answers)(&asked);
            if !after.is_zero() {
                tokio::time::sleep(after).await;
            }
            listens.fetch_or(asked.name() == b"SUBSCRIBE", SeqCst);
            self.write(to, &answer).await?;
        }
    }

    async fn report(
        &self,
        to: &Mutex<OwnedWriteHalf>,
        listens: &AtomicBool,
    ) -> std::io::Result<()> {
        let mut pushed = self.push.subscribe();
        loop {
            let push = pushed.recv().await.map_err(std::io::Error::other)?;
            if listens.load(SeqCst) {
                self.write(to, &push).await?;
            }
        }
    }

    async fn write(&self, to: &Mutex<OwnedWriteHalf>, bytes: &[u8]) -> std::io::Result<()> {
        if self.silent.load(SeqCst) {
            std::future::pending::<()>().await;
        }
        to.lock().await.write_all(bytes).await
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn source(&self) -> RedisSource {
        RedisSource::url(&self.url()).unwrap()
    }

    /// How many connections were made.
    pub(crate) fn connects(&self) -> u32 {
        self.connects.load(SeqCst)
    }

    /// How many connections are open.
    pub(crate) fn open(&self) -> u32 {
        self.open.load(SeqCst)
    }

    /// Closes all connections.
    pub(crate) fn cut(&self) {
        self.cut.notify_waiters();
    }

    /// Whether it answers nothing from here on. What fell silent once stays so.
    pub(crate) fn be_silent(&self, silent: bool) {
        self.silent.store(silent, SeqCst);
    }

    /// Sends this to all who subscribed.
    pub(crate) fn push(&self, bytes: Vec<u8>) {
        let _nobody_may_be_connected = self.push.send(bytes);
    }
}

async fn number(from: &mut BufReader<OwnedReadHalf>) -> std::io::Result<usize> {
    let mut line = String::new();
    if from.read_line(&mut line).await? == 0 {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line[1..].trim().parse().unwrap())
}
