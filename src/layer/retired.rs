//! Cookies that earlier settings left in browsers.

use super::{
    cookie::SessionCookieBuilder,
    cookie_error::{is_domain, is_host, is_path, is_prefixed, is_token},
};

/// What identifies a cookie of earlier settings, but for whether it was partitioned.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Retired {
    pub(super) name: String,
    pub(super) path: String,
    pub(super) domain: Option<String>,
}

impl Retired {
    /// Whether a browser could have kept such a cookie, and would remove it.
    pub(super) fn can_be(&self, secure: bool) -> bool {
        let Self { name, path, domain } = self;
        let fits = !is_host(name) || domain.is_none() && path == "/";
        let is_safe = secure || !is_prefixed(name);
        is_token(name) && is_path(path) && is_domain(domain.as_deref()) && fits && is_safe
    }

    /// Whether this cookie, with this after its name, is the retired one. It may differ in Partitioned.
    pub(super) fn is(&self, cookie: &SessionCookieBuilder, suffix: &str) -> bool {
        self.name.strip_suffix(suffix) == Some(&*cookie.name)
            && self.path == cookie.path
            && is_same_domain(self.domain.as_deref(), cookie.domain.as_deref())
    }

    /// The cookies to remove: with and without Partitioned, but not the one of the present settings.
    pub(super) fn left_over(
        &self,
        present: &SessionCookieBuilder,
    ) -> impl Iterator<Item = SessionCookieBuilder> {
        let Self { name, path, domain } = self.clone();
        let kept = self.is(present, "").then_some(present.partitioned);
        let secure = present.secure;
        let settings = SessionCookieBuilder {
            name,
            path,
            domain,
            retired: Vec::new(),
            ..present.clone()
        };
        // A partitioned cookie is always Secure.
        [false, true]
            .into_iter()
            .filter(move |partitioned| Some(*partitioned) != kept && (secure || !partitioned))
            .map(move |partitioned| SessionCookieBuilder {
                partitioned,
                ..settings.clone()
            })
    }
}

/// Browsers compare a Domain without its leading dot and without regard to case (RFC 6265bis §5.6.3).
fn is_same_domain(one: Option<&str>, other: Option<&str>) -> bool {
    let bare = |domain: &'_ str| {
        domain
            .strip_prefix('.')
            .unwrap_or(domain)
            .to_ascii_lowercase()
    };
    one.map(bare) == other.map(bare)
}
