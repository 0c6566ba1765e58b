//! A relay before PostgreSQL that replies as PgBouncer does when the server crashes during a statement.
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
        atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// A relay on a free port of the loopback.
pub(crate) struct Pooler {
    pub(crate) port: u16,
    way: Arc<Way>,
}

struct Way {
    upstream: u16,
    /// The server crashes after the next request with these bytes in it.
    crashes: Mutex<Option<Vec<u8>>>,
    crashed: AtomicU32,
    /// New connections are refused after the crash.
    refuses: AtomicBool,
    refused: AtomicBool,
    /// Connections are opened also then, and only what they ask is refused.
    opens: AtomicBool,
    opened: AtomicU32,
    /// All that clients have sent.
    sent: Mutex<Vec<u8>>,
}

impl Pooler {
    pub(crate) async fn before(upstream: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let way = Arc::new(Way {
            upstream,
            crashes: Mutex::new(None),
            crashed: AtomicU32::new(0),
            refuses: AtomicBool::new(false),
            refused: AtomicBool::new(false),
            opens: AtomicBool::new(false),
            opened: AtomicU32::new(0),
            sent: Mutex::new(Vec::new()),
        });
        let shared = Arc::clone(&way);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&shared).carry(client));
            }
        });
        Self { port, way }
    }

    /// The next request with these bytes runs. Then an error of the relay is its reply, and the connection is closed.
    pub(crate) fn crashes_after(&self, bytes: impl AsRef<[u8]>) {
        *self.way.crashes.lock().unwrap() = Some(bytes.as_ref().to_vec());
    }

    /// As [`crashes_after`](Self::crashes_after). New connections are refused from then on.
    pub(crate) fn crashes_and_refuses_after(&self, bytes: impl AsRef<[u8]>) {
        self.way.refuses.store(true, SeqCst);
        self.crashes_after(bytes);
    }

    /// The server is away from now on: connections are opened, and what they ask is refused.
    pub(crate) fn opens_and_refuses(&self) {
        self.way.opens.store(true, SeqCst);
        self.way.refused.store(true, SeqCst);
    }

    /// How many connections were opened while what they ask is refused.
    pub(crate) fn opened(&self) -> u32 {
        self.way.opened.load(SeqCst)
    }

    /// Takes new connections again.
    pub(crate) fn heal(&self) {
        self.way.refuses.store(false, SeqCst);
        self.way.refused.store(false, SeqCst);
    }

    /// How many requests met a crash.
    pub(crate) fn crashed(&self) -> u32 {
        self.way.crashed.load(SeqCst)
    }

    /// What clients have sent since the last call.
    pub(crate) fn sent(&self) -> String {
        let sent = std::mem::take(&mut *self.way.sent.lock().unwrap());
        String::from_utf8_lossy(&sent).into_owned()
    }
}

impl Way {
    async fn carry(self: Arc<Self>, mut client: TcpStream) {
        let upstream = (Ipv4Addr::LOCALHOST, self.upstream);
        let mut server = TcpStream::connect(upstream).await.unwrap();
        let (mut request, mut reply) = (vec![0; 1 << 20], vec![0; 1 << 20]);
        // What comes of the server once it is to crash: it may come in pieces.
        let (mut crashes, mut kept) = (false, Vec::new());
        loop {
            tokio::select! {
                Ok(read) = client.read(&mut request) => {
                    let part = &request[..read];
                    // Only the message that opens a connection begins with its length.
                    let opens = self.opens.load(SeqCst) && part.first() == Some(&0);
                    if self.refused.load(SeqCst) && !opens {
                        return answers(&mut client, "server login has been failing, cached error: ... (server_login_retry)").await;
                    }
                    self.sent.lock().unwrap().extend(part);
                    crashes |= self.crashes(part);
                    if read == 0 || server.write_all(part).await.is_err() {
                        return;
                    }
                }
                Ok(read) = server.read(&mut reply) => {
                    if crashes {
                        kept.extend(&reply[..read]);
                    }
                    // A whole reply ends with "ready for the next statement".
                    if kept.ends_with(b"Z\0\0\0\x05I") {
                        self.crashed.fetch_add(1, SeqCst);
                        return answers(&mut client, "server conn crashed?").await;
                    }
                    if read == 0 || !crashes && client.write_all(&reply[..read]).await.is_err() {
                        return;
                    }
                    // With the server away that was the reply to this message.
                    self.opened.fetch_add(self.refused.load(SeqCst).into(), SeqCst);
                }
                else => return,
            }
        }
    }

    /// Whether the server crashes after this request.
    fn crashes(&self, request: &[u8]) -> bool {
        let mut crashes = self.crashes.lock().unwrap();
        let has = |part: &mut Vec<u8>| request.windows(part.len()).any(|window| window == part);
        let crashes = crashes.take_if(has).is_some();
        if crashes && self.refuses.load(SeqCst) {
            self.refused.store(true, SeqCst);
        }
        crashes
    }
}

/// An error with the three fields that PgBouncer sends. PostgreSQL sends more, among them a severity that is not translated.
async fn answers(client: &mut TcpStream, message: &str) {
    let fields = format!("SFATAL\0C08P01\0M{message}\0\0");
    let length = u32::try_from(fields.len() + 4).unwrap();
    let error = [b"E", &length.to_be_bytes()[..], fields.as_bytes()].concat();
    // A client that is gone needs no reply.
    let _ = client.write_all(&error).await;
}
