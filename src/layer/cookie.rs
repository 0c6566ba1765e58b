//! The cookie that carries the token: its settings, and how a response sets or removes it.

use std::{sync::Once, time::Duration};

use cookie::{Cookie, time};
use http::{HeaderMap, HeaderValue, header::SET_COOKIE};

use super::{
    cookie_error::{CookieError, is_prefixed},
    retired::Retired,
};
use crate::{model::Lifetime, request::GUEST, session::CookieChange};

/// With which requests from other sites browsers send the cookie.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SameSite {
    /// When the user follows a link to your site, not with forms and scripts of other sites.
    Lax,
    /// With all of them: for pages that other sites show in a frame, and for an API that a page of
    /// [another site](crate::guide::another_origin) calls. Needs Secure.
    None,
    /// With none: a user who follows a link to your site arrives as a guest.
    Strict,
}

impl SameSite {
    const fn attribute(self) -> cookie::SameSite {
        match self {
            Self::Lax => cookie::SameSite::Lax,
            Self::None => cookie::SameSite::None,
            Self::Strict => cookie::SameSite::Strict,
        }
    }
}

/// Name and attributes of the cookie that carries the token.
///
/// You need it only to change a default: `__Host-session`, Secure, SameSite=Lax, Path=/, no Domain
/// (ASVS 3.3.1). It is always `HttpOnly`, so that no script can read it. Settings that clash fail in
/// [`build`](SessionCookieBuilder::build).
///
/// ```
/// use tower_user_sessions::{SameSite, SessionCookie};
///
/// let cookie = SessionCookie::named("__Secure-sid")
///     .domain("example.com")
///     .same_site(SameSite::Strict)
///     .build()?;
/// assert_eq!(cookie.name(), "__Secure-sid");
///
/// let error = SessionCookie::named("__Host-sid").domain("example.com").build().unwrap_err();
/// assert_eq!(error.to_string(), "a `__Host-` name clashes with a Domain");
/// # Ok::<_, tower_user_sessions::CookieError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SessionCookie(SessionCookieBuilder);

/// Settings of a [`SessionCookie`].
///
/// Guest sessions have a cookie of their own with the same settings. Its name ends in `-guest`:
/// `__Host-session-guest`. Do not use that name for another cookie.
///
/// # Another attribute, another name
///
/// If you change Path, Domain or Partitioned, choose another name too. Browsers keep the previous cookie
/// beside the new one and send both. Of two cookies of one name that differ the layer uses neither, so
/// users could not sign in. Name the previous cookie with [`retired`](Self::retired), so that it goes
/// away. Users sign in again once.
///
/// ```
/// use tower_user_sessions::SessionCookie;
///
/// // Before: SessionCookie::named("__Secure-sid").domain("example.com")
/// let cookie = SessionCookie::named("__Host-sid")
///     .retired("__Secure-sid", "/", Some("example.com"))
///     .build()?;
/// # let _ = cookie;
/// # Ok::<_, tower_user_sessions::CookieError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub struct SessionCookieBuilder {
    pub(super) name: String,
    pub(super) secure: bool,
    pub(super) same_site: SameSite,
    pub(super) path: String,
    pub(super) domain: Option<String>,
    pub(super) partitioned: bool,
    pub(super) retired: Vec<Retired>,
}

impl SessionCookie {
    /// Starts with this name and the defaults for the rest.
    pub fn named(name: impl Into<String>) -> SessionCookieBuilder {
        SessionCookieBuilder {
            name: name.into(),
            secure: true,
            same_site: SameSite::Lax,
            path: "/".to_owned(),
            domain: None,
            partitioned: false,
            retired: Vec::new(),
        }
    }

