//! A sentinel that names the master that a test wants.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and not every test needs all of it"
)]

use std::{
    ops::Deref,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use super::fake::Fake;

/// What a sentinel says of the master.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) host: &'static str,
    pub(crate) port: u16,
    pub(crate) epoch: u64,
    pub(crate) run_id: &'static str,
}

impl Said {
    pub(crate) fn new(port: u16, epoch: u64) -> Self {
        Self {
            host: "127.0.0.1",
            port,
            epoch,
            run_id: "",
        }
    }
}

/// Names the master `mymaster`.
pub(crate) struct Sentinel {
    fake: Fake,
    said: Arc<Mutex<Said>>,
    asked: Arc<AtomicU32>,
    listeners: Arc<AtomicU32>,
}

impl Deref for Sentinel {
    type Target = Fake;

    fn deref(&self) -> &Fake {
        &self.fake
    }
}

impl Sentinel {
    pub(crate) async fn start(said: Said) -> Self {
        let said = Arc::new(Mutex::new(said));
        let (asked, listeners) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let (says, counts, listens) = (said.clone(), asked.clone(), listeners.clone());
        let fake = Fake::start(move |command| {
            let word = |at: usize| command.words.get(at).map_or(&b""[..], Vec::as_slice);
            let Said {
                host,
                port,
                epoch,
                run_id,
            } = says.lock().unwrap().clone();
            let (port, epoch) = (port.to_string(), epoch.to_string());
            let answer = match (word(0), word(1)) {
                (b"HELLO", _) => b"%1\r\n$5\r\nproto\r\n:3\r\n".to_vec(),
                (b"SUBSCRIBE", channel) => {
                    listens.fetch_add(1, SeqCst);
                    let channel = bulk(&String::from_utf8_lossy(channel));
                    format!(">3\r\n$9\r\nsubscribe\r\n{channel}:1\r\n").into_bytes()
                }
                (b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME") => {
                    counts.fetch_add(1, SeqCst);
                    array(&[host, &port])
                }
                (b"SENTINEL", b"MASTER") => array(&["config-epoch", &epoch, "runid", run_id]),
                _ => b"+OK\r\n".to_vec(),
            };
            (Duration::ZERO, answer)
        })
        .await;
        Self {
            fake,
            said,
            asked,
            listeners,
        }
    }

    pub(crate) fn says(&self, said: Said) {
        *self.said.lock().unwrap() = said;
    }

    /// Publishes that it names another master.
    pub(crate) fn reports(&self) {
        let port = self.said.lock().unwrap().port;
        let text = bulk(&format!("mymaster 127.0.0.1 1 127.0.0.1 {port}"));
        let push = format!(">3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n{text}");
        self.fake.push(push.into_bytes());
    }

    /// How often it was asked.
    pub(crate) fn asked(&self) -> u32 {
        self.asked.load(SeqCst)
    }

    /// How many subscribed.
    pub(crate) fn listeners(&self) -> u32 {
        self.listeners.load(SeqCst)
    }
}

fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

fn array(words: &[&str]) -> Vec<u8> {
    let words: Vec<String> = words.iter().map(|word| bulk(word)).collect();
    format!("*{}\r\n{}", words.len(), words.concat()).into_bytes()
}
