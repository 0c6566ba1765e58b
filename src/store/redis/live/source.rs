//! The source of a feed: it listens while there are readers.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{
            AtomicI64,
            Ordering::{Relaxed, SeqCst},
        },
    },
    time::Duration,
};

use tokio::{
    runtime::Handle,
    task::{AbortHandle, JoinSet},
};

use super::{
    super::{
        link::{Link, RedisSource},
        script::Scripts,
    },
    channel::Publish,
    hearing::Hearing,
    listen::listen,
};
use crate::{
    model::{Tag, clock::Monotonic},
    store::{Feed, FeedSource, FeedState, nonce, worker::Worker},
};

/// How often it looks which servers there are.
const SERVERS: Duration = Duration::from_millis(500);

/// How often it looks whether its task runs, in ms, while it is not trusted.
const MINDED: i64 = 400;

/// A server to listen to.
pub(in super::super) struct Server {
    pub(in super::super) source: RedisSource,
    /// The link to it, if it is one of several.
    pub(in super::super) link: Option<Weak<Link>>,
}

/// The feed of this store.
pub(in super::super) fn feed(scripts: &Scripts, publish: Publish) -> Feed {
    let node: String = nonce().iter().map(|byte| format!("{byte:02x}")).collect();
    let hearing = Arc::new(Hearing::new(scripts, publish, node));
    let source = Listening {
        hearing: Arc::clone(&hearing),
        worker: Mutex::default(),
        minded: AtomicI64::new(i64::MIN),
    };
    let feed = Feed::new(source);
    hearing.deliver_to(&feed);
    feed
}

/// Listens while there are readers. Dropping it stops all.
struct Listening {
    hearing: Arc<Hearing>,
    worker: Mutex<Worker>,
    /// When it looked last whether its task runs, in ms.
    minded: AtomicI64,
}

impl FeedSource for Listening {
    fn state(&self, tag: Tag) -> FeedState {
        let state = self.hearing.state(tag);
        if !state.trusted && self.hearing.readers.load(SeqCst) > 0 {
            self.mind();
        }
        state
    }

    fn wanted(&self, readers: usize) {
        let before = self.hearing.readers.swap(readers, SeqCst);
        if readers == 0 {
            self.worker().stop();
            self.hearing.stop();
        } else if before == 0 {
            self.start();
        }
    }

    fn hold(&self, tag: Tag, time: Duration) {
        self.hearing.hold(tag, time);
    }

    fn reports_writes(&self) -> bool {
        self.hearing.publish.reports_writes()
    }
}

impl Listening {
    /// Starts its task again if none runs: the runtime of the last one may have stopped, or be idle.
    fn mind(&self) {
        let now = Monotonic::now().as_millis();
        let before = self.minded.load(Relaxed);
        let is_due = now.saturating_sub(before) >= MINDED;
        let own = |is_due| {
            is_due
                && self
                    .minded
                    .compare_exchange(before, now, Relaxed, Relaxed)
                    .is_ok()
        };
        // What no reader holds is not trusted either, and a runtime that is busy for a moment has not stopped.
        if own(is_due) && !self.hearing.is_at_work() {
            self.start();
        }
    }

    fn start(&self) {
        // Outside of a runtime it waits for a reader who asks inside of one.
        if Handle::try_current().is_err() {
            return;
        }
        let mut worker = self.worker();
        // Looked at under the lock: the last reader may have left since.
        if self.hearing.readers.load(SeqCst) > 0 && !worker.runs() {
            self.hearing.stop();
            worker.start(|_| conduct(Arc::clone(&self.hearing)));
        }
    }

    fn worker(&self) -> MutexGuard<'_, Worker> {
        self.worker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps one listener for each server, until the store is dropped.
async fn conduct(hearing: Arc<Hearing>) {
    let (mut tasks, mut running) = (JoinSet::new(), HashMap::new());
    // Servers without a link are one: the node, or the master.
    let name = |server: &Server| {
        server
            .link
            .as_ref()
            .map_or(0, |link| link.as_ptr() as usize)
    };
    while let Some(store) = hearing.store() {
        let servers = store.servers();
        drop(store);
        let named: Vec<usize> = servers.iter().map(name).collect();
        running.retain(|at, task: &mut Running| {
            let stays = named.contains(at) && !task.task.is_finished();
            if !stays {
                task.task.abort();
            }
            stays
        });
        for server in servers {
            running.entry(name(&server)).or_insert_with(|| Running {
                _keeps_the_address: server.link.clone(),
                task: tasks.spawn(listen(Arc::clone(&hearing), server)),
            });
        }
        while tasks.try_join_next().is_some() {}
        tokio::time::sleep(SERVERS).await;
    }
    hearing.stop();
}

struct Running {
    _keeps_the_address: Option<Weak<Link>>,
    task: AbortHandle,
}

#[cfg(test)]
mod tests {
    use tokio::runtime::Builder;

    use super::{
        super::{super::RedisStore, RedisLive},
        *,
    };
    use crate::store::worker::DOUBT;

    /// The source of a feed of two shards, with its store.
    fn listening() -> (Listening, RedisStore) {
        let live = RedisLive::ends().shards(2);
        let source = RedisSource::url("redis://127.0.0.1:1").unwrap();
        let store = RedisStore::builder(source).live(live).build();
        let publish = live.publish("sessions:live".to_owned(), false);
        let listening = Listening {
            hearing: Arc::new(Hearing::new(&store.scripts, publish, "node".to_owned())),
            worker: Mutex::default(),
            minded: AtomicI64::new(i64::MIN),
        };
        (listening, store)
    }

    #[tokio::test]
    async fn a_look_at_the_feed_that_ends_after_the_last_reader_left_starts_nothing() {
        let (listening, _store) = listening();
        listening.wanted(1);
        assert!(listening.worker().runs());

        // Another thread read that there was a reader.
        listening.wanted(0);
        listening.mind();

        assert!(!listening.worker().runs());
    }

    #[test]
    fn a_listener_that_hears_goes_on_although_its_runtime_is_busy() {
        let [busy, other] =
            [(); 2].map(|()| Builder::new_current_thread().enable_all().build().unwrap());
        let (listening, _store) = listening();
        let hearing = Arc::clone(&listening.hearing);
        busy.block_on(async { listening.wanted(1) });
        let ear = hearing.ear(None);
        hearing.open(&ear, [0]);
        let late = Monotonic::now().as_millis() + 3_600_000;
        ear.hear(late);
        ear.hear_itself(late);
        let (held, not_held) = (Tag::from_bytes([0; 12]), Tag::from_bytes([1; 12]));
        let asks = || {
            for _ in 0..3 {
                assert!(!other.block_on(async { listening.state(not_held) }).trusted);
                std::thread::sleep(DOUBT + Duration::from_millis(120));
            }
        };

        asks();
        assert!(listening.state(held).trusted);

        hearing.give_up(&ear);
        let ear = hearing.ear(None);
        asks();
        hearing.open(&ear, [0]);
        assert!(!hearing.places.read(0).is_open(), "the next one has begun");
    }
}
