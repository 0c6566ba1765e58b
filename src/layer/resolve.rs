//! From the token of a request to its session.

use std::{future::Future, pin::Pin, sync::Arc};

use http::{HeaderMap, Request, header::USER_AGENT};

use super::{
    config::{Config, OnOutage},
    failure::unanswered,
    mistake,
    reject::Rejection,
};
use crate::{
    model::{Arrival, EndReason, Token},
    request::{PeerAddr, RawHints, Sent, Way, is_from_plain_http},
    session::{Current, Live, OpenSession, Sender, Session},
    store::{Resolve, Resolved, StoreError, meter},
};

/// A session for the service, or why there is none.
pub(super) type Opened = Result<OpenSession, Rejection>;

/// What a request sends, before the store was asked, and its session.
pub(super) struct Incoming {
    open: OpenSession,
    sent: Sent,
}

/// What the store answered, or the wait for it.
pub(super) enum Asked {
    Answered(Opened),
    Waiting(Pin<Box<dyn Future<Output = Opened> + Send>>),
}

impl Incoming {
    pub(super) fn read<B>(config: &Config, request: &mut Request<B>) -> Self {
        let arrival = Arrival::now();
        let headers = request.headers_mut();
        let sent = config.source.read(headers, config.cookie.name());
        let sends = !matches!(sent, Sent::Nothing);
        let (mut user_agent, mut hints) = (None, false);
        // One walk costs less than a lookup of each.
        for (name, value) in headers {
            if *name == USER_AGENT {
                user_agent.get_or_insert_with(|| value.clone());
            } else if sends && config.source.reads(name) {
                // A service further in may print the headers: this keeps the token out.
                value.set_sensitive(true);
            } else {
                hints |= RawHints::begin_with(name);
            }
        }
        let sender = Sender {
            address: config.address(request.headers(), PeerAddr::of(request.extensions())),
            user_agent,
            hints: if hints {
                RawHints::read(request.headers())
            } else {
                RawHints::default()
            },
            device: config.device(request.headers()),
            takes_cookies: sent.way().unwrap_or_else(|| config.source.first()) == Way::Cookie,
        };
        let session = Session::new(Arc::clone(&config.rules), arrival, sender, sent.way());
        Self {
            open: OpenSession::new(session),
            sent,
        }
    }

    /// Whether a page on plain http sent this request, which would not keep a `Secure` cookie. Such a
    /// page never sends a token, so that only requests without one are looked at.
    pub(super) fn is_from_plain_http(&self, config: &Config, headers: &HeaderMap) -> bool {
        matches!(self.sent, Sent::Nothing)
            && config.cookie.is_secure()
            && mistake::may_warn_of_plain_http()
            && is_from_plain_http(headers)
    }

    /// Asks the store whose token it is; anything that is not a token costs no call.
    pub(super) fn ask(self, config: &Arc<Config>, activity: bool) -> Asked {
        let Self { mut open, sent } = self;
        let token = match sent {
            Sent::Token(token, _way) => token,
            Sent::Nothing => return Asked::Answered(Ok(open)),
            Sent::Malformed(way) => {
                tracing::debug!(?way, "not a token");
                open.remove_cookie();
                return Asked::Answered(Ok(open));
            }
            Sent::TwoCookies => {
                tracing::warn!(
                    cookie = config.cookie.name(),
                    "two differing session cookies, so neither is used: is one left over with another path or domain?"
                );
                return Asked::Answered(Ok(open));
            }
            Sent::TwoTokens => {
                tracing::debug!("two different tokens in one request");
                return Asked::Answered(Ok(open));
            }
        };
        let mut resolve = Resolve::within(token, config.rules.realm);
        resolve.activity = activity;
        resolve.activity_step = config.rules.activity_step;
        resolve.not_before = config.rules.not_before;
        if let Some(answer) = config.rules.store.resolve_now(&resolve) {
            return Asked::Answered(
                opened(config, &mut open, resolve.token, answer).map(|()| open),
            );
        }
        let config = Arc::clone(config);
        let token = resolve.token.clone();
        let answer = config.rules.store.resolve(resolve);
        Asked::Waiting(Box::pin(async move {
            opened(&config, &mut open, token, answer.await).map(|()| open)
        }))
    }
}

fn opened(
    config: &Config,
    open: &mut OpenSession,
    token: Token,
    answer: Result<Resolved, StoreError>,
) -> Result<(), Rejection> {
    meter::resolved(&answer);
    let (current, remove) = match answer {
        Ok(Resolved::Live(found)) => (Current::Live(Live::new(token.tag(), found)), false),
        Ok(Resolved::Ended(notice)) => match notice.reason {
            // No client ever used these: there is nothing to explain.
            EndReason::Undelivered | EndReason::Rejected => (Current::Nothing, true),
            // The cookie stays until the reason was read. That of a replaced session always stays: the
            // browser may have the new one already.
            _ => (Current::Ended(Box::new(notice)), false),
        },
        Ok(Resolved::Reused(reused)) => {
            tracing::warn!(ended = reused.ended, "previous token used after its time");
            open.session().report_reused(&reused);
            // The browser may have the current one.
            (Current::Gone, false)
        }
        Ok(Resolved::Expired(record)) => {
            open.session().report_expired(&record);
            (Current::Nothing, true)
        }
        Ok(Resolved::Unknown) => (Current::Nothing, true),
        Err(error) => {
            let rejection = unanswered(&error, "session not resolved");
            match config.on_outage {
                OnOutage::Refuse => return Err(rejection),
                OnOutage::Guest => (Current::Unavailable, false),
            }
        }
    };
    open.found(token, current);
    if remove {
        open.remove_cookie();
    }
    Ok(())
}
