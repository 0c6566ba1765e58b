//! [`UntilEnded`]: a body that ends with a session.

use std::{
    error, fmt,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak,
        atomic::{Ordering, fence},
    },
    task::{Context, Poll, Wake, Waker},
};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::{BoxError, LiveEnd, LiveSession, Session};

pin_project! {
    /// A body that ends with a session, from [`LiveSession::until_ended`] or the layer
    /// [`EndStreams`](crate::EndStreams).
    ///
    /// When the session ends, the body inside is dropped at once, also if the client does not read.
    pub struct UntilEnded<B: Body> {
        #[pin]
        part: Part<B>,
    }
}

pin_project! {
    #[project = PartProj]
    enum Part<B: Body> {
        /// It has all it needs, or no session.
        Whole { #[pin] body: B },
        /// It ends with the session.
        Stream { stream: Stream<B> },
    }
}

/// How a body ends when its session does.
#[derive(Clone)]
pub(crate) enum LastWords {
    /// By an error, so that it does not look whole.
    Error,
    /// By the trailers of gRPC.
    Trailers(fn(&LiveEnd) -> HeaderMap),
    /// By one more event of an event stream.
    Event(Arc<dyn Fn(&LiveEnd) -> Bytes + Send + Sync>),
}

/// Why a body failed that ends with its session.
#[derive(Debug)]
pub struct StreamError(Cause);

#[derive(Debug)]
enum Cause {
    Ended(Box<LiveEnd>),
    Body(BoxError),
}

impl StreamError {
    /// How the session ended; `None` if the body inside failed.
    #[must_use]
    pub fn end(&self) -> Option<&LiveEnd> {
        match &self.0 {
            Cause::Ended(end) => Some(end),
            Cause::Body(_) => None,
        }
    }
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Cause::Ended(end) => end.fmt(f),
            Cause::Body(_) => f.write_str("the body failed"),
        }
    }
}

impl error::Error for StreamError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match &self.0 {
            Cause::Ended(_) => None,
            Cause::Body(error) => Some(&**error),
        }
    }
}

impl<B: Body> UntilEnded<B> {
    /// The body as it is.
    pub(crate) const fn whole(body: B) -> Self {
        Self {
            part: Part::Whole { body },
        }
    }
}

impl<B> UntilEnded<B>
where
    B: Body + Send + 'static,
{
    pub(crate) fn watched(body: B, live: LiveSession, last: LastWords) -> Self {
        Self::new(body, live, last, None)
    }

    /// The body of a request: it goes on if the call itself ends or replaces its session.
    pub(crate) fn of_call(body: B, live: LiveSession, call: Session) -> Self {
        Self::new(body, live, LastWords::Error, Some(call))
    }

    fn new(body: B, live: LiveSession, last: LastWords, call: Option<Session>) -> Self {
        let shared = Arc::new(Shared {
            live,
            last,
            call,
            state: Mutex::new(State {
                body: Some(Box::pin(body)),
                task: None,
                tail: [b'\n'; 4],
                over: false,
            }),
        });
        let dropper = Waker::from(Arc::new(Dropper(Arc::downgrade(&shared))));
        let key = shared.live.watched().wait(None, &dropper);
        Self {
            part: Part::Stream {
                stream: Stream { shared, key },
            },
        }
    }
}

/// Owns the body. When it is dropped, nobody waits for the session any more.
struct Stream<B: Body> {
    shared: Arc<Shared<B>>,
    key: Option<u32>,
}

impl<B: Body> Drop for Stream<B> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.shared.live.watched().stop_waiting(key);
        }
    }
}

struct Shared<B: Body> {
    live: LiveSession,
    last: LastWords,
    /// The session as the call knows it, which may have ended it.
    call: Option<Session>,
    state: Mutex<State<B>>,
}

struct State<B> {
    body: Option<Pin<Box<B>>>,
    /// Who reads the body.
    task: Option<Waker>,
    /// The last bytes that were sent: an event is complete after an empty line.
    tail: [u8; 4],
    /// The last frame was sent.
    over: bool,
}

impl<B: Body> Shared<B> {
    fn state(&self) -> MutexGuard<'_, State<B>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the session ended, unless the call did it. If that is not known yet, the task is woken later.
    fn end(&self, task: &Waker) -> Option<&LiveEnd> {
        let end = self.live.end()?;
        let still = |call: &Session| call.poll_still(&self.live, task) == Poll::Ready(true);
        self.call.as_ref().is_none_or(still).then_some(end)
    }
}

/// Woken when the session ends: drops the body in the place of a client that does not read.
struct Dropper<B: Body>(Weak<Shared<B>>);

