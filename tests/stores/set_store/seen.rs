//! What `SetStore` says to its storage, and when it asks it.

use std::{
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::{sleep, timeout};
use tower_user_sessions::{
    EndReason, Limit, SessionId, SessionStore, Timestamp,
    store::{
        Created, End, EndEveryone, FeedMessage, FeedNews, ManualClock, Save, Scan, SetStorage,
        SetStore, StoreError, StoreErrorKind, Stored, Tag, Urgency, Which, Write, Written,
    },
};

use super::{START, end_all, is_live, live, of, pauses, sign_in, signed_in, tag};
use crate::common::{
    people::set,
    shelf::{Fault, Shelf},
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A storage that remembers what it was given. Its reads take 20 ms, and its process has a clock of its own.
#[derive(Clone)]
struct Seen(Arc<Inner>);

struct Inner {
    shelf: Shelf,
    /// Another writer wins each time.
    loses: AtomicBool,
    writes: Mutex<Vec<Write>>,
    pauses: Mutex<Vec<u32>>,
    reported: Mutex<Vec<FeedMessage>>,
}

impl Seen {
    fn on(clock: &ManualClock) -> Self {
        Self(Arc::new(Inner {
            shelf: Shelf::on(clock),
            loses: AtomicBool::new(false),
            writes: Mutex::default(),
            pauses: Mutex::default(),
            reported: Mutex::default(),
        }))
    }

    fn writes(&self) -> Vec<Write> {
        self.0.writes.lock().unwrap().drain(..).collect()
    }
}

impl SetStorage for Seen {
    async fn read(&self, tag: Tag, part: Option<SessionId>) -> Result<Stored, StoreError> {
        sleep(Duration::from_millis(20)).await;
        self.0.shelf.read(tag, part).await
    }

    async fn write(&self, tag: Tag, write: &Write) -> Result<Written, StoreError> {
        self.0.writes.lock().unwrap().push(write.clone());
        if self.0.loses.load(Relaxed) {
            return Ok(Written::Lost);
        }
        self.0.shelf.write(tag, write).await
    }

    /// The backend says when it read and wrote, so nobody needs this one.
    fn now(&self) -> Timestamp {
        self.0.shelf.now().plus(1_000 * DAY)
    }

    async fn pause(&self, lost: u32) {
        self.0.pauses.lock().unwrap().push(lost);
        tokio::task::yield_now().await;
    }

    fn report(&self, messages: &[FeedMessage]) {
        self.0.reported.lock().unwrap().extend_from_slice(messages);
    }

    async fn scan(
        &self,
        after: Option<Tag>,
        most: usize,
    ) -> Result<Vec<(Tag, bytes::Bytes)>, StoreError> {
        self.0.shelf.scan(after, most).await
    }
}

fn setup() -> (ManualClock, Seen, SetStore<Seen>) {
    let clock = ManualClock::at(START);
    let seen = Seen::on(&clock);
    let store = SetStore::new(seen.clone());
    (clock, seen, store)
}

#[tokio::test]
async fn the_time_is_that_of_the_backend_where_it_says_it() {
    let (clock, _, store) = setup();

    let token = signed_in(&store, &clock).await;

    assert!(is_live(&store, &token).await);
    assert_eq!(live(&store).await, 1);
    assert_eq!(store.scan(&Scan::new()).await.unwrap().sets.len(), 1);
    let moment = store.end_everyone(EndEveryone::Now).await.unwrap();
    assert_eq!(moment, START.plus(Duration::from_millis(1)));
}

// T19 T25
#[tokio::test]
async fn each_write_says_how_urgent_it_is_and_only_a_sign_in_when_it_is_too_late() {
    let (clock, seen, store) = setup();

    let token = signed_in(&store, &clock).await;
    let of_sign_in = seen.writes();
    store
        .save(&Save::new(tag(), token.session_id(), set("n", "1")))
        .await
        .unwrap();
    let of_save = seen.writes();
    store.end(&end_all()).await.unwrap();
    let of_end = seen.writes();

    let urgencies = [&of_sign_in, &of_save, &of_end].map(|writes| writes[0].urgency);
    assert_eq!(urgencies, [Urgency::SignIn, Urgency::Other, Urgency::End]);
    // Of the patience of 5 s the read took 20 ms.
    let latest = of_sign_in[0].latest.unwrap();
    assert!(
        latest <= START.plus(Duration::from_millis(4_980)),
        "{latest}"
    );
    assert!(of_save[0].latest.is_none() && of_end[0].latest.is_none());
}

#[tokio::test]
async fn without_patience_no_sign_in_is_sent() {
    let clock = ManualClock::at(START);
    let shelf = Shelf::on(&clock);
    let store = SetStore::builder(shelf.clone())
        .patience(Duration::ZERO)
        .build();

    let created = store.create(&sign_in(&clock).1).await;

    assert_eq!(created.unwrap_err().kind(), StoreErrorKind::Timeout);
    assert_eq!(of(&shelf.counts().writes), 0);
}

#[tokio::test]
async fn between_two_attempts_that_failed_is_a_pause() {
    let (clock, seen, store) = setup();
    let token = signed_in(&store, &clock).await;
    seen.0.shelf.fail([Fault::Vanishes; 3]);

    let save = Save::new(tag(), token.session_id(), set("n", "1"));
    let saved = store.save(&save).await;

    assert_eq!(saved.unwrap_err().kind(), StoreErrorKind::Unavailable);
    assert_eq!(*seen.0.pauses.lock().unwrap(), [1, 2]);
}

// T19
#[tokio::test]
async fn an_operation_that_loses_each_time_pauses_in_its_turn_and_is_busy_after_the_patience() {
    let clock = ManualClock::at(START);
    let seen = Seen::on(&clock);
    signed_in(&seen.0.shelf.store(), &clock).await;
    let store = SetStore::builder(seen.clone())
        .patience(Duration::from_secs(1))
        .build();
    seen.0.loses.store(true, Relaxed);

    let ended = timeout(Duration::from_secs(60), store.end(&end_all())).await;

    let ended = ended.expect("it is given up");
    assert_eq!(ended.unwrap_err().kind(), StoreErrorKind::Busy);
    let pauses = seen.0.pauses.lock().unwrap();
    // The first loss makes it take its turn.
    let expected: Vec<_> = (2..).take(pauses.len()).collect();
    assert_eq!(*pauses, expected);
    assert!(!pauses.is_empty());
}

// T74
#[tokio::test]
async fn clients_learn_of_an_end_whose_answer_was_lost_and_of_the_end_of_all() {
    let (clock, seen, store) = setup();
    let token = signed_in(&store, &clock).await;
    seen.0.shelf.fail([Fault::AnswerLost]);

    store.end(&end_all()).await.unwrap();
    let reported = std::mem::take(&mut *seen.0.reported.lock().unwrap());
    seen.writes();
    let moment = store.end_everyone(EndEveryone::Now).await.unwrap();
    let written = seen.writes();

    let [
        FeedMessage {
            news: FeedNews::Ended(ended),
            ..
        },
    ] = &reported[..]
    else {
        panic!("{reported:?}");
    };
    assert_eq!(ended[0].0, token.session_id());
    assert_eq!(written[0].messages, [FeedMessage::everyone(moment)]);
}

/// Two requests make one session used at the same time. One of them loses, finds that done, and waits for nobody.
// T19
#[tokio::test]
async fn a_request_that_lost_once_does_not_wait_while_others_take_turns() {
    let clock = ManualClock::at(START);
    let shelf = Shelf::on(&clock).yielding();
    let (store, other) = (shelf.store(), shelf.store());
    let (kept, token) = (
        signed_in(&other, &clock).await,
        signed_in(&other, &clock).await,
    );
    let save = Save::new(tag(), kept.session_id(), set("key", "value"));
    let mut waits = pin!(store.save(&save));
    // Once it has lost, it keeps its turn.
    while of(&shelf.counts().lost) == 0 {
        other.save(&save).await.unwrap();
        pauses(&mut waits).await;
    }

    let both = async { tokio::join!(is_live(&store, &token), is_live(&store, &token)) };
    let both = timeout(Duration::from_secs(60), both).await;

    assert_eq!(both, Ok((true, true)));
    assert_eq!(of(&shelf.counts().lost), 2, "one of them lost");
}

#[tokio::test]
async fn a_part_that_stays_of_another_write_than_its_head_is_corrupt_at_the_third_read() {
    let clock = ManualClock::at(START);
    let shelf = Shelf::on(&clock).broken(crate::common::shelf::Broken::ReadsPartLater);
    let store = shelf.store();
    let (token, mut create) = sign_in(&clock);
    create.changes = set("n", "1");
    create.limit = Limit::at_most(3);
    assert!(matches!(
        store.create(&create).await,
        Ok(Created::Created(_))
    ));
    let before = of(&shelf.counts().reads);

    let save = Save::new(tag(), token.session_id(), set("n", "2"));
    let saved = store.save(&save).await;

    assert_eq!(saved.unwrap_err().kind(), StoreErrorKind::Corrupt);
    assert_eq!(of(&shelf.counts().reads) - before, 3);
    // An end that would return newer data does not return none.
    let which = Which::One(token.session_id());
    let mut end = End::new(tag(), which, EndReason::LoggedOut);
    end.read_at = Some(7);
    let ended = store.end(&end).await;
    assert_eq!(ended.unwrap_err().kind(), StoreErrorKind::Corrupt);
}

#[tokio::test]
async fn the_step_of_the_store_counts_if_it_is_longer() {
    let clock = ManualClock::at(START);
    let shelf = Shelf::on(&clock);
    let store = SetStore::builder(shelf.clone())
        .activity_every(Duration::from_secs(60))
        .build();
    let token = signed_in(&store, &clock).await;
    assert!(is_live(&store, &token).await);

    let mut written = Vec::new();
    for _ in 0..2 {
        clock.advance(Duration::from_secs(40));
        assert!(is_live(&store, &token).await);
        written.push(of(&shelf.counts().activity));
    }

    assert_eq!(written, [0, 1]);
}
