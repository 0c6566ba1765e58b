//! The app's data of a session.

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    Session,
    error::{SessionError, SessionErrorKind},
    staged::{Op, Update, changes},
    state::State,
};
use crate::model::{Change, Data};

impl Session {
    /// What the session keeps under this key, staged changes included.
    ///
    /// # Errors
    ///
    /// If the value is not a `T`.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, SessionError> {
        let bytes = seen(&self.state(), key);
        bytes.map(|bytes| decode(&bytes)).transpose()
    }

    /// Stages a value. A later commit of the same key, by a parallel request, wins over an earlier
    /// one; other keys are left alone.
    ///
    /// A guest's first value begins a guest session, which costs a cookie and a place in the store.
    ///
    /// # Errors
    ///
    /// If the value cannot be written, the key is over 255 bytes, the data would be over its limit
    /// (64 KiB, of a guest 4 KiB, unless the layer says otherwise), guests may keep nothing, the
    /// response head has passed, or the session is unavailable. Nothing is staged then.
    pub fn insert<T: Serialize + ?Sized>(&self, key: &str, value: &T) -> Result<(), SessionError> {
        let value = encode(value)?;
        self.stage(&mut self.state(), key, Change::Set(value), None)
    }

    /// Stages the removal of a key.
    ///
    /// # Errors
    ///
    /// If the response head has passed, or the session is unavailable.
    pub fn remove(&self, key: &str) -> Result<(), SessionError> {
        let mut state = self.state();
        if seen(&state, key).is_none() {
            return state.stageable();
        }
        self.stage(&mut state, key, Change::Remove, None)
    }

    /// Stages a value computed from the one before.
    ///
    /// `f` runs at once; if a parallel request changed the session's data in between, it runs again
    /// on the newest value when this is committed, so that no update is lost.
    ///
    /// ```no_run
    /// # fn count(session: &tower_user_sessions::Session) -> Result<(), tower_user_sessions::SessionError> {
    /// session.update("visits", |visits: Option<u32>| visits.unwrap_or(0) + 1)
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert), and if the value before is not a `T`.
    pub fn update<T, F>(&self, key: &str, mut f: F) -> Result<(), SessionError>
    where
        T: Serialize + DeserializeOwned,
        F: FnMut(Option<T>) -> T + Send + 'static,
    {
        let update = Update::new(move |before: Option<Bytes>| {
            let before = before.map(|bytes| decode(&bytes)).transpose()?;
            encode(&f(before))
        });
        loop {
            // The closure is the user's: it does not run while the session is locked.
            let before = {
                let state = self.state();
                state.stageable()?;
                seen(&state, key)
            };
            let value = update.run(before.clone())?;
            let mut state = self.state();
            if seen(&state, key) == before {
                return self.stage(&mut state, key, Change::Set(value), Some(update));
            }
        }
    }

    fn stage(
        &self,
        state: &mut State,
        key: &str,
        change: Change,
        again: Option<Update>,
    ) -> Result<(), SessionError> {
        let rules = &self.0.rules;
        state.stageable()?;
        if key.len() > Data::KEY_MAX {
            return Err(SessionErrorKind::KeyTooLong.into());
        }
        let grows = matches!(change, Change::Set(_));
        if grows && state.is_guest() && !rules.guests.allowed {
            return Err(SessionErrorKind::GuestsOff.into());
        }
        state.staged.ops.push(Op {
            key: key.into(),
            change,
            again,
            own: true,
        });
        if grows && size(state) > state.data_limit(rules) {
            state.staged.ops.pop();
            return Err(SessionErrorKind::TooLarge.into());
        }
        Ok(())
    }
}

/// How large the data would be with what is staged.
fn size(state: &State) -> usize {
    let base = state.base().cloned().unwrap_or_default();
    base.apply(&changes(&state.staged.ops)).as_bytes().len()
}

/// What the handler sees under this key.
fn seen(state: &State, key: &str) -> Option<Bytes> {
    match state.staged.get(key) {
        Some(Change::Set(value)) => Some(value.clone()),
        Some(Change::Remove) => None,
        None => state.base()?.get(key),
    }
}

fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Bytes, SessionError> {
    rmp_serde::to_vec_named(value)
        .map(Bytes::from)
        .map_err(|source| SessionError::new(SessionErrorKind::Encode, source))
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, SessionError> {
    rmp_serde::from_slice(bytes)
        .map_err(|source| SessionError::new(SessionErrorKind::Decode, source))
}