impl<B> Wake for Dropper<B>
where
    B: Body + Send + 'static,
{
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let Some(shared) = self.0.upgrade() else {
            return;
        };
        fence(Ordering::SeqCst);
        let mut state = match shared.state.try_lock() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // It is being read: the reader looks afterwards.
            Err(TryLockError::WouldBlock) => return,
        };
        let ended = shared.end(&Waker::from(Arc::clone(self))).is_some();
        let body = state.body.take_if(|_| ended);
        let task = state.task.take();
        drop(state);
        if let Some(task) = task {
            task.wake();
        }
        drop(body);
    }
}

impl<B> Stream<B>
where
    B: Body,
    B::Data: From<Bytes>,
    B::Error: Into<BoxError>,
{
    fn poll(&self, task: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, StreamError>>> {
        let shared = &*self.shared;
        shared.live.watched().registry.keep_looking();
        let (polled, gone) = {
            let mut state = shared.state();
            if state.over {
                return Poll::Ready(None);
            }
            let gone = state.body.is_none();
            match &mut state.task {
                Some(known) => known.clone_from(task.waker()),
                none => *none = Some(task.waker().clone()),
            }
            let polled = match state.body.as_mut() {
                Some(body) if shared.end(task.waker()).is_none() => body.as_mut().poll_frame(task),
                _ => Poll::Pending,
            };
            if matches!(polled, Poll::Ready(None)) {
                state.over = true;
            }
            (polled, gone)
        };
        // A body is gone only after its session has ended. It stays so, although the call has another session by now.
        if let Some(end) = self.shared.live.end().filter(|_| gone) {
            return Poll::Ready(Some(self.last(end)));
        }
        // The session may have ended while the body was read, and then nobody else drops it.
        fence(Ordering::SeqCst);
        match (polled, shared.end(task.waker())) {
            (Poll::Ready(None), _) => Poll::Ready(None),
            (_, Some(end)) => Poll::Ready(Some(self.last(end))),
            (polled, None) => {
                // Only what is sent counts for where the last event may follow.
                if let Poll::Ready(Some(Ok(frame))) = &polled {
                    shared.state().note(frame);
                }
                polled.map_err(|error| StreamError(Cause::Body(error.into())))
            }
        }
    }

    /// The last frame.
    fn last(&self, end: &LiveEnd) -> Result<Frame<B::Data>, StreamError> {
        let (body, whole) = {
            let mut state = self.shared.state();
            state.over = true;
            (state.body.take(), state.is_between_events())
        };
        drop(body);
        if let Some(call) = &self.shared.call {
            call.cut_off();
        }
        match &self.shared.last {
            LastWords::Trailers(trailers) => Ok(Frame::trailers(trailers(end))),
            // Half an event cannot be taken back.
            LastWords::Event(event) if whole => Ok(Frame::data(event(end).into())),
            LastWords::Event(_) | LastWords::Error => {
                Err(StreamError(Cause::Ended(Box::new(end.clone()))))
            }
        }
    }
}

impl<B: Body> State<B> {
    /// Remembers the last four bytes, as far as they are in one piece.
    fn note(&mut self, frame: &Frame<B::Data>) {
        let Some(data) = frame.data_ref() else {
            // After trailers nothing follows.
            self.over = true;
            return;
        };
        // The data of all servers are in one piece.
        let sent = data.chunk();
        if data.remaining() > sent.len() {
            self.tail = [0; 4];
            return;
        }
        for byte in sent.iter().rev().take(4).rev() {
            self.tail.rotate_left(1);
            self.tail[3] = *byte;
        }
    }

    fn is_between_events(&self) -> bool {
        let [.., a, b] = self.tail;
        (a, b) == (b'\n', b'\n') || (a, b) == (b'\r', b'\r') || self.tail == *b"\r\n\r\n"
    }
}

impl<B> Body for UntilEnded<B>
where
    B: Body,
    B::Data: From<Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = B::Data;
    type Error = StreamError;

    fn poll_frame(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, StreamError>>> {
        match self.project().part.project() {
            PartProj::Whole { body } => body
                .poll_frame(task)
                .map_err(|error| StreamError(Cause::Body(error.into()))),
            PartProj::Stream { stream } => stream.poll(task),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.part {
            Part::Whole { body } => body.is_end_stream(),
            Part::Stream { stream } => {
                let state = stream.shared.state();
                state.over || state.body.as_ref().is_some_and(|body| body.is_end_stream())
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.part {
            Part::Whole { body } => body.size_hint(),
            Part::Stream { stream } => match (&stream.shared.last, &stream.shared.state().body) {
                // An error may come at any time.
                (LastWords::Error, Some(body)) => body.size_hint(),
                // It may end earlier, and with more.
                _ => SizeHint::default(),
            },
        }
    }
}

impl<B: Body + Default> Default for UntilEnded<B> {
    fn default() -> Self {
        Self::whole(B::default())
    }
}

impl<B: Body + From<Bytes>> From<Bytes> for UntilEnded<B> {
    fn from(bytes: Bytes) -> Self {
        Self::whole(bytes.into())
    }
}

impl<B: Body> fmt::Debug for UntilEnded<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UntilEnded").finish_non_exhaustive()
    }
}
