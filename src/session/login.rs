//! A sign-in with settings of its own, and what came of a commit.

use crate::{
    model::{Lifetime, Limit, Timestamp, UserId},
    session::SessionInfo,
};

/// A sign-in with settings of its own. See [`Session::log_in_with`](super::Session::log_in_with).
#[derive(Clone, Debug)]
pub struct Login {
    pub(super) user: UserId,
    pub(super) limit: Option<Limit>,
    pub(super) lifetime: Option<Lifetime>,
    pub(super) carry: Vec<Box<str>>,
    pub(super) since: Option<Timestamp>,
}

impl Login {
    /// A sign-in of this user, with the layer's settings.
    #[must_use]
    pub fn new(user: impl Into<UserId>) -> Self {
        Self {
            user: user.into(),
            limit: None,
            lifetime: None,
            carry: Vec::new(),
            since: None,
        }
    }

    /// How many sessions this user may have: by plan or role.
    ///
    /// Defaults to the layer's limit.
    #[must_use]
    pub fn limit(mut self, limit: Limit) -> Self {
        self.limit = Some(limit);
        self
    }

    /// How long this session lives: "remember me".
    ///
    /// Defaults to the layer's lifetime.
    #[must_use]
    pub fn lifetime(mut self, lifetime: Lifetime) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// Which keys of the guest's data come along.
    ///
    /// Defaults to none: a planted guest session must not bring its return address or CSRF token
    /// into the user's. Another user's data never comes along; the same user's always stays.
    #[must_use]
    pub fn carry<K: Into<Box<str>>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.carry = keys.into_iter().map(Into::into).collect();
        self
    }

    /// When the first factor of a sign-in of several steps was proven, by the store's clock.
    ///
    /// A first step keeps [`Session::seen_at`](super::Session::seen_at) with its pending sign-in (or
    /// the second one reads [`Session::authenticated_at`](super::Session::authenticated_at) of the
    /// guest session that the first step began). A sign-in that began before the user's sessions
    /// were all ended is void then.
    ///
    /// Defaults to when this request arrived.
    #[must_use]
    pub fn since(mut self, moment: Timestamp) -> Self {
        self.since = Some(moment);
        self
    }

    pub(super) fn carries(&self, key: &str) -> bool {
        self.carry.iter().any(|carried| **carried == *key)
    }
}

/// What came of a commit.
#[non_exhaustive]
#[derive(Clone, Debug, Default)]
pub struct Committed {
    /// The sessions of the user that ended for this sign-in, the least recently active first.
    pub evicted: Vec<SessionInfo>,
}
