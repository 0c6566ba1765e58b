//! The connection on which messages of the feed arrive.

use std::{
    error::Error,
    fmt,
    future::poll_fn,
    pin::{Pin, pin},
    sync::{Arc, Weak, atomic::Ordering::SeqCst},
    task::Poll,
    time::Duration,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use deadpool_postgres::tokio_postgres::{
    self, AsyncMessage, Client, Config, Connection, Socket,
    tls::{MakeTlsConnect, TlsConnect},
};
use tokio::{sync::watch, time};

use super::{
    failure::{Cause, Failure},
    live::{PING, Running, SILENT, State, lock, millis, notify},
    tables::Inner,
};
use crate::{
    model::clock::Monotonic,
    store::{FeedMessage, StoreError, StoreErrorKind, meter, outage::jitter},
};

/// How often a node sends a message to itself, to see whether messages arrive.
const PING_EVERY: Duration = Duration::from_millis(700);

/// After this long without one the connection is replaced.
const SILENT_FOR: Duration = Duration::from_secs(4);

/// The pauses after a connection that heard nothing, or that was refused: what is wrong lasts.
const LASTS: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(60);

type Listening = Pin<Box<dyn Future<Output = Result<(), tokio_postgres::Error>> + Send>>;

/// Takes what arrives.
type Take = Box<dyn Fn(&str) + Send>;

/// Opens a connection for LISTEN. The second future drives it, and passes on what arrives.
type Connect = dyn Fn(Take) -> Opening + Send + Sync;
type Opening =
    Pin<Box<dyn Future<Output = Result<(Client, Listening), tokio_postgres::Error>> + Send>>;

/// How the feed connects.
#[derive(Clone)]
pub(super) struct Listen(Arc<Connect>);

impl Listen {
    pub(super) fn new<T>(config: Config, tls: T) -> Self
    where
        T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
        T::Stream: Send + 'static,
        T::TlsConnect: Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        Self(Arc::new(move |take| {
            let (config, tls) = (config.clone(), tls.clone());
            Box::pin(async move {
                let (client, connection) = config.connect(tls).await?;
                let listening: Listening = Box::pin(receive(connection, take));
                Ok((client, listening))
            })
        }))
    }
}

async fn receive<S>(
    mut connection: Connection<Socket, S>,
    take: Take,
) -> Result<(), tokio_postgres::Error>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
        if let AsyncMessage::Notification(notification) = message? {
            take(notification.payload());
        }
    }
    Ok(())
}

/// Why a connection is given up.
struct Lost {
    cause: Box<dyn Error + Send + Sync>,
    /// Another one would fare no better.
    lasts: bool,
}

impl Lost {
    fn way(error: tokio_postgres::Error) -> Self {
        let failure = Failure::of(error);
        Self {
            lasts: failure.kind == StoreErrorKind::Denied,
            cause: Box::new(failure.cause),
        }
    }

    fn text(text: &'static str) -> Self {
        Self {
            lasts: false,
            cause: Box::new(Cause::Text(text)),
        }
    }

    fn of_pool(error: StoreError) -> Self {
        Self {
            lasts: false,
            cause: Box::new(error),
        }
    }
}

/// Listens while the feed has readers.
pub(super) async fn listen(task: Running) {
    let mut failed = 0_u32;
    loop {
        let Some((mut wanted, state)) = task.inner().and_then(|inner| {
            let live = inner.live.as_ref()?;
            Some((live.feed.wanted(), Arc::clone(&live.state)))
        }) else {
            return;
        };
        if wanted.wait_for(|readers| *readers > 0).await.is_err() {
            return;
        }
        let ended = hear(&task, &state, &mut wanted).await;
        let heard = next_epoch(&task, &state);
        failed = if heard { 0 } else { failed.saturating_add(1) };
        let lasts = match ended {
            Ok(()) => {
                state.rests();
                false
            }
            Err(lost) => {
                state.lost(&*lost.cause);
                lost.lasts && !heard
            }
        };
        let pause = if lasts {
            (LASTS * (1 << failed.min(6)) / 2).min(LONGEST)
        } else {
            Duration::from_millis(50 << failed.min(6))
        };
        tracing::debug!(?pause, "the feed from PostgreSQL is not connected");
        time::sleep(jitter(pause)).await;
    }
}

