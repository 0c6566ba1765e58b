//! Cookie settings that are invalid or clash.

use std::{error, fmt};

use super::cookie::{SameSite, SessionCookieBuilder};
use crate::{model::Token, request::GUEST};

/// The most that a cookie's name and value may take together (RFC 6265bis §5.6).
const NAME_AND_VALUE_MAX: usize = 4096;

impl SessionCookieBuilder {
    pub(super) fn fault(&self) -> Option<CookieErrorKind> {
        let Self {
            name,
            secure,
            same_site,
            path,
            domain,
            partitioned,
            retired,
        } = self;
        let host = is_host(name);
        let prefixed = is_prefixed(name);
        if !is_token(name) {
            Some(CookieErrorKind::Name)
        } else if name.ends_with(GUEST) {
            Some(CookieErrorKind::GuestName)
        } else if name.len() + GUEST.len() + Token::TEXT_LEN > NAME_AND_VALUE_MAX {
            Some(CookieErrorKind::NameTooLong)
        } else if !is_path(path) {
            Some(CookieErrorKind::Path)
        } else if !is_domain(domain.as_deref()) {
            Some(CookieErrorKind::Domain)
        } else if host && domain.is_some() {
            Some(CookieErrorKind::HostPrefixAndDomain)
        } else if host && path != "/" {
            Some(CookieErrorKind::HostPrefixAndPath)
        } else if prefixed && !secure {
            Some(CookieErrorKind::PrefixAndInsecure)
        } else if *same_site == SameSite::None && !secure {
            Some(CookieErrorKind::SameSiteNoneAndInsecure)
        } else if *partitioned && !secure {
            Some(CookieErrorKind::PartitionedAndInsecure)
        } else if *partitioned && *same_site != SameSite::None {
            Some(CookieErrorKind::PartitionedAndSameSite)
        } else if retired.iter().any(|it| !it.can_be(*secure)) {
            Some(CookieErrorKind::Retired)
        } else if retired.iter().any(|it| it.is(self, GUEST)) {
            Some(CookieErrorKind::RetiredGuest)
        } else {
            None
        }
    }
}

/// Whether the name says that the cookie has no Domain. Browsers compare the prefixes without regard to
/// case (RFC 6265bis §5.7).
pub(super) fn is_host(name: &str) -> bool {
    starts_with(name, "__host-")
}

/// Whether the name says that the cookie is Secure.
pub(super) fn is_prefixed(name: &str) -> bool {
    is_host(name) || starts_with(name, "__secure-") || starts_with(name, "__http-")
}

fn starts_with(name: &str, prefix: &str) -> bool {
    name.get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

pub(super) fn is_path(path: &str) -> bool {
    path.starts_with('/') && is_attribute(path)
}

/// Names with dots between them, and perhaps one before: browsers drop a cookie with any other Domain.
pub(super) fn is_domain(domain: Option<&str>) -> bool {
    let is_label = |label: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        !label.is_empty() && label.bytes().all(fits)
    };
    domain.is_none_or(|domain| {
        let domain = domain.strip_prefix('.').unwrap_or(domain);
        domain.split('.').all(is_label)
    })
}

/// RFC 9110 §5.6.2.
pub(super) fn is_token(name: &str) -> bool {
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

/// A setting of a cookie is invalid, or two of them clash.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CookieError(pub(super) CookieErrorKind);

/// Which setting of a cookie is invalid, or which two clash.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum CookieErrorKind {
    /// The domain is empty, or is no domain such as `example.com`: a URL, or with a port.
    ///
    /// A name with other characters than ASCII needs its form in punycode, `xn--…`. `.example.com`, `localhost` and
    /// `127.0.0.1` are accepted: it is the browser that takes or rejects them.
    Domain,
    /// The name ends in `-guest`: it could be the guest cookie of another layer.
    GuestName,
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
    /// Partitioned with SameSite=Lax or Strict.
    PartitionedAndSameSite,
    /// The path does not start with `/` or has characters that cannot be in one.
    Path,
    /// A `__Host-`, `__Secure-` or `__Http-` name without Secure.
    PrefixAndInsecure,
    /// A retired cookie that no browser would have kept.
    Retired,
    /// The guest cookie of these settings is retired.
    RetiredGuest,
    /// SameSite=None without Secure.
    SameSiteNoneAndInsecure,
}

impl CookieError {
    /// Returns which setting is invalid, or which two clash.
    #[must_use]
    pub const fn kind(&self) -> CookieErrorKind {
        self.0
    }
}

impl fmt::Display for CookieError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            CookieErrorKind::Domain => "the Domain is not a domain such as `example.com`",
            CookieErrorKind::GuestName => {
                "the name ends in `-guest`, as names of guest cookies do: choose another name"
            }
            CookieErrorKind::HostPrefixAndDomain => "a `__Host-` name clashes with a Domain",
            CookieErrorKind::HostPrefixAndPath => "a `__Host-` name clashes with a Path other than `/`",
            CookieErrorKind::Name => "the name is not a token (RFC 9110)",
            CookieErrorKind::NameTooLong => "name and value together are over 4096 bytes",
            CookieErrorKind::PartitionedAndInsecure => "Partitioned needs a Secure cookie",
            CookieErrorKind::PartitionedAndSameSite => {
                "Partitioned needs SameSite=None: with Lax or Strict a frame of another site gets no cookie"
            }
            CookieErrorKind::Path => "the Path has to start with `/`, without spaces and `;`",
            CookieErrorKind::PrefixAndInsecure => {
                "a name with the prefix `__Host-`, `__Secure-` or `__Http-` needs a Secure cookie"
            }
            CookieErrorKind::Retired => {
                "no browser can have a retired cookie with this name, Path and Domain"
            }
            CookieErrorKind::RetiredGuest => {
                "a retired cookie is the present guest cookie: to retire an earlier guest cookie, name the \
                 earlier session cookie, without `-guest`"
            }
            CookieErrorKind::SameSiteNoneAndInsecure => "SameSite=None needs a Secure cookie",
        })
    }
}

impl error::Error for CookieError {}
