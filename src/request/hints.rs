//! The client hints of a request.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::copied::copied;
use crate::model::Hints;

static BRANDS: HeaderName = HeaderName::from_static("sec-ch-ua");
static MOBILE: HeaderName = HeaderName::from_static("sec-ch-ua-mobile");
static PLATFORM: HeaderName = HeaderName::from_static("sec-ch-ua-platform");

/// The raw client hints: brands, mobile, platform. They are cleaned at a sign-in only.
#[derive(Debug, Default)]
pub(crate) struct RawHints(Option<[Option<HeaderValue>; 3]>);

impl RawHints {
    /// Whether this header is the first of the hints. Browsers send all three or none.
    pub(crate) fn begin_with(name: &HeaderName) -> bool {
        *name == BRANDS
    }

    /// Reads them from a request that has the first of them.
    pub(crate) fn read(headers: &HeaderMap) -> Self {
        let hints = headers.get(&BRANDS).map(|brands| {
            [
                Some(brands.clone()),
                headers.get(&MOBILE).cloned(),
                headers.get(&PLATFORM).cloned(),
            ]
        });
        Self(hints)
    }

    /// Copies the values, see [`copied`].
    pub(crate) fn detach(&mut self) {
        for hint in self.0.iter_mut().flatten().flatten() {
            *hint = copied(hint);
        }
    }

    pub(crate) fn cleaned(&self) -> Hints {
        let Some(hints) = &self.0 else {
            return Hints::new();
        };
        let [brands, mobile, platform] = hints
            .each_ref()
            .map(|hint| hint.as_ref().map(HeaderValue::as_bytes));
        Hints::new()
            .with_brands(brands)
            .with_mobile(mobile)
            .with_platform(platform)
    }
}
