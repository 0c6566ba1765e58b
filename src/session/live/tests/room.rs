//! What is left of streams that closed, of places that were emptied, and of runs that were replaced.

use std::{
    future::pending,
    pin::Pin,
    sync::{Arc, Barrier, atomic::Ordering::SeqCst},
    task::{Context, Wake, Waker},
    thread,
    time::Duration,
};

use tokio::{runtime::Handle, time::sleep};

use super::{
    super::{
        book::{Book, First},
        registry::Registry,
        watched::Watched,
        wheel::Wheel,
    },
    SECOND,
    sight::{Sight, ended, id, opened, tag},
};
use crate::{
    model::EndReason,
    store::{
        FeedNews, Looked, Presence,
        worker::{Shift, Worker},
    },
};

const MS: Duration = Duration::from_millis(1);

/// How many streams or places make a collection large.
const MANY: u32 = 5_000;

#[test]
fn a_place_of_the_wheel_is_never_early_and_leaves_no_room_behind() {
    let mut wheel = Wheel::new(75_000);
    let mut now = 0;
    for ahead in [1, 50, 146, 147, 148, 1_000, 20_000] {
        let at = now + ahead;
        let place = wheel.place(at);
        wheel.put(place, tag(1));
        assert_eq!(wheel.turn(at - 1), []);
        now = at + 147;
        assert_eq!(wheel.turn(now), [(place, tag(1))]);
        // Who read the clock before that is late.
        assert_eq!(wheel.turn(at), []);
        assert!(!wheel.is_ahead(place));
    }

    let place = wheel.place(now + 1_000);
    (0..MANY).for_each(|number| wheel.put(place, tag(number)));
    assert!(wheel.room() >= MANY as usize);
    // After a sleep of years each place is emptied once.
    let due = wheel.turn(u64::MAX / 2);
    assert_eq!(due.len(), MANY as usize);
    assert!(wheel.room() < 1_024, "{}", wheel.room());
}

#[tokio::test(start_paused = true)]
async fn streams_that_closed_leave_no_room_behind() {
    let sight = Sight::new(true);
    let registry = sight.registry();
    let mut book = Book::new(60_000);
    for how in ["closed", "everyone", "answered"] {
        let watched: Vec<_> = (0..MANY)
            .map(|number| Watched::new(Arc::clone(&registry), tag(number), id(number)))
            .map(Arc::new)
            .collect();
        for watched in &watched {
            book.add(Arc::clone(watched), sight.times(), First::Now, 0);
        }
        assert!(book.room() >= MANY as usize);

        match how {
            "closed" => watched.iter().for_each(|watched| book.remove(watched)),
            "everyone" => {
                let finished = book.everyone(sight.now());
                assert_eq!(finished.len(), MANY as usize);
            }
            _ => {
                for asked in book.turn(1, usize::MAX) {
                    let unknown = Looked::new(vec![Presence::Unknown], sight.now());
                    assert_eq!(book.answered(&asked, Some(unknown), 2).len(), 1);
                }
            }
        }

        assert!(book.is_empty());
        assert!(book.room() < 2_500, "{how}: {}", book.room());
    }
}

/// The stream of a session closes at the moment in which another one of it opens.
#[tokio::test(start_paused = true)]
async fn a_session_that_is_opened_again_while_it_closes_is_asked_for() {
    let (sight, registry, live) = opened().await;
    let watched = Arc::clone(&live.0);
    let closes = Arc::new(Barrier::new(2));
    let closing = thread::spawn({
        let closes = Arc::clone(&closes);
        move || {
            closes.wait();
            drop(live);
        }
    });
    *sight.0.meanwhile.lock().unwrap() = Some(Box::new({
        let watched = Arc::clone(&watched);
        move || {
            closes.wait();
            while watched.handles.load(SeqCst) > 0 {
                thread::yield_now();
            }
        }
    }));

    let again = sight.open(&registry, id(1), None);
    closing.join().unwrap();

    assert!(Arc::ptr_eq(&again.0, &watched));
    sight.end(id(1), EndReason::Evicted);
    sight.deliver(FeedNews::LookAgain);
    assert_eq!(ended(&again, SECOND * 2).await, Some("evicted"));
}

fn shift() -> (Worker, Shift) {
    let (mut worker, mut shift) = (Worker::default(), None);
    worker.start(|begun| {
        shift = Some(begun);
        pending()
    });
    (worker, shift.unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_run_rests_only_without_streams_and_only_if_it_was_not_replaced() {
    let sight = Sight::new(true);
    let registry = sight.registry();
    let feed = sight.0.feed.as_ref().unwrap();
    let (_worker, shift) = shift();
    let live = sight.open(&registry, id(1), None);
    let run = registry.next_run();
    assert!(!registry.rest(run, &shift), "it has a stream");
    assert!(feed.is_wanted());

    drop(live);
    let newer = registry.next_run();
    assert!(registry.rest(run, &shift), "it is over");
    assert!(feed.is_wanted(), "for the other run");

    assert!(registry.rest(newer, &shift));
    assert!(!feed.is_wanted());
}

/// Keeps the task alive from another runtime, at the moment in which it is woken.
struct KeepsLooking(Arc<Registry>, Handle);

impl Wake for KeepsLooking {
    fn wake(self: Arc<Self>) {
        let _entered = self.1.enter();
        self.0.keep_looking();
    }
}

#[test]
fn a_task_that_goes_with_its_runtime_is_replaced_at_once() {
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_time().start_paused(true).build().unwrap()
    };
    let (first, second) = (runtime(), runtime());
    let (sight, registry, live) = first.block_on(opened());
    let mut wait = Box::pin(live.ended());
    let waker = Waker::from(Arc::new(KeepsLooking(
        Arc::clone(&registry),
        second.handle().clone(),
    )));
    {
        let _entered = first.enter();
        let polled = Pin::as_mut(&mut wait).poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
    }
    sight.end(id(1), EndReason::Evicted);
    // Each runtime has a clock of its own.
    second.block_on(async { sleep(SECOND * 4).await });

    drop(first);
    sight.deliver(FeedNews::LookAgain);
    second.block_on(async { sleep(MS * 50).await });

    assert_eq!(live.end().map(|end| end.reason()), Some("evicted"));
}
