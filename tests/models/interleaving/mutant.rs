//! A proxy in front of a real Redis that removes one rule from the scripts on their way.

use std::{
    collections::BTreeSet,
    net::Ipv4Addr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, copy},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf},
};

use super::rules::Rule;

/// A proxy on a free port of the loopback.
pub(crate) struct Mutant {
    port: u16,
    altered: Altered,
}

/// The scripts that were sent without the rule.
type Altered = Arc<Mutex<BTreeSet<String>>>;

impl Mutant {
    pub(crate) async fn start(upstream: u16, rule: Rule) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let altered = Altered::default();
        let kept = Arc::clone(&altered);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, upstream, rule, Arc::clone(&kept)));
            }
        });
        Self { port, altered }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The scripts that were sent without the rule.
    pub(crate) fn altered(&self) -> BTreeSet<String> {
        self.altered.lock().unwrap().clone()
    }
}

async fn carry(client: TcpStream, upstream: u16, rule: Rule, altered: Altered) {
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, upstream))
        .await
        .unwrap();
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    let (from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    tokio::spawn(async move { copy(&mut from_server, &mut to_client).await });
    let mut commands = BufReader::new(from_client);
    while let Some(mut words) = command(&mut commands).await {
        // The server never has a script under its unaltered hash, so each script is sent whole.
        if words[0] == b"EVAL" {
            let source = String::from_utf8(words[1].clone()).unwrap();
            if source.contains(rule.script) && source.contains(rule.line) {
                let source = source.replace(rule.line, rule.instead);
                words[1] = source.clone().into_bytes();
                altered.lock().unwrap().insert(source);
            }
        }
        let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            bytes.extend(format!("${}\r\n", word.len()).into_bytes());
            bytes.extend(word);
            bytes.extend(b"\r\n");
        }
        if to_server.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

/// The next command, word by word.
async fn command(from: &mut BufReader<OwnedReadHalf>) -> Option<Vec<Vec<u8>>> {
    let count = number(from, '*').await?;
    let mut words = Vec::new();
    for _ in 0..count {
        let length = number(from, '$').await?;
        let mut word = vec![0; length + 2];
        from.read_exact(&mut word).await.ok()?;
        word.truncate(length);
        words.push(word);
    }
    Some(words)
}

async fn number(from: &mut BufReader<OwnedReadHalf>, mark: char) -> Option<usize> {
    let mut line = String::new();
    from.read_line(&mut line).await.ok()?;
    line.trim_end().strip_prefix(mark)?.parse().ok()
}
