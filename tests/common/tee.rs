//! A relay in front of a server that keeps a copy of what clients send.

use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{TcpListener, TcpStream},
};

/// A relay on a free port of the loopback.
pub struct Tee {
    pub port: u16,
    sent: Arc<Mutex<Vec<u8>>>,
}

impl Tee {
    pub async fn before(upstream: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let sent = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&sent);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(relay(client, upstream, Arc::clone(&kept)));
            }
        });
        Self { port, sent }
    }

    /// What clients have sent since the last call.
    #[allow(dead_code, reason = "not every test takes it")]
    pub fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.sent.lock().unwrap())
    }

    /// All bytes that clients have sent.
    pub fn sent(&self) -> String {
        String::from_utf8_lossy(&self.sent.lock().unwrap()).into_owned()
    }
}

async fn relay(client: TcpStream, upstream: u16, kept: Arc<Mutex<Vec<u8>>>) {
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, upstream))
        .await
        .unwrap();
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    tokio::spawn(async move { copy(&mut from_server, &mut to_client).await });
    let mut chunk = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = from_client.read(&mut chunk).await {
        kept.lock().unwrap().extend(&chunk[..length]);
        if to_server.write_all(&chunk[..length]).await.is_err() {
            return;
        }
    }
}