/// Listens on one connection, until it is of no use, or nobody reads the feed.
async fn hear(
    task: &Running,
    state: &State,
    wanted: &mut watch::Receiver<usize>,
) -> Result<(), Lost> {
    let Some((inner, listen)) = task.inner().and_then(|inner| {
        let listen = inner.live.as_ref()?.listen.clone();
        Some((inner, listen))
    }) else {
        return Ok(());
    };
    let channel = inner.channel().await.map_err(Lost::of_pool)?;
    drop(inner);
    let opened = time::timeout(SILENT_FOR, (listen.0)(takes(task.inner.clone()))).await;
    meter::postgres::connected(matches!(opened, Ok(Ok(_))));
    let no_answer = |_elapsed| Lost::text("PostgreSQL does not answer on a new connection");
    let (client, mut listening) = opened.map_err(no_answer)?.map_err(Lost::way)?;
    let closed = || Lost::text("the connection of the feed was closed");
    let sql = format!("LISTEN \"{channel}\"");
    let listens = unless(&mut listening, client.batch_execute(&sql));
    let listens = time::timeout(SILENT_FOR, listens)
        .await
        .map_err(no_answer)?;
    listens.ok_or_else(closed)?.map_err(Lost::way)?;
    // What was sent before is lost. The task of another runtime may have listened until a moment ago.
    next_epoch(task, state);
    let unread = async {
        // Also if the store is gone.
        let _ = wanted.wait_for(|readers| *readers == 0).await;
    };
    match unless(&mut listening, unless(unread, ping(task, state))).await {
        Some(Some(ended)) => ended,
        Some(None) => Ok(()),
        None => Err(closed()),
    }
}

/// Runs `work`, unless `other` comes to its end before. `other` goes first: what has arrived is read before `work`
/// finds that nothing has.
pub(super) async fn unless<T>(other: impl Future, work: impl Future<Output = T>) -> Option<T> {
    let (mut other, mut work) = (pin!(other), pin!(work));
    poll_fn(|context| {
        if other.as_mut().poll(context).is_ready() {
            return Poll::Ready(None);
        }
        work.as_mut().poll(context).map(Some)
    })
    .await
}

/// Sends messages to this node, until none arrives for long or the store is gone.
async fn ping(task: &Running, state: &State) -> Result<(), Lost> {
    let mut number = 0;
    let began = Monotonic::now();
    loop {
        let Some(inner) = task.inner() else {
            return Ok(());
        };
        number += 1;
        state.sends(number);
        let sent = notify(&inner, &[format!("{}{number}", state.node)]).await;
        drop(inner);
        time::sleep(PING_EVERY).await;
        state.look();
        let heard = state.heard.load(SeqCst).max(began.as_millis());
        if Monotonic::now().as_millis() - heard > millis(SILENT_FOR) {
            return Err(match sent {
                Ok(()) => Lost {
                    lasts: true,
                    ..Lost::text(SILENT)
                },
                Err(missed) => Lost::of_pool(missed.error),
            });
        }
    }
}

/// Takes what arrives for this store.
fn takes(inner: Weak<Inner>) -> Take {
    Box::new(move |payload| {
        let inner = inner.upgrade();
        let Some(live) = inner.as_ref().and_then(|inner| inner.live.as_ref()) else {
            return;
        };
        if let Some(number) = payload.strip_prefix(&live.state.node) {
            // Until now a question may have been answered by the previous primary.
            if !live.state.is_trusted() {
                live.state.epoch.fetch_add(1, SeqCst);
                live.feed.epoch_changed();
            }
            live.state.hear(number.parse().unwrap_or(0));
        } else if !payload.starts_with(PING)
            && let Ok(bytes) = URL_SAFE_NO_PAD.decode(payload)
            && let Some(message) = FeedMessage::decode(&bytes)
        {
            meter::feed::message();
            live.feed.deliver(&message);
        }
    })
}

/// Messages may be lost from here on, or have been. Where none was heard, nothing is trusted that could have changed. Says whether
/// one was.
fn next_epoch(task: &Running, state: &State) -> bool {
    let heard = state.heard.swap(0, SeqCst) > 0;
    lock(&state.pings).clear();
    if !heard {
        return false;
    }
    state.epoch.fetch_add(1, SeqCst);
    let inner = task.inner();
    if let Some(live) = inner.as_ref().and_then(|inner| inner.live.as_ref()) {
        live.feed.epoch_changed();
    }
    true
}

impl fmt::Debug for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The settings of a connection have its password.
        f.write_str("Listen(..)")
    }
}
