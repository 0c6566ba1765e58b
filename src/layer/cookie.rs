//! The cookie that carries the token: its settings, and how a response sets or removes it.

use std::{error, fmt, sync::Once, time::Duration};

use cookie::{Cookie, time};
use http::{
    HeaderMap, HeaderValue,
    header::{CACHE_CONTROL, SET_COOKIE, VARY},
};

use crate::{
    model::{Lifetime, Token},
    session::CookieChange,
};

/// The most that a cookie's name and value may take together (RFC 6265bis §5.6).
const NAME_AND_VALUE_MAX: usize = 4096;

/// With which requests from other sites browsers send the cookie.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SameSite {
    /// When the user follows a link to your site, not with forms and scripts of other sites.
    Lax,
    /// With all of them, for pages that other sites show in a frame. Needs Secure.
    None,
    /// With none: a user who follows a link to your site arrives as a guest.
    Strict,
}

impl From<SameSite> for cookie::SameSite {
    fn from(same_site: SameSite) -> Self {
        match same_site {
            SameSite::Lax => Self::Lax,
            SameSite::None => Self::None,
            SameSite::Strict => Self::Strict,
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
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub struct SessionCookieBuilder {
    name: String,
    secure: bool,
    same_site: SameSite,
    path: String,
    domain: Option<String>,
    partitioned: bool,
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
        }
    }

    /// Makes a cookie that is sent over plain HTTP too: named `session`, not Secure.
    ///
    /// Use it to try your app on another machine without https, or on localhost with clients such as
    /// Python's. Browsers and curl do not need it on localhost.
    ///
    /// A warning is logged once. **Never use it in production**: everyone on the network can read the
    /// token and sign in with it.
    #[must_use]
    pub fn danger_insecure() -> Self {
        static WARNED: Once = Once::new();
        WARNED.call_once(|| tracing::warn!(
                "session cookies are sent over plain http, where others can read them: for development only"
            ));
        Self(SessionCookieBuilder {
            secure: false,
            ..Self::named("session")
        })
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

    pub(super) fn is_secure(&self) -> bool {
        self.0.secure
    }

    /// Sets or removes the cookie on a response.
    pub(super) fn write(&self, change: &CookieChange, headers: &mut HeaderMap) {
        let (value, max_age) = match change {
            CookieChange::Keep => return,
            CookieChange::Remove => (String::new(), Some(Duration::ZERO)),
            CookieChange::Set(token, kept) => (token.encode(), *kept),
        };
        self.drop_others(headers);
        if let Some(value) = self.line(value, max_age) {
            headers.append(SET_COOKIE, value);
        }
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.append(VARY, HeaderValue::from_static("Cookie"));
    }

    /// A removal mirrors all that identifies the cookie, or browsers keep it. Without `max_age` the cookie
    /// is for the browser session only.
    pub(super) fn line(&self, value: String, max_age: Option<Duration>) -> Option<HeaderValue> {
        let SessionCookieBuilder {
            name,
            secure,
            same_site,
            path,
            domain,
            partitioned,
        } = &self.0;
        let mut cookie = Cookie::build((name.as_str(), value))
            .http_only(true)
            .secure(*secure)
            .same_site((*same_site).into())
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

    /// Removes every other `Set-Cookie` of this name from the response. Those of other names stay.
    fn drop_others(&self, headers: &mut HeaderMap) {
        let is_same = |value: &HeaderValue| {
            value
                .as_bytes()
                .strip_prefix(self.0.name.as_bytes())
                .is_some_and(|rest| rest.first() == Some(&b'='))
        };
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
}

impl Default for SessionCookie {
    fn default() -> Self {
        Self(Self::named("__Host-session"))
    }
}

impl SessionCookieBuilder {
    /// Whether the cookie is sent over https only. Browsers send it on `http://localhost` too.
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
    /// Defaults to `/`.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// To which domain browsers send it, with its subdomains: `example.com`.
    ///
    /// Defaults to no domain: only the host that set it gets it back. A `__Host-` name needs that.
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// Whether a page in a frame of another site has its own cookie for each of these sites (CHIPS).
    ///
    /// Defaults to no.
    pub fn partitioned(mut self, partitioned: bool) -> Self {
        self.partitioned = partitioned;
        self
    }

    /// Makes the cookie.
    ///
    /// # Errors
    ///
    /// If two settings clash. The error says which.
    pub fn build(self) -> Result<SessionCookie, CookieError> {
        match self.clash() {
            Some(clash) => Err(CookieError(clash)),
            None => Ok(SessionCookie(self)),
        }
    }

    fn clash(&self) -> Option<CookieClash> {
        let Self {
            name,
            secure,
            same_site,
            path,
            domain,
            partitioned,
        } = self;
        // Browsers compare the prefixes without regard to case (RFC 6265bis §5.7).
        let lower = name.to_ascii_lowercase();
        let host = lower.starts_with("__host-");
        let prefixed = host || lower.starts_with("__secure-") || lower.starts_with("__http-");
        if !is_token(name) {
            Some(CookieClash::Name)
        } else if name.len() + Token::TEXT_LEN > NAME_AND_VALUE_MAX {
            Some(CookieClash::NameTooLong)
        } else if !path.starts_with('/') || !is_attribute(path) {
            Some(CookieClash::Path)
        } else if domain
            .as_ref()
            .is_some_and(|d| d.is_empty() || !is_attribute(d))
        {
            Some(CookieClash::Domain)
        } else if host && domain.is_some() {
            Some(CookieClash::HostPrefixAndDomain)
        } else if host && path != "/" {
            Some(CookieClash::HostPrefixAndPath)
        } else if prefixed && !secure {
            Some(CookieClash::PrefixAndInsecure)
        } else if *same_site == SameSite::None && !secure {
            Some(CookieClash::SameSiteNoneAndInsecure)
        } else if *partitioned && !secure {
            Some(CookieClash::PartitionedAndInsecure)
        } else {
            None
        }
    }
}

/// RFC 9110 §5.6.2.
fn is_token(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// Whether this text may be the value of an attribute.
fn is_attribute(value: &str) -> bool {
    value
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b';')
}

/// Two settings of a cookie clash.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CookieError(CookieClash);

/// Which settings clash.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CookieClash {
    /// The domain is empty or has characters that cannot be in one.
    Domain,
    /// A `__Host-` name and a Domain.
    HostPrefixAndDomain,
    /// A `__Host-` name and a Path other than `/`.
    HostPrefixAndPath,
    /// The name is not a token.
    Name,
    /// Name and value together are over 4096 bytes.
    NameTooLong,
    /// Partitioned without Secure.
    PartitionedAndInsecure,
    /// The path does not start with `/` or has characters that cannot be in one.
    Path,
    /// A `__Host-`, `__Secure-` or `__Http-` name without Secure.
    PrefixAndInsecure,
    /// SameSite=None without Secure.
    SameSiteNoneAndInsecure,
}

impl CookieError {
    /// Returns which settings clash.
    #[must_use]
    pub const fn clash(&self) -> CookieClash {
        self.0
    }
}

impl fmt::Display for CookieError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            CookieClash::Domain => "the Domain is empty or has characters that cannot be in one",
            CookieClash::HostPrefixAndDomain => "a `__Host-` name clashes with a Domain",
            CookieClash::HostPrefixAndPath => "a `__Host-` name clashes with a Path other than `/`",
            CookieClash::Name => "the name is not a token (RFC 9110)",
            CookieClash::NameTooLong => "name and value together are over 4096 bytes",
            CookieClash::PartitionedAndInsecure => "Partitioned needs a Secure cookie",
            CookieClash::Path => "the Path has to start with `/`, without spaces and `;`",
            CookieClash::PrefixAndInsecure => {
                "a name with the prefix `__Host-`, `__Secure-` or `__Http-` needs a Secure cookie"
            }
            CookieClash::SameSiteNoneAndInsecure => "SameSite=None needs a Secure cookie",
        })
    }
}

impl error::Error for CookieError {}
