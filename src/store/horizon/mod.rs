//! The moment before which the sessions of all users ended, as this process knows it.

use std::{
    fmt,
    future::Future,
    pin::pin,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
};

use tokio::sync::Notify;

use super::{EndEveryone, StoreError, StoreErrorKind};
use crate::model::{Arrival, Timestamp, clock::Monotonic};

/// How long what this process knows is believed, in ms. A request that comes later first asks the store.
const BELIEVED: i64 = 5_000;

/// From this age on, in ms, it is asked again while requests go on.
const DUE: i64 = 2_000;

/// Messages of the feed make this process ask once in so many ms at most.
const REPORTED: i64 = 200;

/// How long a question may take before another one is sent, in ms.
const ASKED: i64 = 2_000;

/// How long requests share it that a question got no answer, in ms. Meanwhile the store finds out whether its server is silent.
const UNANSWERED: i64 = 300;

const NEVER: i64 = i64::MIN;

/// The moment before which the sessions of all users ended, as this process knows it.
///
/// A store with [`everyone`](super::SessionStore::everyone) keeps one for all its clones, and passes it on in
/// [`horizon`](super::SessionStore::horizon). The layer does the rest: it asks the store every few seconds while requests come,
/// and ends no session later than 5 s after its end was stored.
///
/// The age of what it knows counts from when the question was sent, by a clock that counts suspended time. So a server
/// that was suspended or cut off asks before it answers.
pub struct Horizon {
    /// Whether other processes can end sessions in the same backend.
    shared: bool,
    moment: AtomicI64,
    /// When this process learned the moment, in ns: a request may follow within the same ms.
    learned: AtomicI64,
    /// When the newest question was sent that was answered.
    asked: AtomicI64,
    /// When a question in the background was sent, until it is answered.
    asking: AtomicI64,
    /// When the newest message came that speaks of a later moment.
    reported: AtomicI64,
    turn: Mutex<Turn>,
    /// Requests wait here for one question.
    answered: Notify,
}

/// Who asks while other requests wait.
struct Turn {
    /// The number of the question, and when it was asked.
    asking: Option<(u64, i64)>,
    number: u64,
    /// When the last one failed, and how.
    failed: Option<(i64, StoreErrorKind)>,
}

/// A request that asks for those that wait. When it is dropped, one of them asks.
struct Asks<'a> {
    horizon: &'a Horizon,
    number: u64,
}

impl Drop for Asks<'_> {
    fn drop(&mut self) {
        self.horizon.is_over(self.number);
    }
}

/// What a request has to do before it believes the moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Age {
    /// Nothing.
    Young,
    /// Ask in the background.
    Due,
    /// Ask and wait.
    Old,
}

impl Horizon {
    /// For a store whose sessions are in this process: what it knows is always true.
    #[must_use]
    pub const fn of_process() -> Self {
        Self::new(false)
    }

    /// For a store that several processes share: it has to be asked.
    #[must_use]
    pub const fn shared() -> Self {
        Self::new(true)
    }

    const fn new(shared: bool) -> Self {
        Self {
            shared,
            moment: AtomicI64::new(NEVER),
            learned: AtomicI64::new(NEVER),
            asked: AtomicI64::new(NEVER),
            asking: AtomicI64::new(NEVER),
            reported: AtomicI64::new(NEVER),
            turn: Mutex::new(Turn {
                asking: None,
                number: 0,
                failed: None,
            }),
            answered: Notify::const_new(),
        }
    }

    /// The moment; `None` if the sessions of all users never ended, as far as is known.
    #[must_use]
    pub fn moment(&self) -> Option<Timestamp> {
        let moment = self.moment.load(Ordering::Acquire);
        (moment != NEVER).then_some(Timestamp::from_millis(moment))
    }

    /// Notes a moment that the backend has. Takes effect on the next request. An earlier one than known changes nothing.
    ///
    /// Not for a message of a feed: it proves nothing. The layer asks the store when one comes.
    pub fn note(&self, moment: Timestamp) {
        self.learn(
            moment,
            self.shared && self.asked.load(Ordering::Acquire) == NEVER,
        );
    }

    /// The moment that a store of this process keeps when its clock says `now`, if the caller knows this one.
    pub(super) fn kept(&self, knows: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
        let latest = self.moment().max(knows)?;
        self.note(EndEveryone::kept(latest, now));
        self.moment()
    }

    /// As [`note`](Self::note), for a moment that the backend had before this process began.
    #[cfg(feature = "file")]
    pub(super) fn recall(&self, moment: Timestamp) {
        self.learn(moment, true);
    }

    fn learn(&self, moment: Timestamp, is_old: bool) {
        if self.moment().is_none_or(|known| known < moment) {
            // In this order: a request that sees the moment then never seems to have arrived after it.
            let now = Monotonic::now().as_nanos();
            self.learned.fetch_max(now, Ordering::AcqRel);
            self.moment.fetch_max(moment.as_millis(), Ordering::AcqRel);
            if is_old {
                tracing::debug!(before = %moment.time(), "the sessions of all users had ended");
            } else {
                tracing::info!(before = %moment.time(), "the sessions of all users have ended");
            }
        }
    }

    /// The moment, if the request arrived after this process knew it.
    pub(crate) fn known_before(&self, arrival: Arrival) -> Option<Timestamp> {
        let moment = self.moment()?;
        let learned = self.learned.load(Ordering::Acquire);
        (learned < arrival.as_nanos()).then_some(moment)
    }

