//! The clients of a session: that of the sign-in, and that of the last request.

use super::Record;
use crate::model::{body::NOTED_MAX, client::Client, last_seen::LastSeen};

impl Record {
    /// The client of the sign-in: address, user agent and hints.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.body.client
    }

    /// The client of the last request, once a request came from another one than the sign-in.
    #[must_use]
    pub fn last_seen(&self) -> Option<&LastSeen> {
        self.body.last_seen.as_deref()
    }

    /// Each client goes through `share`, which may replace it by an equal one.
    #[cfg(feature = "file")]
    pub(crate) fn share_clients(&mut self, mut share: impl FnMut(&mut Client)) {
        let body = std::sync::Arc::make_mut(&mut self.body);
        share(&mut body.client);
        if let Some(seen) = &mut body.last_seen {
            share(&mut seen.client);
        }
    }

    /// Sets the client of the last request.
    #[must_use]
    pub fn with_last_seen(mut self, last_seen: LastSeen) -> Self {
        self.change(|body| body.last_seen = Some(Box::new(last_seen)));
        self
    }

    /// The client for end notices that this session causes; `None` if it would be too long.
    #[must_use]
    pub fn noted_client(&self) -> Option<Client> {
        let noted = self.body.noted().ok()?;
        (noted <= NOTED_MAX).then(|| self.client().clone())
    }
}
