//! A relay in front of a web server that holds responses back until the test lets them go.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// A relay on a free port of the loopback. It holds the responses to paths that begin with `/slow/`.
pub struct Hold {
    pub port: u16,
    held: Arc<watch::Sender<bool>>,
}

impl Hold {
    pub async fn before(upstream: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let held = Arc::new(watch::Sender::new(true));
        let shared = Arc::clone(&held);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(relay(client, upstream, shared.subscribe()));
            }
        });
        Self { port, held }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.port)
    }

    /// Holds later responses.
    pub fn hold(&self) {
        self.held.send_replace(true);
    }

    /// Lets all responses go.
    pub fn release(&self) {
        self.held.send_replace(false);
    }
}

async fn relay(client: TcpStream, upstream: u16, mut held: watch::Receiver<bool>) {
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, upstream))
        .await
        .unwrap();
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let slow = Arc::new(AtomicBool::new(false));
    let is_slow = Arc::clone(&slow);
    tokio::spawn(async move {
        let mut bytes = vec![0; 16 * 1024];
        while let Ok(read @ 1..) = from_server.read(&mut bytes).await {
            if is_slow.load(SeqCst) && held.wait_for(|held| !held).await.is_err() {
                return;
            }
            if to_client.write_all(&bytes[..read]).await.is_err() {
                return;
            }
        }
    });
    let mut bytes = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = from_client.read(&mut bytes).await {
        // A browser sends the next request on a connection after the response to the one before.
        let line = bytes[..read].split(|byte| *byte == b'\r').next().unwrap();
        let path = line.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
        slow.store(path.starts_with(b"/slow/"), SeqCst);
        if to_server.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}
