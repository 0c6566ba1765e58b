//! The task that asks the store for open streams.

use std::{collections::HashMap, future::poll_fn, pin::pin, sync::Arc, task::Poll, time::Duration};

use tokio::{
    task::{Id, JoinSet},
    time::{sleep, timeout},
};

use super::{
    book::{Asked, Finished},
    registry::Registry,
};
use crate::store::{Look, Looked, worker::Shift};

/// While there is more to ask for than may be asked at once, the task goes on after so many ms.
pub(super) const STEP: u64 = 10;

/// The most questions in one step: 1,900 a second, and one step more. Each layer has a task of its own, because layers may
/// have different stores. So a process with two layers on one store may ask for twice as many.
const IN_A_STEP: usize = 19;

/// The most questions on their way.
const IN_FLIGHT: usize = 256;

/// A store that answers later than this was not asked.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks the store for open streams, until there are none for a while.
pub(super) async fn drive(running: Running, run: u64) {
    let registry = Arc::clone(&running.registry);
    let mut looks = JoinSet::new();
    let mut on_the_way: HashMap<Id, Asked> = HashMap::new();
    let mut pace = Pace::new(&registry);
    let mut empty = 0;
    loop {
        let room = IN_FLIGHT.saturating_sub(looks.len());
        let Some(turn) = registry.turn(run, room.min(pace.room())) else {
            return;
        };
        finish(turn.finished);
        pace.took(turn.asked.len());
        for asked in turn.asked {
            let task = looks.spawn(ask(Arc::clone(&registry), asked.clone()));
            on_the_way.insert(task.id(), asked);
        }
        let mut slept = false;
        {
            let mut changed = pin!(registry.changed.notified());
            let mut sleep = pin!(sleep(Duration::from_millis(turn.sleep)));
            let answer = poll_fn(|task| {
                if let Poll::Ready(Some(answer)) = looks.poll_join_next_with_id(task) {
                    return Poll::Ready(Some(answer));
                }
                if changed.as_mut().poll(task).is_ready() {
                    return Poll::Ready(None);
                }
                slept = sleep.as_mut().poll(task).is_ready();
                if slept {
                    Poll::Ready(None)
                } else {
                    Poll::Pending
                }
            });
            let mut answer = answer.await;
            while let Some(one) = answer {
                let (id, looked) = match one {
                    Ok((id, looked)) => (id, looked),
                    // The store panicked.
                    Err(error) => (error.id(), None),
                };
                if let Some(asked) = on_the_way.remove(&id) {
                    finish(registry.answered(run, &asked, looked));
                }
                answer = looks.try_join_next_with_id();
            }
        }
        empty = if turn.is_empty {
            empty + u32::from(slept)
        } else {
            0
        };
        // If only this task has the registry, twice, nobody can open a stream any more.
        let is_alone = Arc::strong_count(&registry) == 2;
        // Each sleep without streams is a second.
        let is_over = is_alone || u64::from(empty) > registry.lease().as_secs();
        if is_over && looks.is_empty() && registry.rest(run, &running.shift) {
            return;
        }
    }
}

async fn ask(registry: Arc<Registry>, asked: Asked) -> Option<Looked> {
    let look = registry.store.look(Look::new(asked.tag, asked.ids));
    match timeout(PATIENCE, look).await {
        Ok(Ok(looked)) => Some(looked),
        Ok(Err(error)) => {
            tracing::debug!(kind = ?error.kind(), "open streams not looked for");
            None
        }
        Err(_) => {
            tracing::debug!("open streams not looked for: no answer");
            None
        }
    }
}

fn finish(finished: Vec<Finished>) {
    for (watched, end) in finished {
        watched.finish(end);
    }
}

/// Keeps to the number of questions in a second.
struct Pace<'a> {
    registry: &'a Registry,
    step: u64,
    left: usize,
}

impl<'a> Pace<'a> {
    fn new(registry: &'a Registry) -> Self {
        let step = registry.now() / STEP;
        Self {
            registry,
            step,
            left: IN_A_STEP,
        }
    }

    fn room(&mut self) -> usize {
        let step = self.registry.now() / STEP;
        if step > self.step {
            (self.step, self.left) = (step, IN_A_STEP);
        }
        self.left
    }

    fn took(&mut self, asked: usize) {
        self.left = self.left.saturating_sub(asked);
    }
}

/// Notes that the task is gone, also if its runtime was shut down before it began.
pub(super) struct Running {
    registry: Arc<Registry>,
    shift: Shift,
}

impl Running {
    pub(super) const fn new(registry: Arc<Registry>, shift: Shift) -> Self {
        Self { registry, shift }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shift.ends();
        self.registry.stopped();
    }
}
