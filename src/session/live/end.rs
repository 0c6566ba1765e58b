//! [`LiveEnd`]: how the session of an open stream ended.

use std::fmt;

use crate::{
    model::{EndNotice, EndReason, clean::at_most},
    request::EndWords,
};

/// How the session of an open stream ended, see [`LiveSession::ended`](super::LiveSession::ended).
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum LiveEnd {
    /// The session was ended. The notice says why, when, and by which device.
    /// `None`: the store does not keep the reason any more.
    Ended(Option<EndNotice>),
    /// The session expired: it was not used for its idle time, or its absolute time is over.
    Expired,
    /// The store could not be asked for five times [`look_every`](crate::SessionLayer::look_every), five minutes by
    /// default. The session may still be live.
    OutOfSight,
}

impl LiveEnd {
    /// The code of the reason: that of the [`EndReason`], or `ended`, `expired` or `out_of_sight`.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Ended(Some(notice)) => notice.reason.as_str(),
            Self::Ended(None) => "ended",
            Self::Expired => EndReason::Expired.as_str(),
            Self::OutOfSight => "out_of_sight",
        }
    }

    /// The end notice, if there is one.
    #[must_use]
    pub const fn notice(&self) -> Option<&EndNotice> {
        match self {
            Self::Ended(notice) => notice.as_ref(),
            Self::Expired | Self::OutOfSight => None,
        }
    }

    /// A sentence for the user, such as "You were signed out because you signed in on Firefox on Windows."
    ///
    /// ```
    /// use tower_user_sessions::{EndWords, LiveEnd};
    ///
    /// let sentence = LiveEnd::Expired.message(&EndWords::default());
    /// assert_eq!(sentence, "You were signed out because your session expired.");
    /// ```
    #[must_use]
    pub fn message(&self, words: &EndWords) -> String {
        match self {
            Self::Ended(Some(notice)) => words.message(notice),
            Self::Ended(None) => words.ended.to_string(),
            Self::Expired => words.expired.to_string(),
            Self::OutOfSight => words.out_of_sight.to_string(),
        }
    }
}

/// The most that a close frame takes beside its code (RFC 6455 §5.5). Browsers fail the connection if it has more.
const CLOSE_MAX: usize = 123;

impl LiveEnd {
    /// [`message`](Self::message) for the close frame of a WebSocket: at most 123 bytes.
    ///
    /// A longer one is cut, and ends with `…`. Browsers refuse a close frame with more, and the page gets neither its code nor
    /// its reason. The message can be that long by words of yours, or by the name of a device.
    ///
    /// ```
    /// use tower_user_sessions::{EndWords, LiveEnd};
    ///
    /// let mut words = EndWords::default();
    /// words.expired = "é".repeat(100).into();
    ///
    /// let reason = LiveEnd::Expired.close_reason(&words);
    /// assert_eq!(reason, "é".repeat(60) + "…");
    /// ```
    #[must_use]
    pub fn close_reason(&self, words: &EndWords) -> String {
        let message = self.message(words);
        if message.len() <= CLOSE_MAX {
            return message;
        }
        let start = at_most(&message, CLOSE_MAX - '…'.len_utf8());
        format!("{start}…")
    }
}

impl fmt::Display for LiveEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ended(_) => "the session of this stream ended",
            Self::Expired => "the session of this stream expired",
            Self::OutOfSight => {
                "the store did not say for minutes whether the session of this stream is live"
            }
        })
    }
}
