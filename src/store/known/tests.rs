use std::{sync::Mutex, time::Duration};

use tokio::runtime::Builder;
use tokio_test::{assert_ready, task};

use super::*;
use crate::{
    model::{SessionId, Tag},
    store::{
        EndEveryone, SetStorage, SetStore, Stored, Version, Write, Written,
        together::{after, spent},
    },
};

const MOMENT: Timestamp = Timestamp::from_millis(1_764_000_000_000);

/// A storage with the moment alone.
#[derive(Default)]
struct OnlyMoment {
    /// Whether an answer takes its time.
    yields: bool,
    panics: bool,
    /// How much of its deadline each read has used.
    reads: Mutex<Vec<Duration>>,
}

impl SetStorage for OnlyMoment {
    async fn read(&self, _: Tag, _: Option<SessionId>) -> Result<Stored, StoreError> {
        self.reads.lock().unwrap().push(spent());
        if self.yields {
            tokio::task::yield_now().await;
        }
        assert!(!self.panics, "of the storage");
        let head = [&[1][..], &MOMENT.as_millis().to_be_bytes()].concat();
        Ok(Stored::new(Version::new(), head.into(), None))
    }

    async fn write(&self, _: Tag, _: &Write) -> Result<Written, StoreError> {
        Ok(Written::Lost)
    }
}

fn store(yields: bool, panics: bool) -> Arc<SetStore<OnlyMoment>> {
    Arc::new(SetStore::new(OnlyMoment {
        yields,
        panics,
        reads: Mutex::default(),
    }))
}

// T74
#[test]
fn without_a_runtime_the_caller_asks_and_none_is_asked_in_the_background() {
    let store = store(true, false);

    let known = task::spawn(known(&store)).poll();

    assert_eq!(assert_ready!(known).unwrap(), Some(MOMENT));

    let horizon = store.horizon().unwrap();
    ask_in_background(&store, horizon);
    assert!(horizon.begins(), "a later request may ask");
}

#[test]
fn an_answer_that_is_there_at_once_needs_no_task() {
    let runtime = Builder::new_current_thread().build().unwrap();
    let _guard = runtime.enter();
    let store = store(false, false);

    let known = task::spawn(known(&store)).poll();

    assert_eq!(assert_ready!(known).unwrap(), Some(MOMENT));
}

// T74
#[tokio::test]
async fn the_question_of_all_has_no_part_in_the_deadline_of_a_commit() {
    let store = store(true, false);

    let known = after(Duration::from_secs(3_600), known(&store)).await;

    assert_eq!(known.unwrap(), Some(MOMENT));
    let reads = store.storage().reads.lock().unwrap();
    assert_eq!(*reads, [Duration::ZERO]);
}

#[tokio::test]
async fn a_panic_of_the_store_reaches_the_caller() {
    let store = store(true, true);

    let call = tokio::spawn(async move { known(&store).await });

    assert!(call.await.unwrap_err().is_panic());
}

#[test]
fn the_later_of_two_moments_counts() {
    let before = Some(MOMENT.minus(Duration::from_millis(1)));
    let after = Some(MOMENT);

    for (own, of_everyone) in [
        (before, after),
        (after, before),
        (after, None),
        (None, after),
    ] {
        assert_eq!(later(own, of_everyone), after);
    }
    assert_eq!(later(None, None), None);
    // The layer's own moment is a time, and counts in the present era.
    let era = EndEveryone::kept(MOMENT.plus(Duration::from_secs(3_600)), MOMENT);
    assert_eq!(later(before, Some(era)), Some(era));
    let own = later(Some(MOMENT.plus(Duration::from_secs(5))), Some(era));
    assert_eq!(own, Some(era.plus(Duration::from_secs(5))));
    assert_eq!(later(own, after), own);
}
