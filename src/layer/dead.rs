//! Tokens that the store does not know, for a short time: a dead cookie costs the store nothing then.

use std::time::Duration;

use crate::{
    model::{Arrival, Digest, EndNotice, Timestamp, Token},
    session::{Dead, Recent},
};

/// How long a token is remembered.
const KEPT: Duration = Duration::from_secs(5);

/// Tokens that the store called unknown or expired.
///
/// A token is made for one session and works only after the store has said so. A sign-in whose outcome is
/// unknown has not sent its token, so no request can have asked for it. So a token that the store does not know
/// stays unknown, but for a store that loses writes: then the session is back up to five seconds late.
///
/// Each layer has its own, because other settings make other tokens unknown. They are found by session id, because the
/// digest of a live token need not be computed then.
#[derive(Clone, Debug, Default)]
pub(super) struct DeadTokens(Recent<Noted>);

#[derive(Clone, Copy, Debug)]
struct Noted {
    digest: Digest,
    since: Arrival,
    /// When the session expired, if that is known.
    expired: Option<Timestamp>,
}

impl DeadTokens {
    /// What the store said of this token a moment ago, if it opened no session.
    #[inline]
    pub(super) fn find(&self, token: &Token) -> Option<Dead> {
        let noted = self.0.get(token.session_id())?;
        if noted.digest != token.digest() || !noted.counts() {
            return None;
        }
        let expired = |at| Dead::Expired(EndNotice::expired(noted.digest, at));
        Some(noted.expired.map_or(Dead::Unknown, expired))
    }

    /// The store does not know this token, or its session expired.
    pub(super) fn note(&self, token: &Token, dead: &Dead) {
        let expired = match dead {
            Dead::Expired(notice) => Some(notice.ended_at),
            _ => None,
        };
        self.note_at(token, Arrival::now(), expired);
    }

    fn note_at(&self, token: &Token, at: Arrival, expired: Option<Timestamp>) {
        let noted = Noted {
            digest: token.digest(),
            since: at,
            expired,
        };
        self.0.note(token.session_id(), noted, Noted::counts);
    }
}

impl Noted {
    fn counts(&self) -> bool {
        self.since.age() < KEPT
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Tag;

    fn token() -> Token {
        Token::random(Tag::random().unwrap()).unwrap()
    }

    fn has(dead: &DeadTokens, token: &Token) -> bool {
        dead.find(token).is_some()
    }

    // T2
    #[test]
    fn a_dead_token_is_remembered_for_five_seconds_and_no_other_token_is() {
        let (dead, young, old) = (DeadTokens::default(), token(), token());
        let just_under = KEPT.checked_sub(Duration::from_secs(1)).unwrap();

        dead.note_at(&young, Arrival::ago(just_under), None);
        dead.note_at(&old, Arrival::ago(KEPT), None);

        let tokens = [&young, &young.renewed().unwrap(), &old];
        assert_eq!(tokens.map(|token| has(&dead, token)), [true, false, false]);
    }

    // T2
    #[test]
    fn copied_settings_remember_no_dead_tokens() {
        let (dead, token) = (DeadTokens::default(), token());
        dead.note(&token, &Dead::Unknown);

        let other = dead.clone();
        assert_eq!((has(&dead, &token), has(&other, &token)), (true, false));
    }
}
