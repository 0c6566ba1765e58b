//! How a browser came to send a request.

use http::{
    HeaderMap, HeaderValue, Method,
    header::{ACCEPT, UPGRADE},
};

use crate::request::{SEC_FETCH_MODE, SEC_FETCH_SITE};

/// What the headers of a request say about that.
#[derive(Debug, Default)]
pub(super) struct Opened<'a> {
    mode: Option<&'a HeaderValue>,
    site: Option<&'a HeaderValue>,
    accepts_pages: bool,
    pub(super) upgrades: bool,
}

impl<'a> Opened<'a> {
    pub(super) fn read(headers: &'a HeaderMap) -> Self {
        let mut opened = Self::default();
        // One walk costs less than a lookup of each, and the near cache does it for each request.
        for (name, value) in headers {
            if *name == ACCEPT {
                opened.accepts_pages |=
                    memchr::memmem::find(value.as_bytes(), b"text/html").is_some();
            } else if *name == UPGRADE {
                opened.upgrades = true;
            } else if *name == SEC_FETCH_MODE {
                opened.mode.get_or_insert(value);
            } else if *name == SEC_FETCH_SITE {
                opened.site.get_or_insert(value);
            }
        }
        opened
    }

    /// Whether a browser opens a page by a link.
    pub(super) fn is_navigation(&self, method: &Method) -> bool {
        matches!(*method, Method::GET | Method::HEAD) && self.opens_page()
    }

    /// Whether a browser opens a page, by a link or with a form. Older ones do not send `Sec-Fetch-Mode`.
    pub(super) fn opens_page(&self) -> bool {
        self.mode
            .map_or(self.accepts_pages, |mode| mode == "navigate")
    }

    /// Whether another site may have sent the browser here, as at the end of a sign-in by OAuth. Older browsers do not
    /// say it.
    pub(super) fn may_come_from_elsewhere(&self) -> bool {
        self.site
            .is_none_or(|site| site != "same-origin" && site != "none")
    }
}
