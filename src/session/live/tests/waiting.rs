//! Who is woken when a session ends, and what becomes of the bodies.

use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::{Body, Frame};
use tokio::time::{sleep, timeout};

use super::{
    MINUTE, SECOND,
    sight::{Sight, id, opened_in_an_idle_runtime, tag},
};
use crate::{
    model::EndReason,
    session::live::{LastWords, LiveSession, StreamError, UntilEnded},
    store::FeedNews,
};

/// Counts how often it is woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("the app's code");
    }
}

fn polls<F: Future>(future: &mut Pin<Box<F>>, waker: &Waker) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(waker))
}

/// The first session of the first user, with a stream.
async fn opens(sight: &Sight) -> LiveSession {
    sight.live(id(1), MINUTE * 60);
    let live = sight.open(&sight.registry(), id(1), None);
    sleep(SECOND * 2).await;
    live
}

async fn ends(sight: &Sight) {
    sight.end(id(1), EndReason::Revoked);
    sight.deliver(FeedNews::LookAgain);
    sleep(SECOND * 2).await;
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_polled_often_waits_once_and_its_last_waker_counts() {
    let sight = Sight::new(true);
    let live = opens(&sight).await;
    let mut wait = Box::pin(live.ended());
    for _ in 0..100 {
        assert!(polls(&mut wait, Waker::noop()).is_pending());
    }
    assert_eq!(live.0.waiting(), (1, 1));
    drop(wait);
    assert_eq!(live.0.waiting().0, 0);

    let (before, now) = (Arc::<Woken>::default(), Arc::<Woken>::default());
    let mut wait = Box::pin(live.ended());
    assert!(polls(&mut wait, &Arc::clone(&before).into()).is_pending());
    assert!(polls(&mut wait, &Arc::clone(&now).into()).is_pending());
    ends(&sight).await;

    assert_eq!((before.0.load(SeqCst), now.0.load(SeqCst)), (0, 1));
    assert!(polls(&mut wait, Waker::noop()).is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_panics_when_it_ends_leaves_the_others_alone() {
    let sight = Sight::new(true);
    let registry = sight.registry();
    sight.live(id(1), MINUTE * 60);
    sight.live(id(2), MINUTE * 60);
    let live = sight.open(&registry, id(1), None);
    let other = sight.open_of(&registry, tag(1), id(2), None);
    sleep(SECOND * 2).await;
    let woken = Arc::<Woken>::default();
    let (mut one, mut two) = (Box::pin(live.ended()), Box::pin(live.ended()));
    assert!(polls(&mut one, &Arc::new(Panics).into()).is_pending());
    assert!(polls(&mut two, &Arc::clone(&woken).into()).is_pending());

    ends(&sight).await;
    assert_eq!(woken.0.load(SeqCst), 1);

    // The task looks on, also if nobody polls.
    let looks = sight.looks();
    sleep(MINUTE * 2).await;
    assert!(sight.looks() > looks);
    drop(other);
}

/// A body that waits for ever after these frames.
#[derive(Default)]
struct Frames {
    left: VecDeque<Frame<Bytes>>,
    polls: Arc<AtomicUsize>,
}

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.polls.fetch_add(1, SeqCst);
        match self.left.pop_front() {
            Some(frame) => Poll::Ready(Some(Ok(frame))),
            None => Poll::Pending,
        }
    }
}

type Read = Poll<Option<Result<Frame<Bytes>, StreamError>>>;

fn reads(body: &mut Pin<Box<UntilEnded<Frames>>>, waker: &Waker) -> Read {
    body.as_mut().poll_frame(&mut Context::from_waker(waker))
}

#[tokio::test(start_paused = true)]
async fn who_reads_a_body_is_woken_when_the_session_ends() {
    let sight = Sight::new(true);
    let live = opens(&sight).await;
    let mut body = Box::pin(live.until_ended(Frames::default()));
    let woken = Arc::<Woken>::default();
    assert!(reads(&mut body, &Arc::clone(&woken).into()).is_pending());

    ends(&sight).await;

    assert_eq!(woken.0.load(SeqCst), 1);
    assert!(
        matches!(reads(&mut body, Waker::noop()), Poll::Ready(Some(Err(error)))
        if error.end().is_some())
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_follows_the_trailers_of_a_body() {
    let sight = Sight::new(true);
    let live = opens(&sight).await;
    let frames = [
        Frame::data(Bytes::from_static(b"a")),
        Frame::trailers(HeaderMap::new()),
    ];
    let mut body = Box::pin(live.until_ended(Frames {
        left: frames.into(),
        ..Frames::default()
    }));
    for _ in 0..2 {
        assert!(matches!(
            reads(&mut body, Waker::noop()),
            Poll::Ready(Some(Ok(_)))
        ));
    }

    ends(&sight).await;

    assert!(matches!(reads(&mut body, Waker::noop()), Poll::Ready(None)));
}

#[tokio::test(start_paused = true)]
async fn a_body_of_a_session_that_has_ended_is_not_read() {
    let sight = Sight::new(true);
    let live = opens(&sight).await;
    ends(&sight).await;
    let count = Arc::<AtomicUsize>::default();
    let mut body = Box::pin(live.until_ended(Frames {
        polls: Arc::clone(&count),
        ..Frames::default()
    }));

    let read = reads(&mut body, Waker::noop());

    assert!(matches!(read, Poll::Ready(Some(Err(_)))));
    assert_eq!(count.load(SeqCst), 0);
}

#[test]
fn a_body_that_is_read_goes_on_when_nothing_drives_the_runtime_that_opened_it() {
    let (_idle, sight, registry, live) = opened_in_an_idle_runtime();
    sight.end(id(1), EndReason::Evicted);
    let mut body = Box::pin(live.until_ended(Frames::default()));

    let busy = tokio::runtime::Runtime::new().unwrap();
    let read = busy.block_on(async {
        let frame = std::future::poll_fn(|task| body.as_mut().poll_frame(task));
        timeout(SECOND * 20, frame).await
    });

    assert!(matches!(read, Ok(Some(Err(error))) if error.end().is_some()));
    drop(registry);
}

/// Data in several pieces, as `Buf` allows.
struct Pieces(VecDeque<Bytes>);

impl Buf for Pieces {
    fn remaining(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    fn chunk(&self) -> &[u8] {
        self.0.front().map_or(&[], |piece| piece)
    }

    fn advance(&mut self, _: usize) {
        unreachable!("nobody sends it")
    }
}

impl From<Bytes> for Pieces {
    fn from(bytes: Bytes) -> Self {
        Self([bytes].into())
    }
}

/// A body of one frame, which waits for ever after it.
struct InPieces(Option<Pieces>);

impl Body for InPieces {
    type Data = Pieces;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Pieces>, Infallible>>> {
        match self.0.take() {
            Some(pieces) => Poll::Ready(Some(Ok(Frame::data(pieces)))),
            None => Poll::Pending,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_event_follows_half_an_event_in_pieces() {
    let sight = Sight::new(true);
    let live = opens(&sight).await;
    let pieces = [&b"data: whole\n\n"[..], b"data: ha"].map(Bytes::from_static);
    let inner = InPieces(Some(Pieces(pieces.into())));
    let event = LastWords::Event(Arc::new(|_| Bytes::from_static(b"data: ended\n\n")));
    let mut body = Box::pin(UntilEnded::watched(inner, live.clone(), event));
    let mut next = || {
        body.as_mut()
            .poll_frame(&mut Context::from_waker(Waker::noop()))
    };
    assert!(matches!(next(), Poll::Ready(Some(Ok(_)))));

    ends(&sight).await;

    assert!(matches!(next(), Poll::Ready(Some(Err(error))) if error.end().is_some()));
}
