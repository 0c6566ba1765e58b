//! A relay before a Redis server: it can be slow, lose or swap replies, fall silent, be away, and carry
//! so many replies a second.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and not every test needs all of it"
)]

mod replies;

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Mutex, Notify},
    time::Instant,
};

use self::replies::replies;
use super::resp::is_message;

/// How much of the time that it lost a relay with a bound makes up for.
const CATCHES_UP: Duration = Duration::from_millis(50);

/// A relay on a port of the loopback.
pub(crate) struct Relay {
    pub(crate) port: u16,
    way: Arc<Way>,
}

#[derive(Default)]
struct Way {
    upstream: u16,
    /// How many connections were made.
    made: AtomicU32,
    /// Connections up to this one carry nothing any more.
    silent: AtomicU32,
    /// New connections carry nothing either.
    black_hole: AtomicBool,
    /// How much later each reply arrives, in ms.
    delay: AtomicU32,
    /// How many more replies are lost; the connection stays.
    lose: AtomicU32,
    /// How many more error replies are lost.
    lose_errors: AtomicU32,
    /// How many more replies are sent one place too late, all on one connection: the first that has a reply. The first pair
    /// waits there for the last one.
    swap: AtomicU32,
    /// How many more messages to this channel are lost.
    lose_messages: AtomicU32,
    swaps_on: AtomicU32,
    /// How many replies are on their way to clients.
    carries: AtomicU32,
    /// Replies a second; 0 for no bound.
    rate: AtomicU32,
    /// When the next reply may pass.
    next: Mutex<Option<Instant>>,
    /// Whether the replies of all connections wait in one queue.
    one_queue: AtomicBool,
    away: AtomicBool,
    changed: Notify,
    /// Connections that listen to channels are closed.
    cut_listeners: AtomicBool,
    /// They carry nothing.
    silent_listeners: AtomicBool,
    listeners_changed: Notify,
}

/// One connection.
struct Wire {
    number: u32,
    /// Whether it listens to channels.
    listens: AtomicBool,
}

impl Relay {
    pub(crate) async fn start(upstream: u16) -> Self {
        Self::start_at(Ipv4Addr::LOCALHOST, 0, upstream).await
    }

