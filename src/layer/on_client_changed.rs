//! The option that decides about sessions that change their client.

use std::sync::Arc;

use super::layer::SessionLayer;
use crate::{
    model::Hidden,
    session::{ClientChange, ClientVerdict},
};

impl<R> SessionLayer<R> {
    /// Decides what happens to a session that is used from another address or agent than before.
    ///
    /// It may be the same user on another network, or a thief with a copy of the token. Addresses are
    /// compared by their network (/24, or /56 of IPv6), user agents by browser and system without their
    /// versions. So an update of the browser is no change, and a phone that leaves its Wi-Fi is one. A browser that takes IPv4
    /// after IPv6 is one too. If the address of one of the two is not known, only
    /// the user agents are compared.
    ///
    /// Called for each request of a user that comes from another client than the one noted last, before your service. It
    /// is not called for guest sessions.
    /// It is called under no lock, but must not block. With [`ClientVerdict::Keep`] the new client is noted
    /// with the next activity, at most once a minute, and later requests of it are no change. The event
    /// [`ClientChanged`](crate::events::EventKind::ClientChanged) is raised with or without this function.
    ///
    /// ```
    /// use tower_user_sessions::{ClientVerdict, MemoryStore, SessionLayer};
    ///
    /// // A session of a person does not move to another browser.
    /// let layer = SessionLayer::new(MemoryStore::new()).on_client_changed(|change| {
    ///     if change.now.user_agent() == change.before.user_agent() {
    ///         ClientVerdict::Keep
    ///     } else {
    ///         ClientVerdict::RequireFresh
    ///     }
    /// });
    /// # let _ = layer;
    /// ```
    ///
    /// Defaults to [`ClientVerdict::Keep`].
    pub fn on_client_changed(
        mut self,
        decide: impl Fn(&ClientChange) -> ClientVerdict + Send + Sync + 'static,
    ) -> Self {
        self.rules().on_client_changed = Some(Hidden(Arc::new(decide)));
        self
    }
}
