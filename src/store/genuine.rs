//! Whether what a store returns is what was asked for.
//!
//! A proxy that mixes replies up, or a wrong cache in a store, would otherwise show one user the session of
//! another. It is compared here, so that this holds for every store.

use super::{
    Create, Created, Look, Looked, Resolve, Resolved, Rotate, Rotated, StoreError, StoreErrorKind,
};
use crate::model::{Digest, Record, SessionId, Tag, TagKey};

/// Puts an error in place of what is no answer to this question. In place, because a copy costs each request.
#[inline]
pub(super) fn resolved(
    asked: &Resolve,
    key: Option<&TagKey>,
    answer: &mut Result<Resolved, StoreError>,
) {
    let (id, digest) = (asked.token.session_id(), &asked.digest);
    let is_answer = match answer {
        Ok(Resolved::Live(found)) => is_of(&found.record, id, digest),
        Ok(Resolved::Expired(record)) => is_of(record, id, digest),
        Ok(Resolved::Reused(reused)) => is_of(&reused.record, id, digest),
        Ok(Resolved::Ended(notice)) => notice.opens_to(digest),
        Ok(Resolved::Unknown) | Err(_) => true,
    };
    if !is_answer {
        *answer = wrong();
    } else if let (Some(key), Ok(Resolved::Live(found))) = (key, &*answer)
        && let Some(user) = found.record.user_id()
        && Tag::keyed(key, user) != asked.token.tag()
    {
        // From before the key: whatever is done to the user's sessions does not reach it.
        *answer = Ok(Resolved::Unknown);
    }
}

/// As [`resolved`], for sessions by their ids.
pub(super) fn looked(
    asked: &Look,
    answer: Result<Looked, StoreError>,
) -> Result<Looked, StoreError> {
    match &answer {
        Ok(looked) if looked.sessions.len() != asked.ids.len() => wrong(),
        _ => answer,
    }
}

/// As [`resolved`], for a new session.
pub(super) fn created(
    asked: &Create,
    answer: Result<Created, StoreError>,
) -> Result<Created, StoreError> {
    match &answer {
        Ok(Created::Created(new))
            if new.record.id != asked.id
                || new.record.digest != asked.digest
                || new.record.user_id() != asked.user.as_ref() =>
        {
            wrong()
        }
        _ => answer,
    }
}

/// As [`resolved`], for a new token.
pub(super) fn rotated(
    asked: &Rotate,
    answer: Result<Rotated, StoreError>,
) -> Result<Rotated, StoreError> {
    match &answer {
        Ok(Rotated::Rotated(record)) if record.id != asked.id || record.digest != asked.digest => {
            wrong()
        }
        _ => answer,
    }
}

/// Whether this token is, or was, one of this session.
#[inline]
pub(super) fn is_of(record: &Record, id: SessionId, digest: &Digest) -> bool {
    let previous = || record.rotation.as_ref()?.previous(digest);
    record.id == id && (record.digest == *digest || previous().is_some())
}

#[cold]
fn wrong<T>() -> Result<T, StoreError> {
    Err(StoreError::new(StoreErrorKind::Corrupt))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{Timestamp, Token, UserId},
        store::{Authenticated, Renewal, Salt},
    };

    #[test]
    fn a_session_is_what_was_asked_for_if_its_id_and_its_token_are() {
        let user = UserId::new("alice").unwrap();
        let now = Timestamp::from_millis(1_764_000_000_000);
        let token = Token::random(Tag::of(&user)).unwrap();
        let other = Token::random(Tag::of(&user)).unwrap();
        let create = |token| Create::new(token, Some(user.clone()), Authenticated::At(now));
        let (create, other) = (create(&token), create(&other));
        let record = Record::of(&create, now);
        let salt = Salt::from_bytes([7; 16]);
        let mut rotate = Rotate::new(&token, &token.successor(&salt), Renewal::Derived(salt));
        rotate.digest = record.digest;
        let rotates = |rotate: &Rotate| {
            let answer = rotated(rotate, Ok(Rotated::Rotated(Box::new(record.clone()))));
            answer.map(drop).map_err(|error| error.kind())
        };
        let corrupt = Err(StoreErrorKind::Corrupt);

        assert!(is_of(&record, create.id, &create.digest));
        assert!(!is_of(&record, other.id, &create.digest));
        assert!(!is_of(&record, create.id, &other.digest));

        assert_eq!(rotates(&rotate), Ok(()));
        let mut of_other = rotate.clone();
        of_other.id = other.id;
        assert_eq!(rotates(&of_other), corrupt);
        rotate.digest = other.digest;
        assert_eq!(rotates(&rotate), corrupt);
    }
}