    /// Makes a cookie that is sent over plain HTTP too: named `session`, not Secure.
    ///
    /// Use it to try your app on another machine without https, or on localhost with Safari and clients such as
    /// Python's. Chrome, Firefox and curl do not need it on localhost and 127.0.0.1. WebKitGTK 2.50 does, as most
    /// versions of Safari do.
    ///
    /// It refuses nothing and works in release builds too. All else is as in the default cookie. For other settings use
    /// [`named`](Self::named) and `secure(false)`. That does not build with a name that begins with `__Host-`, `__Secure-` or
    /// `__Http-`, with `SameSite::None`, or Partitioned.
    ///
    /// A warning is logged once. **Never use it in production**: everyone on the network can read the
    /// token and sign in with it.
    #[must_use]
    pub fn danger_insecure() -> Self {
        let settings = Self::named("session").secure(false);
        settings.warn_if_insecure();
        Self(settings)
    }

    /// The same under another name, which fits the same attributes.
    pub(super) fn renamed(mut self, name: &str) -> Self {
        name.clone_into(&mut self.0.name);
        self
    }

    /// Returns its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Whether a sign-in removes this other cookie.
    pub(super) fn retires(&self, other: &Self) -> bool {
        let mut retired = self.0.retired.iter();
        retired.any(|it| it.is(&other.0, ""))
    }

    pub(super) fn is_secure(&self) -> bool {
        self.0.secure
    }

    /// Whether browsers keep and send it where another site shows or calls this one.
    pub(super) fn is_for_other_sites(&self) -> bool {
        self.0.same_site == SameSite::None
    }

    /// The same, kept and sent wherever the session cookie is.
    pub(super) fn beside(mut self, session: &Self) -> Self {
        if session.is_for_other_sites() {
            self.0.same_site = SameSite::None;
            self.0.partitioned = session.0.partitioned;
        }
        self
    }

    /// Sets or removes the signed-in cookie and the guest cookie on a response, and removes what other settings left
    /// over.
    pub(super) fn write(
        &self,
        change: &CookieChange,
        guest_change: &CookieChange,
        headers: &mut HeaderMap,
    ) {
        self.change("", change, headers);
        self.change(GUEST, guest_change, headers);
        // Last, because a change drops all lines of its name, and a retired cookie may have the same one.
        if change.is_some() {
            self.remove_retired(&["", GUEST], headers);
        } else if guest_change.is_some() {
            self.remove_retired(&[GUEST], headers);
        }
    }

    fn change(&self, suffix: &str, change: &CookieChange, headers: &mut HeaderMap) {
        let (value, max_age) = match change {
            CookieChange::Keep => return,
            CookieChange::Remove => (String::new(), Some(Duration::ZERO)),
            CookieChange::Set(token, kept) => (token.encode(), *kept),
        };
        drop_others(&format!("{}{suffix}=", self.0.name), headers);
        if let Some(line) = self.0.line(suffix, value, max_age) {
            headers.append(SET_COOKIE, line);
        }
    }

    fn remove_retired(&self, suffixes: &[&str], headers: &mut HeaderMap) {
        let retired = self.0.retired.iter();
        for settings in retired.flat_map(|retired| retired.left_over(&self.0)) {
            for suffix in suffixes {
                if let Some(line) = settings.line(suffix, String::new(), Some(Duration::ZERO)) {
                    headers.append(SET_COOKIE, line);
                }
            }
        }
    }

    /// A `Set-Cookie` line with this value.
    pub(super) fn line(&self, value: String, max_age: Option<Duration>) -> Option<HeaderValue> {
        self.0.line("", value, max_age)
    }
}

/// Removes every other `Set-Cookie` that begins so from the response.
fn drop_others(start: &str, headers: &mut HeaderMap) {
    let is_same = |value: &HeaderValue| value.as_bytes().starts_with(start.as_bytes());
    if !headers.get_all(SET_COOKIE).iter().any(is_same) {
        return;
    }
    let others: Vec<HeaderValue> = headers
        .get_all(SET_COOKIE)
        .iter()
        .filter(|value| !is_same(value))
        .cloned()
        .collect();
    headers.remove(SET_COOKIE);
    for other in others {
        headers.append(SET_COOKIE, other);
    }
}

impl Default for SessionCookie {
    fn default() -> Self {
        Self(Self::named("__Host-session"))
    }
}

