//! What happens to replies on their way from the server to the client.

use std::{
    sync::atomic::{AtomicU32, Ordering::SeqCst},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::tcp::{OwnedReadHalf, OwnedWriteHalf},
    sync::mpsc,
    time::Instant,
};

use super::{super::resp::reply, Way, Wire, take};

/// A reply on its way to the client.
struct Late<'a> {
    came: Instant,
    /// Its turn, where the replies of all connections wait in one queue.
    turn: Option<Instant>,
    bytes: Vec<u8>,
    /// Whether these are two replies that were swapped.
    is_pair: bool,
    carries: &'a AtomicU32,
}

impl Drop for Late<'_> {
    fn drop(&mut self) {
        self.carries.fetch_sub(1, SeqCst);
    }
}

/// Carries the replies of one connection.
pub(super) async fn replies(from: OwnedReadHalf, to: OwnedWriteHalf, wire: &Wire, way: &Way) {
    let (queue, late) = mpsc::unbounded_channel();
    let mut goes = std::pin::pin!(go(late, to, wire, way));
    tokio::select! {
        () = come(from, queue, wire, way) => goes.await,
        () = &mut goes => {}
    }
}

/// Replies are lost and swapped when they come from the server: many can be on their way to the client by then. Where all
/// wait in one queue, each gets its turn here, and keeps it whatever becomes of its connection.
async fn come<'a>(
    mut from: OwnedReadHalf,
    queue: mpsc::UnboundedSender<Late<'a>>,
    wire: &Wire,
    way: &'a Way,
) {
    let one_queue = way.one_queue.load(SeqCst);
    let (mut bytes, mut held) = (Vec::new(), None::<Vec<u8>>);
    loop {
        while let Some(length) = reply(&bytes) {
            let reply: Vec<u8> = bytes.drain(..length).collect();
            let came = Instant::now();
            let turn = if one_queue {
                Some(way.turn(&mut *way.next.lock().await))
            } else {
                way.unless_silent(wire).await;
                None
            };
            if way.loses(&reply) {
                continue;
            }
            if held.is_none() && way.swaps_on(wire.number) && take(&way.swap) {
                held = Some(reply);
                continue;
            }
            way.carries.fetch_add(1, SeqCst);
            let late = Late {
                came,
                turn,
                is_pair: held.is_some(),
                bytes: [&reply[..], held.take().as_deref().unwrap_or_default()].concat(),
                carries: &way.carries,
            };
            if queue.send(late).is_err() {
                return;
            }
        }
        if from.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return;
        }
    }
}

async fn go(
    mut late: mpsc::UnboundedReceiver<Late<'_>>,
    mut to: OwnedWriteHalf,
    wire: &Wire,
    way: &Way,
) {
    while let Some(late) = late.recv().await {
        let delay = way.delay.load(SeqCst);
        if delay > 0 {
            tokio::time::sleep_until(late.came + Duration::from_millis(delay.into())).await;
        }
        match late.turn {
            Some(turn) => until_turn(turn).await,
            None => pace(way).await,
        }
        way.unless_silent(wire).await;
        // The pairs that are swapped arrive together. What came before them does not wait, or nobody would send what the
        // last pairs need.
        while late.is_pair && way.swaps(wire.number) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        if to.write_all(&late.bytes).await.is_err() {
            return;
        }
    }
}

async fn pace(way: &Way) {
    if way.rate.load(SeqCst) == 0 {
        return;
    }
    // All connections take turns; who holds this sleeps for all.
    let mut next = way.next.lock().await;
    let turn = way.turn(&mut next);
    until_turn(turn).await;
}

async fn until_turn(turn: Instant) {
    // The timer is no finer than this.
    if turn > Instant::now() + Duration::from_millis(2) {
        tokio::time::sleep_until(turn).await;
    }
}
