//! The cookie by which a device is recognized.

use std::time::Duration;

use http::{HeaderMap, header::SET_COOKIE};

use super::{cookie::SessionCookie, cookie_error::CookieError};
use crate::{
    model::{DeviceId, Lifetime},
    request::named_cookie,
};

/// The cookie by which the layer recognizes a device when it signs in again.
///
/// Pass it to [`SessionLayer::device_cookie`](super::SessionLayer::device_cookie). It holds a random
/// name, not a fingerprint. It signs nobody in, and no script can read it.
///
/// It ends no session either. If a browser signs in without its session cookie, its previous session stays in the
/// list: the device cookie is no proof, and a copy of it must not sign anybody out. See [`guide::sign_in`](crate::guide::sign_in#a-sign-in-that-another-site-posts).
///
/// Do not leave out a second factor on a device that is known: each sign-in makes its device known. See
/// ["Trust this device"](crate::guide::sign_in#trust-this-device-for-30-days).
///
/// Defaults to `__Host-device`, Secure, `HttpOnly`, SameSite=Lax, Path=/, for 400 days. 32 devices of a
/// user are remembered, for 90 days after the user's last sign-in. If the session cookie is SameSite=None, the
/// device cookie is too, and likewise for Partitioned. If you change these of the session cookie later, give the device cookie
/// another name.
///
/// ```
/// use tower_user_sessions::{DeviceCookie, MemoryStore, SessionLayer};
///
/// let layer = SessionLayer::new(MemoryStore::new()).device_cookie(DeviceCookie::new());
/// # let _ = layer;
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct DeviceCookie {
    cookie: SessionCookie,
    kept: Duration,
}

impl DeviceCookie {
    /// Makes a cookie with the defaults.
    pub fn new() -> Self {
        Self::of(SessionCookie::default().renamed("__Host-device"))
    }

    /// Makes a cookie with this name.
    ///
    /// # Errors
    ///
    /// If the name is invalid, or if the settings of this cookie clash with its prefix, as in
    /// [`SessionCookieBuilder::build`](super::SessionCookieBuilder::build).
    pub fn named(name: impl Into<String>) -> Result<Self, CookieError> {
        Ok(Self::of(SessionCookie::named(name).build()?))
    }

    fn of(cookie: SessionCookie) -> Self {
        Self {
            cookie,
            kept: Duration::from_secs(90 * 24 * 60 * 60),
        }
    }

    /// How long a user's devices are remembered after the user's last sign-in, at most 400 days.
    ///
    /// Defaults to 90 days.
    pub fn remembered_for(mut self, kept: Duration) -> Self {
        self.kept = kept.min(Lifetime::MAX);
        self
    }

    /// Whether it is the session cookie, or one that a sign-in removes.
    fn clashes_with(&self, session: &SessionCookie) -> bool {
        self.cookie.name() == session.name() || session.retires(&self.cookie)
    }

    /// The same, or none if the session cookie has its name.
    pub(super) fn settled(self, session: &SessionCookie) -> Option<Self> {
        let clashes = self.clashes_with(session);
        let cookie = self.cookie.beside(session);
        (!clashes).then_some(Self { cookie, ..self })
    }

    pub(super) fn kept(&self) -> Duration {
        self.kept
    }

    pub(super) fn read(&self, headers: &HeaderMap) -> Option<DeviceId> {
        DeviceId::parse(named_cookie(headers, self.cookie.name())?)
    }

    pub(super) fn write(&self, device: DeviceId, headers: &mut HeaderMap) {
        let line = self.cookie.line(device.encode(), Some(Lifetime::MAX));
        if let Some(line) = line {
            headers.append(SET_COOKIE, line);
        }
    }
}

impl Default for DeviceCookie {
    fn default() -> Self {
        Self::new()
    }
}
