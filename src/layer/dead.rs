//! Tokens that the store does not know, for a short time: a dead cookie costs the store nothing then.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::{
    model::{Arrival, Digest, EndNotice, SessionId, Timestamp, Token},
    session::Dead,
};

/// How long a token is remembered.
const KEPT: Duration = Duration::from_secs(5);

/// How many locks there are; each protects a share of the tokens.
const SHARDS: usize = 16;

/// How many tokens each share has at most: 4,096 in all.
const SHARE: usize = 256;

/// Tokens that the store called unknown or expired.
///
/// A token is made for one session and works only after the store has said so. A sign-in whose outcome is
/// unknown has not sent its token, so no request can have asked for it. So a token that the store does not know
/// stays unknown, but for a store that loses writes: then the session is back up to five seconds late.
///
/// Each layer has its own, because other settings make other tokens unknown.
#[derive(Default)]
pub(super) struct DeadTokens([Shard; SHARDS]);

#[derive(Default)]
struct Shard {
    /// How many there are: usually none, and then no lock is taken.
    count: AtomicUsize,
    /// By session id, because the digest of a live token need not be computed then.
    tokens: Mutex<HashMap<SessionId, Noted>>,
}

#[derive(Clone, Copy)]
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
        let id = token.session_id();
        let shard = self.shard(id)?;
        if shard.count.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let noted = shard.lock().get(&id).copied()?;
        if noted.digest != token.digest() || noted.since.age() >= KEPT {
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
        let id = token.session_id();
        let Some(shard) = self.shard(id) else {
            return;
        };
        let mut tokens = shard.lock();
        if tokens.len() >= SHARE {
            tokens.retain(|_, noted| noted.since.age() < KEPT);
        }
        if tokens.len() >= SHARE {
            // That costs the store some calls, and no more.
            tokens.clear();
        }
        let noted = Noted {
            digest: token.digest(),
            since: at,
            expired,
        };
        tokens.insert(id, noted);
        shard.count.store(tokens.len(), Ordering::Relaxed);
    }

    fn shard(&self, id: SessionId) -> Option<&Shard> {
        // An id is random, so that any byte of it distributes the tokens evenly.
        self.0.get(usize::from(id.as_bytes()[0]) % SHARDS)
    }
}

impl Shard {
    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, Noted>> {
        // Every step leaves plain values behind.
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Settings that are copied may change: what was unknown may be known then.
impl Clone for DeadTokens {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl fmt::Debug for DeadTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeadTokens(..)")
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

    fn all(dead: &DeadTokens) -> usize {
        dead.0.iter().map(|shard| shard.lock().len()).sum()
    }

    // T2
    #[test]
    fn a_dead_token_is_remembered_for_five_seconds_and_no_other_token_is() {
        let (dead, token) = (DeadTokens::default(), token());
        let just_under = KEPT.checked_sub(Duration::from_secs(1)).unwrap();

        dead.note_at(&token, Arrival::ago(just_under), None);
        let (young, other) = (has(&dead, &token), has(&dead, &token.renewed().unwrap()));
        dead.note_at(&token, Arrival::ago(KEPT), None);

        assert_eq!((young, other, has(&dead, &token)), (true, false, false));
    }

    // T2
    #[test]
    fn at_most_4096_dead_tokens_are_remembered() {
        let dead = DeadTokens::default();

        for _ in 0..20_000 {
            dead.note(&token(), &Dead::Unknown);
        }

        assert!(all(&dead) <= 4_096, "{}", all(&dead));
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
