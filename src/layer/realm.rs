//! The realm of a layer, and layers that share a store without one.

use std::sync::{
    Mutex, Once, PoisonError,
    atomic::{AtomicBool, Ordering},
};

#[cfg(feature = "live")]
use super::mistake;
use super::{config::Config, layer::SessionLayer};
use crate::{model::Realm, session::Rules};

/// The cookies of layers without a realm, each with the identity of its store.
static COOKIES: Mutex<Vec<(u64, Box<str>)>> = Mutex::new(Vec::new());

/// How many are remembered. An app has a few.
const COOKIES_MAX: usize = 64;

static NO_REALM: Once = Once::new();

impl<R> SessionLayer<R> {
    /// Names the realm of the sessions: a token is valid only in the realm where it was made.
    ///
    /// Use it if several layers share a store, for example one for a site and one for its administration.
    /// Otherwise a token of the site, sent in the cookie of the administration, is a session there.
    ///
    /// Lists, limits, tickets and ends of one session are those of the realm. An end of all or of all other
    /// sessions ends those of all realms, and [`disable_for`](crate::UserSessions::disable_for) refuses
    /// sign-ins in all of them. Another name signs all users of the layer out.
    ///
    /// A realm is not a tenant: the same user id in two realms is the same user. Put the tenant into the user id, see
    /// [`guide::sign_in`](crate::guide::sign_in#several-tenants).
    ///
    /// ```
    /// use tower_user_sessions::{MemoryStore, SessionCookie, SessionLayer};
    ///
    /// let store = MemoryStore::new();
    /// let site = SessionLayer::new(store.clone());
    /// let admin = SessionLayer::new(store)
    ///     .cookie(SessionCookie::named("__Host-admin").build()?)
    ///     .realm("admin");
    /// # let _ = (site, admin);
    /// # Ok::<_, tower_user_sessions::CookieError>(())
    /// ```
    ///
    /// Any text will do, of any length. Defaults to no realm, which an empty text is too.
    pub fn realm(mut self, name: &str) -> Self {
        self.rules().realm = Realm::named(name);
        self
    }
}

/// Whether these settings were compared with those of other layers. A copy is other settings.
#[derive(Debug, Default)]
pub(super) struct Compared(AtomicBool);

impl Clone for Compared {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Config {
    /// Compares the settings with those of other layers and with the store, at the first request: `Layer::layer` may run for each.
    #[inline]
    pub(super) fn compare(&self) {
        if !self.compared.0.load(Ordering::Relaxed) {
            self.compared.0.store(true, Ordering::Relaxed);
            #[cfg(feature = "live")]
            if self.near.is_some() {
                mistake::near_without_a_cache();
            }
            let Rules { store, realm, .. } = &*self.rules;
            if let (Some(store), Realm::NONE) = (store.identity(), *realm) {
                note_cookie(store, self.cookie.name());
            }
        }
    }
}

/// A layer without a realm uses this cookie on this store. If another one uses another cookie there, a token of
/// one is a session in the other.
fn note_cookie(store: u64, name: &str) {
    // Every push is a whole entry.
    let mut cookies = COOKIES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, other)) = cookies
        .iter()
        .find(|(of, other)| *of == store && **other != *name)
    {
        NO_REALM.call_once(|| {
            tracing::warn!(
                cookies = ?[&**other, name],
                "two layers without a realm use two cookies on one store: a token of one is a session in \
                 the other; give one of them a name with `SessionLayer::realm`"
            );
        });
    }
    if cookies.len() < COOKIES_MAX {
        cookies.push((store, name.into()));
    }
}
