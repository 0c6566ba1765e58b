//! From what a request shows to its session.

use std::{error::Error, future::Future, pin::Pin, sync::Arc};

use http::{Request, header::USER_AGENT};

use super::{
    config::{Config, OnOutage},
    reject::Rejection,
};
use crate::{
    model::{Arrival, EndReason, Token},
    request::{PeerAddr, RawHints, Shown, Way},
    session::{Current, Live, OpenSession, Sender, Session},
    store::{Resolve, Resolved, StoreError},
};

/// A session for the service, or an answer instead of one.
pub(super) type Opened = Result<OpenSession, Rejection>;

/// What a request shows, before the store was asked.
pub(super) struct Incoming {
    arrival: Arrival,
    sender: Sender,
    shown: Shown,
}

/// What came of asking.
pub(super) enum Asked {
    Answered(Opened),
    Waiting(Pin<Box<dyn Future<Output = Opened> + Send>>),
}

impl Incoming {
    pub(super) fn read<B>(config: &Config, request: &mut Request<B>) -> Self {
        let arrival = Arrival::now();
        let headers = request.headers_mut();
        let shown = config.source.read(headers, config.cookie.name());
        if !matches!(shown, Shown::Nothing) {
            // Keeps the token out of what prints the request's headers further in.
            headers
                .iter_mut()
                .filter(|(name, _)| config.source.reads(name))
                .for_each(|(_, value)| value.set_sensitive(true));
        }
        Self {
            arrival,
            sender: Sender {
                address: config.address(request.headers(), PeerAddr::of(request.extensions())),
                user_agent: request.headers().get(USER_AGENT).cloned(),
                hints: RawHints::read(request.headers()),
                device: config.device(request.headers()),
            },
            shown,
        }
    }

    /// Asks the store whose token it is; anything that is not a token costs no call.
    pub(super) fn ask(self, config: &Arc<Config>, activity: bool) -> Asked {
        let Self {
            arrival,
            sender,
            shown,
        } = self;
        let (token, way) = match shown {
            Shown::Token(token, way) => (token, way),
            Shown::Nothing => return guest(config, arrival, sender),
            Shown::Malformed(way) => {
                tracing::debug!(?way, "not a token");
                let open = open(config, arrival, sender, Current::Nothing, (None, Some(way)));
                open.remove_cookie();
                return Asked::Answered(Ok(open));
            }
            Shown::TwoCookies => {
                tracing::warn!(
                    cookie = config.cookie.name(),
                    "two differing session cookies; a leftover with another path or domain?"
                );
                return guest(config, arrival, sender);
            }
            Shown::TwoTokens => {
                tracing::debug!("two different tokens in one request");
                return guest(config, arrival, sender);
            }
        };
        let mut resolve = Resolve::new(token);
        resolve.activity = activity;
        resolve.not_before = config.rules.not_before;
        if let Some(answer) = config.rules.store.resolve_now(&resolve) {
            let shown = (resolve.token, way);
            return Asked::Answered(opened(config, arrival, sender, shown, answer));
        }
        let config = Arc::clone(config);
        let shown = (resolve.token.clone(), way);
        let answer = config.rules.store.resolve(resolve);
        Asked::Waiting(Box::pin(async move {
            opened(&config, arrival, sender, shown, answer.await)
        }))
    }
}

fn opened(
    config: &Config,
    arrival: Arrival,
    sender: Sender,
    shown: (Token, Way),
    answer: Result<Resolved, StoreError>,
) -> Opened {
    let (current, remove) = match answer {
        Ok(Resolved::Live(found)) => (Current::Live(Live::new(shown.0.tag(), found)), false),
        Ok(Resolved::Ended(notice)) => match notice.reason {
            // Nobody ever used these: there is nothing to tell.
            EndReason::Undelivered | EndReason::Void => (Current::Nothing, true),
            // The cookie stays until the reason was read; of a replaced session it always does, for
            // the browser may hold the new one already.
            _ => (Current::Ended(Box::new(notice)), false),
        },
        Ok(Resolved::Reused(reused)) => {
            tracing::warn!(ended = reused.ended, "former token used after its time");
            // The browser may hold the present one.
            (Current::Gone, false)
        }
        Ok(Resolved::Expired(_) | Resolved::Unknown) => (Current::Nothing, true),
        Err(error) => {
            tracing::warn!(error = &error as &dyn Error, kind = ?error.kind(), "session not resolved");
            match config.on_outage {
                OnOutage::Refuse => return Err(Rejection::unavailable()),
                OnOutage::Guest => (Current::Unavailable, false),
            }
        }
    };
    let (token, way) = shown;
    let open = open(config, arrival, sender, current, (Some(token), Some(way)));
    if remove {
        open.remove_cookie();
    }
    Ok(open)
}

/// A guest's, of whom no token is used.
fn guest(config: &Config, arrival: Arrival, sender: Sender) -> Asked {
    Asked::Answered(Ok(open(
        config,
        arrival,
        sender,
        Current::Nothing,
        (None, None),
    )))
}

fn open(
    config: &Config,
    arrival: Arrival,
    sender: Sender,
    current: Current,
    (token, shown): (Option<Token>, Option<Way>),
) -> OpenSession {
    let rules = Arc::clone(&config.rules);
    OpenSession::new(Session::new(rules, arrival, current, sender, token, shown))
}
