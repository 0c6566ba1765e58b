//! [`LiveEnd`]: how the session of an open stream ended.

use std::fmt;

use crate::{
    model::{EndNotice, EndReason},
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