    /// On this address of the loopback; port 0 is any that is free.
    pub(crate) async fn start_at(host: Ipv4Addr, port: u16, upstream: u16) -> Self {
        let listener = TcpListener::bind((host, port)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let port = address.port();
        let way = Arc::new(Way {
            upstream,
            ..Way::default()
        });
        tokio::spawn(accept(listener, address, Arc::clone(&way)));
        Self { port, way }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// How many connections were made.
    pub(crate) fn made(&self) -> u32 {
        self.way.made.load(SeqCst)
    }

    /// Carries so many replies a second, over all connections.
    pub(crate) fn carry(&self, replies: u32) {
        self.way.rate.store(replies, SeqCst);
    }

    /// From the next connection on, replies of all connections wait in one queue, in the order in which the server sent
    /// them. Those of a new connection come after all old ones, also after those that nobody waits for any more.
    pub(crate) fn queue_all(&self) {
        self.way.one_queue.store(true, SeqCst);
    }

    /// Each reply arrives so much later. Those that are on their way are late by this, too.
    pub(crate) fn delay(&self, time: Duration) {
        let millis = u32::try_from(time.as_millis()).unwrap();
        self.way.delay.store(millis, SeqCst);
    }

    /// The connections that there are carry nothing any more, and do not close.
    pub(crate) fn fall_silent(&self) {
        self.way.silent.store(self.made(), SeqCst);
    }

    /// No connection carries anything, nor do new ones.
    pub(crate) fn become_a_black_hole(&self) {
        self.way.black_hole.store(true, SeqCst);
        self.fall_silent();
    }

    /// Connections that are made from now on carry replies again.
    pub(crate) fn leave_the_black_hole(&self) {
        self.way.black_hole.store(false, SeqCst);
    }

    /// Loses the next so many replies. Nothing closes: each later reply reaches the request before its own.
    pub(crate) fn lose(&self, replies: u32) {
        self.way.lose.store(replies, SeqCst);
    }

    /// Loses the next so many replies that are errors. All else arrives.
    pub(crate) fn lose_errors(&self, replies: u32) {
        self.way.lose_errors.store(replies, SeqCst);
    }

    /// Loses the next so many messages of the feed. All else arrives.
    pub(crate) fn lose_messages(&self, messages: u32) {
        self.way.lose_messages.store(messages, SeqCst);
    }

    /// How many messages are still to be lost.
    pub(crate) fn messages_to_lose(&self) -> u32 {
        self.way.lose_messages.load(SeqCst)
    }

    /// How many replies are still to be lost.
    pub(crate) fn to_lose(&self) -> u32 {
        self.way.lose.load(SeqCst) + self.way.lose_errors.load(SeqCst)
    }

    /// How many replies are on their way to clients.
    pub(crate) fn carries(&self) -> u32 {
        self.way.carries.load(SeqCst)
    }

    /// Swaps the next so many pairs of replies on the connection that carries the next one.
    pub(crate) fn swap(&self, pairs: u32) {
        self.way.swaps_on.store(0, SeqCst);
        self.way.swap.store(pairs, SeqCst);
    }

    /// How many pairs are still to be swapped.
    pub(crate) fn to_swap(&self) -> u32 {
        self.way.swap.load(SeqCst)
    }

    /// Closes all connections, and the port for so long.
    pub(crate) async fn go_away(&self, time: Duration) {
        self.way.away.store(true, SeqCst);
        self.way.changed.notify_waiters();
        tokio::time::sleep(time).await;
        self.way.away.store(false, SeqCst);
        self.way.changed.notify_waiters();
    }

    /// Closes all connections.
    pub(crate) fn cut(&self) {
        self.way.changed.notify_waiters();
    }

    /// Closes connections that listen to channels, also new ones. All others go on.
    pub(crate) fn cut_listeners(&self, cut: bool) {
        self.way.cut_listeners.store(cut, SeqCst);
        self.way.listeners_changed.notify_waiters();
    }

    /// Connections that listen to channels carry nothing any more, nor do new ones. All others go on.
    pub(crate) fn silence_listeners(&self, silent: bool) {
        self.way.silent_listeners.store(silent, SeqCst);
    }
}

async fn accept(mut listener: TcpListener, address: SocketAddr, way: Arc<Way>) {
    loop {
        let changed = way.changed.notified();
        if way.away.load(SeqCst) {
            drop(listener);
            changed.await;
            listener = loop {
                if let Ok(bound) = TcpListener::bind(address).await {
                    break bound;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            };
            continue;
        }
        tokio::select! {
            accepted = listener.accept() => {
                let (client, _) = accepted.unwrap();
                tokio::spawn(relay(client, Arc::clone(&way)));
            }
            () = changed => {}
        }
    }
}

async fn relay(client: TcpStream, way: Arc<Way>) {
    let number = way.made.fetch_add(1, SeqCst) + 1;
    let closed = way.changed.notified();
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, way.upstream)).await else {
        return;
    };
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let wire = Wire {
        number,
        listens: AtomicBool::new(false),
    };
    tokio::select! {
        () = requests(from_client, to_server, &wire, &way) => {}
        () = replies(from_server, to_client, &wire, &way) => {}
        () = way.cuts(&wire) => {}
        () = closed => {}
    }
}

impl Way {
    fn loses(&self, reply: &[u8]) -> bool {
        take(&self.lose)
            || reply.starts_with(b"-") && take(&self.lose_errors)
            || is_message(reply) && take(&self.lose_messages)
    }

    /// Whether pairs are still to be swapped on this connection.
    fn swaps(&self, number: u32) -> bool {
        self.swap.load(SeqCst) > 0 && self.swaps_on.load(SeqCst) == number
    }

    fn swaps_on(&self, number: u32) -> bool {
        if self.swap.load(SeqCst) == 0 {
            return false;
        }
        let chosen = self.swaps_on.compare_exchange(0, number, SeqCst, SeqCst);
        chosen.is_ok() || chosen == Err(number)
    }

    /// When a reply may pass that comes now.
    fn turn(&self, next: &mut Option<Instant>) -> Instant {
        let now = Instant::now();
        let rate = self.rate.load(SeqCst);
        if rate == 0 {
            return now;
        }
        // A task that woke too late makes up for it.
        let least = now.checked_sub(CATCHES_UP).unwrap_or(now);
        let turn = next.map_or(least, |next| next.max(least));
        *next = Some(turn + Duration::from_secs(1) / rate);
        turn
    }

    async fn unless_silent(&self, wire: &Wire) {
        if wire.number <= self.silent.load(SeqCst)
            || self.black_hole.load(SeqCst)
            || wire.listens.load(SeqCst) && self.silent_listeners.load(SeqCst)
        {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until this connection listens, and such are cut.
    async fn cuts(&self, wire: &Wire) {
        loop {
            let changed = self.listeners_changed.notified();
            if wire.listens.load(SeqCst) && self.cut_listeners.load(SeqCst) {
                return;
            }
            changed.await;
        }
    }
}

async fn requests(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, wire: &Wire, way: &Way) {
    let mut bytes = vec![0; 65_536];
    loop {
        let read = from.read(&mut bytes).await.unwrap_or(0);
        let listens = |words: &[u8]| words == b"SUBSCRIBE\r\n";
        if bytes[..read].windows(11).any(listens) {
            wire.listens.store(true, SeqCst);
            if way.cut_listeners.load(SeqCst) {
                return;
            }
        }
        way.unless_silent(wire).await;
        if read == 0 || to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}

fn take(count: &AtomicU32) -> bool {
    count
        .fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1))
        .is_ok()
}
