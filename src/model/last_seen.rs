//! The client of the last request, as far as it is another one than before.

use std::{net::IpAddr, time::Duration};

use serde::{Deserialize, Serialize};

use super::{client::Client, clock::Timestamp, hints::WrittenHints, open::Open};

/// How long the same pair of address and agent raises no second event.
const REPORTED_KEPT: Duration = Duration::from_secs(60 * 60);

/// How many of them one session remembers.
const REPORTED_MAX: usize = 8;

/// The client of a session's last request, if that was another one than at the sign-in.
///
/// You need it only to write a store: keep it as it is, beside the client of the sign-in. Lists of devices
/// show it: [`SessionInfo::last_address`](crate::SessionInfo::last_address) and
/// [`last_user_agent`](crate::SessionInfo::last_user_agent).
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LastSeen {
    /// The client: address, user agent and hints.
    pub client: Client,
    /// When the first of its requests was noted, by the store's clock.
    pub at: Timestamp,
    /// An authentication at this moment or earlier does not count as fresh.
    pub doubted: Option<Timestamp>,
    /// For which clients an event was raised, and when.
    pub(super) reported: Vec<(u64, Timestamp)>,
    /// Two requests of the same millisecond note different values.
    pub(super) nonce: u32,
}

impl LastSeen {
    /// This client, first noted at this moment.
    #[must_use]
    pub fn new(client: Client, at: Timestamp) -> Self {
        Self::after(None, client, at)
    }

    /// This client after an earlier one.
    pub(crate) fn after(before: Option<&Self>, client: Client, at: Timestamp) -> Self {
        let mut nonce = [0; 4];
        // Without randomness two requests of one millisecond could both raise the event.
        let _ = getrandom::fill(&mut nonce);
        Self {
            client,
            at,
            doubted: before.and_then(|before| before.doubted),
            reported: before.map_or_else(Vec::new, |before| before.reported.clone()),
            nonce: u32::from_be_bytes(nonce),
        }
    }

    /// Whether no event was raised for this mark within the last hour. If so, it is remembered from now on.
    pub(crate) fn report(&mut self, mark: u64, now: Timestamp) -> bool {
        self.reported
            .retain(|(_, at)| now.since(*at) < REPORTED_KEPT);
        if self.reported.iter().any(|(known, _)| *known == mark) {
            return false;
        }
        if self.reported.len() == REPORTED_MAX {
            self.reported.remove(0);
        }
        self.reported.push((mark, now));
        true
    }
}

/// Address, user agent, hints, when, up to when an authentication is doubted, the reported marks, nonce.
#[derive(Deserialize, Serialize)]
pub(super) struct WrittenLastSeen<'a>(
    Option<IpAddr>,
    Option<&'a str>,
    #[serde(borrow)] Option<Open<WrittenHints<'a>>>,
    i64,
    Option<i64>,
    Vec<(u64, i64)>,
    u32,
);

impl<'a> From<&'a LastSeen> for WrittenLastSeen<'a> {
    fn from(seen: &'a LastSeen) -> Self {
        let reported = seen.reported.iter();
        Self(
            seen.client.address(),
            seen.client.user_agent(),
            seen.client.hints().map(WrittenHints::from).map(Open::of),
            seen.at.as_millis(),
            seen.doubted.map(Timestamp::as_millis),
            reported.map(|(mark, at)| (*mark, at.as_millis())).collect(),
            seen.nonce,
        )
    }
}

impl Open<WrittenLastSeen<'_>> {
    /// Whether a newer node appended elements to it.
    pub(super) fn is_newer(&self) -> bool {
        let Self(WrittenLastSeen(_, _, hints, ..), more) = self;
        *more || hints.as_ref().is_some_and(|Open(_, more)| *more)
    }
}

impl From<WrittenLastSeen<'_>> for LastSeen {
    fn from(written: WrittenLastSeen<'_>) -> Self {
        let WrittenLastSeen(address, user_agent, hints, at, doubted, reported, nonce) = written;
        let reported = reported.into_iter();
        Self {
            client: Client::stored(
                address,
                user_agent,
                hints.map(|Open(hints, _)| hints.into()),
            ),
            at: Timestamp::from_millis(at),
            doubted: doubted.map(Timestamp::from_millis),
            reported: reported
                .map(|(mark, at)| (mark, Timestamp::from_millis(at)))
                .collect(),
            nonce,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_reported_once_an_hour_and_eight_are_remembered() {
        let at = Timestamp::from_millis;
        let mut seen = LastSeen::new(Client::new(), at(0));
        assert!(seen.report(1, at(0)));
        assert!(!seen.report(1, at(3_599_999)));
        assert!(seen.report(1, at(3_600_000)));

        for mark in 2..10 {
            assert!(seen.report(mark, at(3_600_001)), "{mark}");
        }
        assert_eq!(seen.reported.len(), REPORTED_MAX);
    }
}