impl SessionCookieBuilder {
    /// Whether the cookie is sent over https only. Chrome and Firefox send it on
    /// `http://localhost` too, most versions of Safari do not.
    ///
    /// Never say no in production: everyone on the network can read the token and sign in with it.
    /// [`build`](Self::build) then logs a warning once. See [`SessionCookie::danger_insecure`].
    ///
    /// Defaults to yes.
    pub fn secure(mut self, secure: bool) -> Self {
        self.secure = secure;
        self
    }

    /// With which requests from other sites browsers send it.
    ///
    /// Defaults to [`SameSite::Lax`].
    pub fn same_site(mut self, same_site: SameSite) -> Self {
        self.same_site = same_site;
        self
    }

    /// To which paths browsers send it.
    ///
    /// If you change it, [choose another name too](Self#another-attribute-another-name). Defaults to `/`.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// To which domain browsers send it, with its subdomains: `example.com`.
    ///
    /// [Another domain, another name](Self#another-attribute-another-name). Defaults to no domain: only the
    /// host that set it gets it back. A `__Host-` name needs that.
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// Whether a page in a frame of another site has its own cookie for each of these sites (CHIPS).
    ///
    /// Needs [`SameSite::None`]. [Another setting, another name](Self#another-attribute-another-name).
    /// Defaults to no.
    pub fn partitioned(mut self, partitioned: bool) -> Self {
        self.partitioned = partitioned;
        self
    }

    /// Names a cookie that earlier settings left in browsers: its name, Path and Domain.
    ///
    /// Whatever changes the cookie of the user, such as a sign-in, a rotation or a sign-out, also removes this cookie and its
    /// guest cookie, partitioned or not. It is not read. If only Partitioned changed, name the present name, Path and Domain.
    ///
    /// Defaults to none. Several are possible.
    pub fn retired(
        mut self,
        name: impl Into<String>,
        path: impl Into<String>,
        domain: Option<&str>,
    ) -> Self {
        self.retired.push(Retired {
            name: name.into(),
            path: path.into(),
            domain: domain.map(str::to_owned),
        });
        self
    }

    /// Makes the cookie.
    ///
    /// # Errors
    ///
    /// If a setting is invalid, or two of them clash. The error says which.
    pub fn build(self) -> Result<SessionCookie, CookieError> {
        if let Some(kind) = self.fault() {
            return Err(CookieError(kind));
        }
        self.warn_if_insecure();
        Ok(SessionCookie(self))
    }
}

impl SessionCookieBuilder {
    fn warn_if_insecure(&self) {
        static WARNED: Once = Once::new();
        if !self.secure {
            WARNED.call_once(|| tracing::warn!(
                "session cookies are sent over plain http, where others can read them: for development only"
            ));
        }
    }

    /// A removal mirrors all that identifies the cookie, or browsers keep it. Without `max_age` the cookie
    /// is for the browser session only.
    fn line(&self, suffix: &str, value: String, max_age: Option<Duration>) -> Option<HeaderValue> {
        let Self {
            name,
            secure,
            same_site,
            path,
            domain,
            partitioned,
            retired: _,
        } = self;
        let mut cookie = Cookie::build((format!("{name}{suffix}"), value))
            .http_only(true)
            .secure(*secure || is_prefixed(name))
            .same_site(same_site.attribute())
            .path(path.as_str());
        if let Some(max_age) = max_age {
            // A session that has less than a second left must not look like a removal.
            let seconds = max_age.min(Lifetime::MAX).as_millis().div_ceil(1_000);
            let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
            cookie = cookie.max_age(time::Duration::seconds(seconds));
        }
        if let Some(domain) = domain {
            cookie = cookie.domain(domain.as_str());
        }
        if *partitioned {
            cookie = cookie.partitioned(true);
        }
        if max_age.is_some_and(|max_age| max_age.is_zero()) {
            cookie = cookie.expires(time::OffsetDateTime::UNIX_EPOCH);
        }
        // Names, paths and domains were checked when the settings were built.
        let mut line = HeaderValue::try_from(cookie.build().to_string()).ok()?;
        line.set_sensitive(true);
        Some(line)
    }
}
