//! The session, read for a purpose that does not show in the response.

use std::fmt;

use super::Session;
use crate::model::{SessionId, UserId};

/// The session of a request, read for a log line or a rate limit. See [`Session::peek`].
#[derive(Clone, Copy)]
pub struct Peek<'a>(&'a Session);

impl Session {
    /// Reads the session for a purpose that does not show in the response, such as a log line or a rate limit.
    ///
    /// A response whose handler read the session is not stored by shared caches, see
    /// [`SessionLayer::caching`](crate::SessionLayer::caching). What you read here does not count. So a
    /// middleware can log the user of every request, and the cached pages of the site stay cached.
    ///
    /// ```
    /// use tower_user_sessions::Session;
    ///
    /// fn log(session: &Session) {
    ///     println!("session {:?}", session.peek().id());
    /// }
    /// # #[cfg(feature = "test")]
    /// # log(&Session::for_test("alice"));
    /// ```
    #[must_use]
    pub const fn peek(&self) -> Peek<'_> {
        Peek(self)
    }
}

impl Peek<'_> {
    /// As [`Session::user_id`].
    #[must_use]
    pub fn user_id(self) -> Option<UserId> {
        self.0.state().user_id()
    }

    /// As [`Session::id`].
    #[must_use]
    pub fn id(self) -> Option<SessionId> {
        self.0.state().id()
    }

    /// As [`Session::is_available`].
    #[must_use]
    pub fn is_available(self) -> bool {
        self.0.state().is_available()
    }
}

impl fmt::Debug for Peek<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Peek").field(self.0).finish()
    }
}
