//! From the token of a request to its session.

use std::{future::Future, pin::Pin, sync::Arc};

use http::{Request, header::USER_AGENT};

use super::{config::Config, inquiry::Inquiry, reject::Rejection, unkept::Unkept};
use crate::{
    model::Arrival,
    request::{PeerAddr, RawHints, Reading, Sent, Tokens, Way, says_speculative},
    session::{self, OpenSession, Sender, Session},
    store::boxed::boxed,
};

/// A session for the service, or why there is none.
pub(super) type Opened = Result<OpenSession, Rejection>;

/// What a request sends, before the store was asked, and its session.
pub(super) struct Incoming {
    open: OpenSession,
    sent: Sent,
    /// It sends nothing that could be a token.
    sends_nothing: bool,
    activity: bool,
}

/// What the store answered, or the wait for it.
pub(super) enum Asked {
    Answered(Opened),
    Waiting(Pin<Box<dyn Future<Output = Opened> + Send>>),
}

impl Incoming {
    /// `activity`: the request counts as activity, unless nobody has opened the page yet.
    pub(super) fn read<B>(config: &Config, request: &mut Request<B>, activity: bool) -> Self {
        let arrival = Arrival::now();
        let by_button = !request.method().is_safe();
        let mut reading = Reading::new(config.source, config.cookie.name());
        let (mut user_agent, mut hints, mut speculative) = (None, false, false);
        // One walk costs less than a lookup of each.
        for (name, value) in request.headers_mut() {
            if *name == USER_AGENT {
                user_agent.get_or_insert_with(|| value.clone());
            } else if config.source.reads(name) {
                // A service further in may print the headers: this keeps the token out.
                value.set_sensitive(true);
                reading.header(name, value);
            } else {
                hints |= RawHints::begin_with(name);
                speculative |= says_speculative(name, value);
            }
        }
        let sent = reading.sent();
        let sends_nothing = sent.is_nothing();
        let sender = Sender {
            address: config.address(request.headers(), PeerAddr::of(request.extensions())),
            user_agent,
            hints: if hints {
                RawHints::read(request.headers())
            } else {
                RawHints::default()
            },
            device: config.device(request.headers()),
            takes_cookies: sent.way.unwrap_or_else(|| config.source.first()) == Way::Cookie,
        };
        let guest_cookie = matches!(sent.guest, Tokens::One(_) | Tokens::Malformed);
        let mut beside = session::Sent::new(sent.way, by_button, guest_cookie);
        // A browser loads ahead with safe methods only.
        let speculative = speculative && !by_button;
        beside.speculative = speculative;
        let activity = activity && !speculative;
        #[cfg(feature = "api")]
        {
            beside.activity = activity;
        }
        let session = Session::new(Arc::clone(&config.rules), arrival, sender, beside);
        Self {
            open: OpenSession::new(session),
            sent,
            sends_nothing,
            activity,
        }
    }

    /// Why the browser will not keep a cookie of the response.
    pub(super) fn unkept<B>(&self, config: &Config, request: &Request<B>) -> Option<Unkept> {
        let unkept = || Unkept::of(config, request);
        self.sends_nothing.then(unkept).flatten()
    }

    /// Asks the store whose token it is; anything that is not a token costs no call.
    pub(super) fn ask(self, config: &Arc<Config>, near: bool) -> Asked {
        if self.sends_nothing {
            return Asked::Answered(Ok(self.open));
        }
        let Self {
            open,
            sent,
            activity,
            ..
        } = self;
        let mut inquiry = Inquiry::new(config, open, sent, (activity, near));
        while let Some(token) = inquiry.next(config) {
            let mut resolve = inquiry.question(config, token);
            // No time has passed that matters.
            resolve.read_at = Some(inquiry.open.noted());
            let Some(answer) = config.rules.store.resolve_now(&mut resolve) else {
                let config = Arc::clone(config);
                let token = resolve.token.clone();
                let answer = config.rules.store.resolve(resolve);
                return Asked::Waiting(boxed(|| async move {
                    inquiry.take(&config, token, answer.await)?;
                    if inquiry.is_done() {
                        return Ok(inquiry.open);
                    }
                    // Boxed: this is rare.
                    Box::pin(finish(inquiry, &config)).await
                }));
            };
            if let Err(rejection) = inquiry.take(config, resolve.token, answer) {
                return Asked::Answered(Err(rejection));
            }
            if inquiry.is_changed() {
                let config = Arc::clone(config);
                return Asked::Waiting(Box::pin(async move { finish(inquiry, &config).await }));
            }
        }
        Asked::Answered(Ok(inquiry.open))
    }
}

/// Asks the store for what is left, and settles that the session is used by another client.
async fn finish(mut inquiry: Inquiry, config: &Config) -> Opened {
    loop {
        inquiry.settle(config).await?;
        let Some(token) = inquiry.next(config) else {
            return Ok(inquiry.open);
        };
        let resolve = inquiry.question(config, token.clone());
        inquiry.take(config, token, config.rules.store.resolve(resolve).await)?;
    }
}
