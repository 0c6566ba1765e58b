//! The client hints of a request.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::model::Hints;

static BRANDS: HeaderName = HeaderName::from_static("sec-ch-ua");
static MOBILE: HeaderName = HeaderName::from_static("sec-ch-ua-mobile");
static PLATFORM: HeaderName = HeaderName::from_static("sec-ch-ua-platform");

/// The client hints as they came: brands, mobile, platform. They are cleaned at a sign-in only.
#[derive(Debug, Default)]
pub(crate) struct RawHints(Option<[Option<HeaderValue>; 3]>);

impl RawHints {
    /// Whether this header says that there are hints. Browsers send all three or none.
    pub(crate) fn begin_with(name: &HeaderName) -> bool {
        *name == BRANDS
    }

    /// Of a request that has a header which they begin with.
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
