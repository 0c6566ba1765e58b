//! A call in flight: sent, and not answered yet.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use deadpool_redis::redis::{Cmd, RedisError};
use tokio::runtime::Handle;

use super::{
    super::reply::{Expected, Reply},
    connection::{Connection, Shared},
    limit::Place,
};
use crate::{
    model::clock::Monotonic,
    store::{boxed::boxed, meter},
};

/// What came of a call.
pub(super) enum Landed {
    /// Its reply.
    Reply(Reply),
    /// The reply to another request.
    Foreign,
    /// An error.
    Error(RedisError),
}

/// What is sent.
pub(super) struct Order {
    pub(super) command: Cmd,
    /// Whether it is about a key that is about to move to this node.
    pub(super) asking: bool,
    /// The time now, in ms, where it is known.
    pub(super) sent: Option<i64>,
}

/// What came of a call, and when it was sent and answered if the server answered.
type Answered = (Landed, Option<(i64, i64)>);

/// A call in flight. Where the caller gives up, it goes on in a task: the server still works for it, so it
/// keeps its place until the reply came or the connection is gone.
pub(super) struct Flight {
    call: Option<Pin<Box<dyn Future<Output = Answered> + Send>>>,
    place: Option<Place>,
    connection: Shared,
}

impl Flight {
    pub(super) fn new(connection: &Shared, place: Place, order: Order, expected: Expected) -> Self {
        let shared = Arc::clone(connection);
        Self {
            call: Some(boxed(|| land(shared, order, expected))),
            place: Some(place),
            connection: Arc::clone(connection),
        }
    }

    pub(super) fn connection(&self) -> &Shared {
        &self.connection
    }

    /// The place, once the call has landed.
    pub(super) fn give_place(&mut self) -> Option<Place> {
        self.place.take()
    }
}

async fn land(connection: Shared, order: Order, expected: Expected) -> Answered {
    let sent = order.sent.unwrap_or_else(|| Monotonic::now().as_millis());
    let answer = if order.asking {
        // Boxed: this is rare.
        Box::pin(connection.send_asking(order.command)).await
    } else {
        connection.send(&order.command).await
    };
    let now = Monotonic::now().as_millis();
    let value = match answer {
        Ok(value) => value,
        Err(error) => {
            let heard = !error.is_io_error();
            if heard {
                connection.hear(now);
            }
            return (Landed::Error(error), heard.then_some((sent, now)));
        }
    };
    let Some(reply) = Reply::new(value, &expected) else {
        return (Landed::Foreign, None);
    };
    connection.hear(now);
    connection.note_time(reply.now(), sent, now);
    (Landed::Reply(reply), Some((sent, now)))
}

impl Future for Flight {
    type Output = Landed;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Landed> {
        let Some(call) = &mut self.call else {
            return Poll::Pending;
        };
        let answered = std::task::ready!(call.as_mut().poll(cx));
        self.call = None;
        Poll::Ready(arrived(answered, self.place.as_ref(), &self.connection))
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let Some(call) = self.call.take() else {
            return;
        };
        meter::link::given_up();
        let (place, connection) = (self.place.take(), Arc::clone(&self.connection));
        // Nothing may drive the runtime of the connection, and then the place would be lost.
        let runtime = Handle::try_current().unwrap_or_else(|_| connection.runtime.clone());
        runtime.spawn(async move {
            // The reply to a later call would go unnoticed here, and that one would wait in vain.
            arrived(call.await, place.as_ref(), &connection);
            drop(place);
        });
    }
}

/// What the link learns from it.
fn arrived((landed, answered): Answered, place: Option<&Place>, connection: &Connection) -> Landed {
    if let (Some((sent, now)), Some(place)) = (answered, place) {
        place.learn(sent, now);
    }
    if matches!(landed, Landed::Foreign) {
        foreign(connection);
    }
    landed
}

/// From here on every reply on this connection may be to another request.
fn foreign(connection: &Connection) {
    if !connection.is_stopped() {
        tracing::error!(
            "Redis replied to another request: a proxy loses replies or mixes them up. The connection is replaced"
        );
        meter::link::replaced("mixed_up");
    }
    connection.stop();
}
