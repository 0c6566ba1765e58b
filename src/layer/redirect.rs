//! Where guards send browsers.

use std::sync::Arc;

use http::{HeaderValue, Method, Uri};

use super::mistake;
use crate::request::local_path;

/// A page of this origin that browsers are sent to.
#[derive(Clone, Debug)]
pub(crate) struct Page(HeaderValue);

impl Page {
    /// The page at this path; of anything else an error in the log, and none.
    pub(crate) fn at(setting: &'static str, path: &str) -> Option<Self> {
        let page = local_path(path).and_then(|path| HeaderValue::from_str(path).ok());
        if page.is_none() {
            mistake::not_a_local_path(setting, path);
        }
        page.map(Self)
    }

    pub(crate) fn location(&self) -> HeaderValue {
        self.0.clone()
    }
}

/// How long a location may be in which a target is remembered. Proxies answer 502 to longer headers of a response.
const LONGEST: usize = 2_048;

/// The query parameter that says where a guest wanted to go.
#[derive(Clone, Debug)]
pub(super) struct Remember(Arc<str>);

impl Remember {
    /// A parameter of this name; of anything else an error in the log, and none.
    pub(super) fn named(name: &str) -> Option<Self> {
        let is_plain =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if name.is_empty() || !name.bytes().all(is_plain) {
            tracing::error!(
                name,
                "`remember_target` is off: it takes a name of letters, digits, `-`, `_` and `.`"
            );
            return None;
        }
        Some(Self(name.into()))
    }

    /// The page, with where the guest wanted to go. Only what a browser can open again is remembered.
    pub(super) fn added_to(&self, page: &Page, method: &Method, uri: &Uri) -> HeaderValue {
        let target = uri.path_and_query().and_then(|it| local_path(it.as_str()));
        match (target, page.0.to_str()) {
            (Some(target), Ok(page)) if *method == Method::GET => Some(self.query(page, target)),
            _ => None,
        }
        .filter(|location| location.len() <= LONGEST)
        .and_then(|location| HeaderValue::try_from(location).ok())
        .unwrap_or_else(|| page.location())
    }

    fn query(&self, page: &str, target: &str) -> String {
        let (page, fragment) = page
            .find('#')
            .map_or((page, ""), |fragment| page.split_at(fragment));
        let joint = if page.contains('?') { '&' } else { '?' };
        let mut text = format!("{page}{joint}{}=", self.0);
        for byte in target.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                    text.push(char::from(byte));
                }
                _ => text.push_str(&format!("%{byte:02X}")),
            }
        }
        text + fragment
    }
}
