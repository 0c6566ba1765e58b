//! Clients that send requests over connections of their own, one after another.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

/// How many connections there are.
pub const CONNECTIONS: u64 = 32;

/// One connection to the app.
pub struct Client {
    socket: TcpStream,
    bytes: Vec<u8>,
}

impl Client {
    pub async fn connect(app: SocketAddr) -> Self {
        let socket = TcpStream::connect(app).await.unwrap();
        socket.set_nodelay(true).unwrap();
        Self {
            socket,
            bytes: Vec::new(),
        }
    }

    /// Sends a request and returns the head of the response, which must be a 200.
    pub async fn send(&mut self, method: &str, path: &str, cookie: &str) -> String {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncookie: {cookie}\r\ncontent-length: 0\r\n\
             user-agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n\r\n"
        );
        self.socket.write_all(request.as_bytes()).await.unwrap();
        self.bytes.clear();
        loop {
            self.socket.read_buf(&mut self.bytes).await.unwrap();
            let text = String::from_utf8_lossy(&self.bytes);
            let Some((head, body)) = text.split_once("\r\n\r\n") else {
                continue;
            };
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                assert!(head.starts_with("HTTP/1.1 200"), "{head}");
                return head.to_owned();
            }
        }
    }

    /// Signs in and returns the cookie.
    pub async fn log_in(&mut self, user: u64) -> String {
        let head = self
            .send("POST", &format!("/login?user={user}"), "a=b")
            .await;
        let line = head
            .lines()
            .find_map(|line| line.strip_prefix("set-cookie: "));
        line.unwrap().split(';').next().unwrap().to_owned()
    }
}

/// Cookies of so many users.
pub async fn cookies(app: SocketAddr, users: u64) -> Arc<Vec<String>> {
    let mut all = JoinSet::new();
    for client in 0..CONNECTIONS {
        all.spawn(async move {
            let (mut connection, mut cookies) = (Client::connect(app).await, Vec::new());
            for user in (client..users).step_by(CONNECTIONS as usize) {
                cookies.push(connection.log_in(user).await);
            }
            cookies
        });
    }
    Arc::new(all.join_all().await.concat())
}

/// What the clients do.
#[derive(Clone)]
pub enum Work {
    Me(Arc<Vec<String>>),
    LogIn(u64),
}

/// Requests a second.
pub async fn rate(app: SocketAddr, work: &Work, time: Duration) -> f64 {
    let (mut all, done, began) = (JoinSet::new(), Arc::new(AtomicU64::new(0)), Instant::now());
    for client in 0..CONNECTIONS {
        let (work, done) = (work.clone(), Arc::clone(&done));
        all.spawn(async move {
            let (mut connection, mut number) = (Client::connect(app).await, client * 7_919 + 1);
            while began.elapsed() < time {
                number = number
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                match &work {
                    Work::Me(cookies) => {
                        let cookie = &cookies[(number >> 33) as usize % cookies.len()];
                        connection.send("GET", "/me", cookie).await;
                    }
                    Work::LogIn(users) => {
                        connection.log_in((number >> 33) % users).await;
                    }
                }
                done.fetch_add(1, Relaxed);
            }
        });
    }
    all.join_all().await;
    done.load(Relaxed) as f64 / began.elapsed().as_secs_f64()
}
