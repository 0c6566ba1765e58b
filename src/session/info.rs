//! One session in a list.

use std::net::IpAddr;

use crate::model::{Client, ClientClass, Proof, Record, SessionId, Timestamp};

/// One session of a user, as a list shows it. Nothing in it signs anybody in.
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

    /// Its public name.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.record.id
    }

    /// Whether it is the session of the request that asks.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.current
    }

    /// When it began.
    #[must_use]
    pub fn created_at(&self) -> Timestamp {
        self.record.created_at
    }

    /// When its user proved who they are.
    #[must_use]
    pub fn authenticated_at(&self) -> Timestamp {
        self.record.authenticated_at
    }

    /// When it was last seen on a request that counts as activity.
    #[must_use]
    pub fn last_activity(&self) -> Timestamp {
        self.record.last_activity
    }

    /// When it ends unless it is seen again.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.record.expires_at()
    }

    /// The address that it was signed in from, where the app made it known.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.client().address()
    }

    /// The user agent that it was signed in with: cleaned, at most 512 bytes.
    #[must_use]
    pub fn user_agent(&self) -> Option<&str> {
        self.client().user_agent()
    }

    /// The class of the client that signed in.
    #[must_use]
    pub fn class(&self) -> ClientClass {
        self.record.class
    }

    /// Whether it counts against the user's limit: not that of the support staff, say.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.record.counts
    }

    /// How its user proved who they are, where the sign-in noted it.
    #[must_use]
    pub fn proof(&self) -> Option<&Proof> {
        self.record.proof()
    }

    pub(crate) fn client(&self) -> &Client {
        self.record.client()
    }
}
