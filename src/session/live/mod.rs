//! Streams that stay open after the response head, and end with their session.

mod again;
mod body;
mod book;
mod driver;
mod end;
mod registry;
mod set;
#[cfg(test)]
mod tests;
mod watched;
mod wheel;

use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
};

use http_body::Body;

pub(super) use self::again::Streams;
pub(crate) use self::{
    body::LastWords,
    registry::{Mark, Registry},
    watched::Waiting,
};
pub use self::{
    body::{StreamError, UntilEnded},
    end::LiveEnd,
};
use self::{
    book::{First, Times},
    watched::Watched,
};
use super::{
    Session,
    current::Current,
    error::{SessionError, SessionErrorKind},
    staged::Target,
};
use crate::model::{EndNotice, SessionId, Tag};

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The session of an open stream, from [`Session::live`]. It ends when the session does.
///
/// Use it where a response stays open: a WebSocket, an event stream, a gRPC stream, a long download. It has no
/// token and no data of the session. Clones are the same session.
///
/// Requests that arrive later notice by themselves that their session ended. An open stream does not. The
/// layer asks the store for it.
///
/// ```
/// # #[cfg(feature = "test")]
/// # tokio_test::block_on(async {
/// use tower_user_sessions::{EndWords, Session};
///
/// let session = Session::for_test("alice");
/// let live = session.live()?;
/// # let ender = session.user_sessions().unwrap();
/// # ender.end_all().await?;
///
/// // In the loop of a stream: `tokio::select! { end = live.ended() => …, message = next() => … }`
/// let end = live.ended().await;
/// println!("{}", end.message(&EndWords::default()));
/// # assert_eq!(end.reason(), "revoked");
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub struct LiveSession(Arc<Watched>);

impl Session {
    /// Watches the session for a stream that stays open after the response.
    ///
    /// Call it in the handler, before you return the response or upgrade the connection. Keep it as long as the
    /// stream is open.
    ///
    /// The layer finds out that the session ended within a second if the store reports changes
    /// ([`SessionStore::feed`](crate::SessionStore::feed)). Else it takes at most
    /// [`look_every`](crate::SessionLayer::look_every), 20 % more, and the time of one call: 75 s by default. In an
    /// outage it takes longer. See [`guide::streams`](crate::guide::streams).
    ///
    /// # Errors
    ///
    /// [`SessionErrorKind::NoSession`] if nothing is stored of the session: a guest without data, or a sign-in
    /// that is not [committed](Self::commit). Also after a staged sign-out. [`SessionErrorKind::Unavailable`] in an outage, and
    /// [`SessionErrorKind::NoRuntime`] outside of a tokio runtime.
    pub fn live(&self) -> Result<LiveSession, SessionError> {
        self.read().streams.taken = true;
        if self.is_leaving() {
            return Err(SessionErrorKind::NoSession.into());
        }
        self.watch(First::Now)
    }

    /// As [`live`](Self::live), for what usually ends within a second: the store is asked only after that.
    pub(crate) fn live_later(&self) -> Result<LiveSession, SessionError> {
        self.watch(First::Later)
    }

    /// The stored session of the request, as it is now.
    pub(crate) fn stored_session(&self) -> Option<(Tag, SessionId)> {
        let state = self.state();
        state.live().map(|live| (live.tag, live.record.id))
    }

    /// As [`live_later`](Self::live_later), for a call that began with this session. If the handler found out that it
    /// has ended, the store is asked why, and the stream ends.
    pub(crate) fn live_since(&self, began_with: Option<(Tag, SessionId)>) -> Option<LiveSession> {
        if let Ok(live) = self.live_later() {
            return Some(live);
        }
        let of = began_with?;
        let is_gone = {
            let state = self.state();
            matches!(state.current, Current::Gone(_)) && state.has(of)
        };
        let live = &self.0.rules.live;
        is_gone.then(|| live.open(of, Times::UNKNOWN, None, First::Now))?
    }

    fn watch(&self, first: First) -> Result<LiveSession, SessionError> {
        let (tag, record, seen, mark) = {
            let state = self.state();
            match &state.current {
                Current::Live(live) => {
                    let record = &live.record;
                    let began = record.began_at();
                    let expires = record.expires_at();
                    (live.tag, (record.id, began, expires), live.now, live.mark)
                }
                Current::Nothing | Current::Gone(_) => {
                    return Err(SessionErrorKind::NoSession.into());
                }
                Current::Unavailable => return Err(SessionErrorKind::Unavailable.into()),
            }
        };
        let (id, began, expires) = record;
        let now = seen.plus(self.0.arrival.age());
        let times = Times {
            began,
            expires,
            left: u64::try_from(expires.since(now).as_millis()).unwrap_or(u64::MAX),
        };
        let registry = &self.0.rules.live;
        registry
            .open((tag, id), times, mark.as_ref(), first)
            .ok_or_else(|| SessionErrorKind::NoRuntime.into())
    }

    /// The notice for the user of a session that has just expired. Of a guest session there is none.
    pub(crate) fn expired_now(&self) -> Option<EndNotice> {
        let state = self.state();
        let live = state.live()?;
        live.record.user_id()?;
        let now = live.now.plus(self.0.arrival.age());
        Some(EndNotice::expired(live.record.digest, now))
    }

    /// Whether a sign-in or a sign-out is staged.
    pub(crate) fn is_leaving(&self) -> bool {
        !matches!(self.state().staged.target, Target::Stay)
    }

    /// Whether something is stored of the session, and the handler does not watch it.
    pub(crate) fn is_unwatched(&self) -> bool {
        let state = self.state();
        state.record().is_some() && !state.streams.taken
    }

    /// The handler was stopped: of what it staged, only a sign-out is stored.
    pub(crate) fn stop_staging(&self) {
        self.state().keep_ends();
    }
}

impl LiveSession {
    /// Waits until the session has ended, and says how.
    ///
    /// It can be called again and by several clones: each gets the same answer. It works after the [`Session`](crate::Session)
    /// was dropped.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing. An end in between is returned by the next call.
    pub async fn ended(&self) -> LiveEnd {
        Waiting::new(self.clone()).await
    }

    /// How the session ended, if that is known already. It does not ask.
    #[must_use]
    pub fn end(&self) -> Option<&LiveEnd> {
        self.0.end()
    }

    /// The id of the session.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.0.id
    }

    /// Ends this body with the session: what the client got is then visibly incomplete.
    ///
    /// The body fails with a [`StreamError`], so the server closes the connection or resets the stream. For all
    /// responses of a service, use the layer [`EndStreams`](crate::EndStreams). It also ends event streams and gRPC streams
    /// in a way that their clients understand.
    pub fn until_ended<B>(&self, body: B) -> UntilEnded<B>
    where
        B: Body + Send + 'static,
        B::Error: Into<BoxError>,
    {
        UntilEnded::watched(body, self.clone(), LastWords::Error)
    }

    fn watched(&self) -> &Watched {
        &self.0
    }
}

impl Clone for LiveSession {
    fn clone(&self) -> Self {
        self.0.handles.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(&self.0))
    }
}

impl Drop for LiveSession {
    fn drop(&mut self) {
        self.0.registry.close(&self.0);
    }
}

impl fmt::Debug for LiveSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveSession")
            .field("id", &self.id())
            .field("end", &self.end().map(LiveEnd::reason))
            .finish()
    }
}
