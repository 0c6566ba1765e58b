//! One session in a list.

use std::net::IpAddr;

use super::client_change::last_client;
use crate::model::{Client, ClientClass, Proof, Record, SessionId, Timestamp};

/// One session of a user, for a list of devices. Nothing in it signs anybody in.
#[derive(Clone, Debug)]
pub struct SessionInfo {
    record: Record,
    current: bool,
}

impl SessionInfo {
    pub(super) fn new(record: Record, current: Option<SessionId>) -> Self {
        Self {
            current: current == Some(record.id),
            record,
        }
    }

    /// The public name of the session, for ending it ([`UserSessions::end`](crate::UserSessions::end)).
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.record.id
    }

    /// Whether it is the session of this request.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.current
    }

    /// When it was created.
    #[must_use]
    pub fn created_at(&self) -> Timestamp {
        self.record.created_at
    }

    /// When its user last signed in or authenticated again.
    #[must_use]
    pub fn authenticated_at(&self) -> Timestamp {
        self.record.authenticated_at
    }

    /// When it was last active.
    #[must_use]
    pub fn last_activity(&self) -> Timestamp {
        self.record.last_activity
    }

    /// When it ends whatever the activity: the user must sign in again then.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.record.deadline
    }

    /// When it ends if there is no further activity. Never later than [`expires_at`](Self::expires_at).
    ///
    /// ```no_run
    /// # async fn list(sessions: tower_user_sessions::UserSessions) -> Result<(), tower_user_sessions::UserSessionsError> {
    /// for session in sessions.list().await? {
    ///     println!("{} until {}", session.id(), session.idle_expires_at());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn idle_expires_at(&self) -> Timestamp {
        self.record.idle_expires_at()
    }

    /// The address that the user signed in from, if the app made it known ([`PeerAddr`](crate::PeerAddr)).
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.client().address()
    }

    /// The user agent that the user signed in with: cleaned, at most 512 bytes.
    #[must_use]
    pub fn user_agent(&self) -> Option<&str> {
        self.client().user_agent()
    }

    /// The address of the client that was noted last.
    ///
    /// At first it is the client of the sign-in. A request from another network, browser or system than the noted one
    /// changes it, at most once a minute. Another address of the same network does not.
    #[must_use]
    pub fn last_address(&self) -> Option<IpAddr> {
        self.last_client().address()
    }

    /// The user agent of the client that was noted last.
    ///
    /// At first it is the client of the sign-in. A request from another network, browser or system than the noted one
    /// changes it, at most once a minute. Another version of the same browser does not.
    #[must_use]
    pub fn last_user_agent(&self) -> Option<&str> {
        self.last_client().user_agent()
    }

    /// The class of the client that signed in.
    #[must_use]
    pub fn class(&self) -> ClientClass {
        self.record.class
    }

    /// Whether it counts against the user's limit ([`Login::counts`](crate::Login::counts)).
    #[must_use]
    pub fn counts(&self) -> bool {
        self.record.counts
    }

    /// How its user authenticated, if the sign-in noted it ([`Login::proof`](crate::Login::proof)).
    #[must_use]
    pub fn proof(&self) -> Option<&Proof> {
        self.record.proof()
    }

    /// Whether a request came from another client than the sign-in.
    #[cfg(feature = "api")]
    pub(crate) fn is_elsewhere(&self) -> bool {
        self.record.last_seen().is_some()
    }

    pub(crate) fn last_client(&self) -> &Client {
        last_client(&self.record)
    }

    pub(crate) fn client(&self) -> &Client {
        self.record.client()
    }
}
