//! The app's data of a session.

use std::any::type_name;

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    Session,
    error::{SessionError, SessionErrorKind},
    staged::{Op, Update},
    state::State,
};
use crate::model::{Change, Data};

impl Session {
    /// The value under this key, staged changes included.
    ///
    /// Returns `None` if the session has no such key, and for an [unavailable](Self::is_available) session. Also if the
    /// value was inserted as an `Option` that was `None`, and a `T` is none itself.
    ///
    /// # Errors
    ///
    /// [`SessionErrorKind::Decode`] if the stored value is not a `T`. [`SessionErrorKind::Closed`] if the
    /// response head was sent.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, SessionError> {
        let bytes = {
            let state = self.read();
            if state.released {
                return Err(SessionErrorKind::Closed.into());
            }
            seen(&state, key)
        };
        decode(key, bytes.as_deref())
    }

    /// The keys that have a value, staged changes included. The list is empty after the response head was
    /// sent.
    ///
    /// ```
    /// # #[cfg(feature = "test")] {
    /// use tower_user_sessions::Session;
    ///
    /// let session = Session::for_test("alice");
    /// session.insert("cart", "apple")?;
    /// session.insert("theme", "dark")?;
    /// assert_eq!(session.keys(), ["cart", "theme"]);
    /// # }
    /// # Ok::<_, tower_user_sessions::SessionError>(())
    /// ```
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        keys(&self.read())
    }

    /// Stages a value.
    ///
    /// Data is merged key by key: other keys do not change, whatever parallel requests do. If two
    /// requests change the same key, the later commit wins; see [`update`](Self::update).
    ///
    /// The first value of a guest begins a guest session, which costs a cookie and a place in the store. A
    /// [speculative](Self::is_speculative) request begins none: the value can be read in this request only.
    ///
    /// It is stored even if the value is the same. Compare first if a page inserts on each request.
    ///
    /// # Errors
    ///
    /// Nothing is staged if:
    ///
    /// - the value cannot be serialized, or the key is longer than 255 bytes;
    /// - the data would be over its limit: 64 KiB, or 4 KiB for a guest session, unless the layer sets
    ///   another;
    /// - guests may keep no data;
    /// - the response head was sent, or the session is unavailable.
    pub fn insert<T: Serialize + ?Sized>(&self, key: &str, value: &T) -> Result<(), SessionError> {
        let value = encode(value)?;
        self.stage(&mut self.state(), key, Change::Set(value), None)
    }

    /// Stages the removal of a key.
    ///
    /// # Errors
    ///
    /// If the response head was sent or the session is unavailable.
    pub fn remove(&self, key: &str) -> Result<(), SessionError> {
        let mut state = self.state();
        if seen(&state, key).is_none() {
            return state.stageable();
        }
        self.stage(&mut state, key, Change::Remove, None)
    }

    /// Stages the removal of all [`keys`](Self::keys), those that this request inserted included.
    ///
    /// The user stays signed in. What the handler inserts afterwards is kept. A key that a parallel request adds
    /// meanwhile is not removed: data is merged key by key, and this request never saw it.
    ///
    /// ```
    /// # #[cfg(feature = "test")] {
    /// use tower_user_sessions::Session;
    ///
    /// let session = Session::for_test("alice");
    /// session.insert("cart", "apple")?;
    /// session.clear()?;
    /// assert!(session.keys().is_empty());
    /// assert!(session.user_id().is_some());
    /// # }
    /// # Ok::<_, tower_user_sessions::SessionError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the response head was sent or the session is unavailable.
    pub fn clear(&self) -> Result<(), SessionError> {
        let mut state = self.state();
        state.stageable()?;
        for key in keys(&state) {
            self.stage(&mut state, &key, Change::Remove, None)?;
        }
        Ok(())
    }

    /// Stages a value computed from the present one.
    ///
    /// `f` runs at once. If a parallel request changes any data of the session before this is committed, `f` runs again
    /// on the newest value, so no update is lost. After 16 attempts the commit is
    /// [`CommitError::Conflict`](crate::CommitError::Conflict), which is 503 as a response.
    ///
    /// ```no_run
    /// # fn count(session: &tower_user_sessions::Session) -> Result<(), tower_user_sessions::SessionError> {
    /// session.update("visits", |visits: Option<u32>| visits.unwrap_or(0) + 1)
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert). Also if the present value is not a `T`.
    pub fn update<T, F>(&self, key: &str, mut f: F) -> Result<(), SessionError>
    where
        T: Serialize + DeserializeOwned,
        F: FnMut(Option<T>) -> T + Send + 'static,
    {
        let update = Update::new(move |key: &str, before: Option<Bytes>| {
            encode(&f(decode(key, before.as_deref())?))
        });
        loop {
            // The closure belongs to the app: it does not run while the session is locked.
            let before = {
                let state = self.read();
                state.stageable()?;
                seen(&state, key)
            };
            let value = update.run(key, before.clone())?;
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
        let limit = state.data_limit(rules);
        let derived = again.is_some() && is_stored(state, key);
        let base = state.base().cloned().unwrap_or_default();
        // The limit may have been higher when the data was stored.
        let limit = limit.max(base.as_bytes().len());
        let ops = &mut state.staged.ops;
        if grows && ops.size_with(&base, key, &change) > limit {
            return Err(SessionErrorKind::TooLarge.into());
        }
        ops.push(
            &base,
            Op {
                key: key.into(),
                change,
                again,
                own: true,
                derived,
                number: 0,
            },
        );
        Ok(())
    }
}

fn keys(state: &State) -> Vec<String> {
    let base = state.base().cloned().unwrap_or_default();
    base.apply(&state.staged.ops.changes())
        .named(|_key| true)
        .map(|(key, _value)| key.to_owned())
        .collect()
}

/// Whether what the handler sees under this key comes from before this request.
fn is_stored(state: &State, key: &str) -> bool {
    match state.staged.ops.newest(key) {
        Some(op) => op.derived,
        None => stored(state, key).is_some(),
    }
}

/// What the handler sees under this key.
fn seen(state: &State, key: &str) -> Option<Bytes> {
    match state.staged.ops.newest(key).map(|op| &op.change) {
        Some(Change::Set(value)) => Some(value.clone()),
        Some(Change::Remove) => None,
        None => stored(state, key),
    }
}

fn stored(state: &State, key: &str) -> Option<Bytes> {
    state.staged.ops.stored(state.base()?, key)
}

fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Bytes, SessionError> {
    rmp_serde::to_vec_named(value)
        .map(Bytes::from)
        .map_err(|source| SessionError::new(SessionErrorKind::Encode, source))
}

/// An `Option` of the app that was `None`, in MessagePack.
const NIL: &[u8] = &[0xc0];

fn decode<T: DeserializeOwned>(key: &str, bytes: Option<&[u8]>) -> Result<Option<T>, SessionError> {
    let Some(bytes) = bytes else { return Ok(None) };
    match rmp_serde::from_slice(bytes) {
        Ok(value) => Ok(Some(value)),
        Err(_) if bytes == NIL => Ok(None),
        Err(error) => Err(SessionError::unread(key, type_name::<T>(), &error)),
    }
}
