//! How long the session of a request still lives, for a countdown.

use serde::Serialize;

use crate::session::Session;

/// The seconds are counted by the store's clock, so that the client needs none.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CurrentSession {
    id: String,
    created_at: String,
    authenticated_at: String,
    last_activity: String,
    idle_expires_at: String,
    expires_at: String,
    idle_expires_in: u64,
    expires_in: u64,
}

impl CurrentSession {
    /// `None` if nothing is stored of the session.
    pub(super) fn of(session: &Session) -> Option<Self> {
        let now = session.seen_at()?;
        let (idle, absolute) = (session.idle_expires_at()?, session.expires_at()?);
        Some(Self {
            id: session.id()?.to_string(),
            created_at: session.created_at()?.to_string(),
            authenticated_at: session.authenticated_at()?.to_string(),
            last_activity: session.last_activity()?.to_string(),
            idle_expires_at: idle.to_string(),
            expires_at: absolute.to_string(),
            idle_expires_in: idle.since(now).as_secs(),
            expires_in: absolute.since(now).as_secs(),
        })
    }
}
