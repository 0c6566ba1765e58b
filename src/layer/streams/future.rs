//! [`EndStreamsFuture`]: from the call to the head of its response.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Method, Response};
use http_body::Body;
use pin_project_lite::pin_project;

use super::{EndStreams, kind};
use crate::{
    layer::{form::Form, mistake, reject::Rejection, reply::Reply},
    model::{SessionId, Tag},
    request::passed,
    session::{BoxError, LiveEnd, LiveSession, Session, UntilEnded, Waiting},
};

pin_project! {
    /// Response future of [`EndStreamsService`](crate::EndStreamsService).
    ///
    /// If the session ends before the response head, the call is dropped. So is the answer to a body that was cut off.
    #[must_use = "futures do nothing unless polled"]
    pub struct EndStreamsFuture<F, R> {
        #[pin]
        call: Option<F>,
        open: Open,
        layer: EndStreams<R>,
    }
}

impl<F, R> EndStreamsFuture<F, R> {
    pub(super) const fn new(call: F, open: Open, layer: EndStreams<R>) -> Self {
        Self {
            call: Some(call),
            open,
            layer,
        }
    }
}

/// The session of a call, and what the request was.
pub(super) struct Open {
    session: Option<Session>,
    /// What was stored of it when the call began.
    began_with: Option<(Tag, SessionId)>,
    waiting: Option<Waiting>,
    /// The body of the request ends with the session.
    uploads: bool,
    /// The session was asked for already.
    tried: bool,
    form: Form,
    method: Method,
}

impl Open {
    pub(super) fn new(
        session: Option<Session>,
        live: Option<LiveSession>,
        form: Form,
        method: Method,
    ) -> Self {
        Self {
            began_with: session.as_ref().and_then(Session::stored_session),
            session,
            uploads: live.is_some(),
            tried: live.is_some(),
            waiting: live.map(Waiting::new),
            form,
            method,
        }
    }

    /// Watches the session, from the first time that the call waits for something.
    fn watch(&mut self) -> Option<&mut Waiting> {
        let session = self.session.as_ref()?;
        if !self.tried {
            self.tried = true;
            self.waiting = session.live_since(self.began_with).map(Waiting::new);
        }
        self.waiting.as_mut()
    }

    /// Whether the body of the request failed, because the session had ended.
    fn is_cut_off(&self) -> bool {
        self.uploads && self.session.as_ref().is_some_and(Session::is_cut_off)
    }

    /// How the session of this call ended, unless the call did it.
    fn poll_ended(&mut self, task: &mut Context<'_>) -> Option<LiveEnd> {
        let waiting = self.watch()?;
        let Poll::Ready(end) = Pin::new(&mut *waiting).poll(task) else {
            return None;
        };
        let live = waiting.live().clone();
        let session = self.session.as_ref()?;
        match session.poll_still(&live, task.waker()) {
            Poll::Ready(true) => {
                session.stop_staging();
                return Some(end);
            }
            Poll::Ready(false) => self.waiting = None,
            Poll::Pending => {}
        }
        None
    }

    /// The session with which the response body ends.
    fn live(&mut self) -> Option<LiveSession> {
        let session = self.session.as_ref()?;
        let known = self.waiting.take().map(|waiting| waiting.live().clone());
        match known {
            // What is staged is not stored yet.
            _ if session.is_leaving() => None,
            Some(live) if session.has(&live) => Some(live),
            _ => session.live_since(self.began_with),
        }
    }
}

impl<F, R, B, E> Future for EndStreamsFuture<F, R>
where
    F: Future<Output = Result<Response<B>, E>>,
    R: Reply<UntilEnded<B>>,
    B: Body + Send + 'static,
    B::Data: From<Bytes>,
    B::Error: Into<BoxError>,
{
    type Output = Result<Response<UntilEnded<B>>, E>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Some(call) = this.call.as_mut().as_pin_mut() else {
            return Poll::Pending;
        };
        let answer = call.poll(task);
        // What a handler answers to a body that was cut off is an error without the reason, or about a part of the body.
        let end = match &answer {
            Poll::Ready(_) if !this.open.is_cut_off() => None,
            _ => this.open.poll_ended(task),
        };
        let Some(end) = end else {
            return answer.map_ok(|head| wrap(head, this.open, this.layer));
        };
        this.call.set(None);
        let session = this.open.session.as_ref();
        if let Some(session) = session {
            session.cut_off_is_answered();
        }
        let expired = session.and_then(Session::expired_now);
        let rejection = Rejection::of_end(end, expired).of_form(this.open.form);
        Poll::Ready(Ok(this.layer.reply.reply(rejection)))
    }
}

fn wrap<B, R>(
    response: Response<B>,
    open: &mut Open,
    layer: &EndStreams<R>,
) -> Response<UntilEnded<B>>
where
    B: Body + Send + 'static,
    B::Data: From<Bytes>,
    B::Error: Into<BoxError>,
{
    let (head, body) = response.into_parts();
    if kind::is_upgrade(&open.method, head.status) {
        if open.session.as_ref().is_some_and(Session::is_unwatched) {
            mistake::upgrade_without_live();
        }
        return Response::from_parts(head, UntilEnded::whole(body));
    }
    let watched = open.form != Form::Head && kind::is_stream(&body);
    if watched && open.session.is_none() && !passed::is_set() {
        mistake::stream_without_session();
    }
    let live = if watched { open.live() } else { None };
    let body = match live {
        Some(live) => {
            let last = kind::last_words(&head, open.form, &layer.last_event);
            UntilEnded::watched(body, live, last)
        }
        None => UntilEnded::whole(body),
    };
    Response::from_parts(head, body)
}

impl<F, R> fmt::Debug for EndStreamsFuture<F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndStreamsFuture").finish_non_exhaustive()
    }
}