    /// A message speaks of this moment. It proves nothing, but if the moment is later than the known one, the store is to be
    /// asked.
    pub(crate) fn hear(&self, moment: Timestamp) {
        if self.shared && self.moment().is_none_or(|known| known < moment) {
            let now = Monotonic::now().as_millis();
            self.reported.fetch_max(now, Ordering::AcqRel);
        }
    }

    /// Whether such a message came a moment ago, and the store has not answered a question since.
    #[cfg(feature = "live")]
    pub(crate) fn is_reported(&self) -> bool {
        self.is_reported_at(Monotonic::now().as_millis())
    }

    fn is_reported_at(&self, now: i64) -> bool {
        let reported = self.reported.load(Ordering::Acquire);
        reported >= self.asked.load(Ordering::Acquire) && now.saturating_sub(reported) <= BELIEVED
    }

    pub(crate) fn age(&self) -> Age {
        if self.shared {
            self.age_at(Monotonic::now())
        } else {
            Age::Young
        }
    }

    /// The same, if it is now this moment.
    pub(crate) fn age_at(&self, now: Monotonic) -> Age {
        if !self.shared {
            return Age::Young;
        }
        let now = now.as_millis();
        match now.saturating_sub(self.asked.load(Ordering::Acquire)) {
            REPORTED..DUE if self.is_reported_at(now) => Age::Due,
            0..DUE => Age::Young,
            DUE..=BELIEVED => Age::Due,
            _ => Age::Old,
        }
    }

    /// Whether the caller shall ask in the background, because no other does.
    pub(crate) fn begins(&self) -> bool {
        let now = Monotonic::now().as_millis();
        let before = self.asking.load(Ordering::Acquire);
        // The runtime of the other one may have stopped.
        let is_free = before == NEVER || now.saturating_sub(before) >= ASKED;
        is_free
            && self
                .asking
                .compare_exchange(before, now, Ordering::AcqRel, Ordering::Acquire)
                .is_ok()
    }

    /// Asks the store, and notes what it says.
    pub(crate) async fn ask<F>(
        &self,
        read: impl FnOnce(Option<Timestamp>) -> F,
    ) -> Result<(), StoreError>
    where
        F: Future<Output = Result<Option<Timestamp>, StoreError>>,
    {
        let sent = Monotonic::now().as_millis();
        let answer = read(self.moment()).await;
        self.asking.store(NEVER, Ordering::Release);
        if let Some(moment) = answer? {
            self.note(moment);
        }
        // Only now: until then a request must not believe the moment of before.
        self.asked.fetch_max(sent, Ordering::AcqRel);
        Ok(())
    }

    /// Waits until what is known is young enough. All requests that wait share one question: `ask` calls
    /// [`ask_for_all`](Self::ask_for_all).
    ///
    /// No request holds a lock while it asks. Its runtime may be one that nothing drives any more: then the next request
    /// that comes asks, and so does one that waits if the first one was dropped.
    pub(crate) async fn catch_up<F>(&self, ask: impl FnOnce(u64) -> F) -> Result<(), StoreError>
    where
        F: Future<Output = Result<(), StoreError>>,
    {
        let came = Monotonic::now().as_millis();
        let asks = loop {
            let mut answered = pin!(self.answered.notified());
            answered.as_mut().enable();
            if self.age() != Age::Old {
                return Ok(());
            }
            match self.asks(came)? {
                Some(asks) => break asks,
                None => answered.await,
            }
        };
        ask(asks.number).await
    }

    /// Asks the store for the requests that wait for the question with this number.
    pub(crate) async fn ask_for_all<F>(
        &self,
        number: u64,
        read: impl FnOnce(Option<Timestamp>) -> F,
    ) -> Result<(), StoreError>
    where
        F: Future<Output = Result<Option<Timestamp>, StoreError>>,
    {
        let answer = self.ask(read).await;
        self.turn().failed = match &answer {
            Ok(()) => None,
            Err(error) => Some((Monotonic::now().as_millis(), error.kind())),
        };
        self.is_over(number);
        answer
    }

    /// The question with this number was answered, or nobody waits for it any more.
    fn is_over(&self, number: u64) {
        self.turn().asking.take_if(|(asked, _)| *asked == number);
        self.answered.notify_waiters();
    }

    /// Lets this request ask unless another one does; or says how the question failed for which it waited.
    fn asks(&self, came: i64) -> Result<Option<Asks<'_>>, StoreError> {
        let mut turn = self.turn();
        if let Some((at, kind)) = turn.failed
            && (at >= came || kind == StoreErrorKind::Timeout && came - at < UNANSWERED)
        {
            let cause = "whether the sessions of all users have ended could not be read";
            return Err(StoreError::new(kind).with_source(cause));
        }
        let now = Monotonic::now().as_millis();
        if turn
            .asking
            .is_some_and(|(_, since)| now.saturating_sub(since) < ASKED)
        {
            return Ok(None);
        }
        turn.number = turn.number.wrapping_add(1);
        let number = turn.number;
        turn.asking = Some((number, now));
        Ok(Some(Asks {
            horizon: self,
            number,
        }))
    }

    fn turn(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Horizon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Horizon")
            .field("moment", &self.moment())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
