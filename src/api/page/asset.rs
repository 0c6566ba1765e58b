//! Style and script of the page.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{
    HeaderValue, Response,
    header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
};
use sha2::{Digest, Sha256};

use crate::api::body::DeviceBody;

/// A file that the page refers to by its hash, so that browsers may keep it.
#[derive(Clone, Debug)]
pub(super) struct Asset {
    text: Bytes,
    hash: String,
    content_type: &'static str,
}

impl Asset {
    pub(super) fn style(text: impl Into<Bytes>) -> Self {
        Self::new(text.into(), "text/css; charset=utf-8")
    }

    pub(super) fn script(text: impl Into<Bytes>) -> Self {
        Self::new(text.into(), "text/javascript; charset=utf-8")
    }

    fn new(text: Bytes, content_type: &'static str) -> Self {
        let mut hash = URL_SAFE_NO_PAD.encode(Sha256::digest(&text));
        hash.truncate(12);
        Self {
            text,
            hash,
            content_type,
        }
    }

    pub(super) fn hash(&self) -> &str {
        &self.hash
    }

    /// `asked` is the hash in the request's query. If it is that of an older or a newer version, the
    /// browser must not keep this response.
    pub(super) fn answer(&self, asked: &str) -> Response<DeviceBody> {
        let kept = if asked == self.hash {
            "public, max-age=31536000, immutable"
        } else {
            "no-cache"
        };
        let mut answer = Response::new(DeviceBody::new(self.text.clone()));
        let headers = answer.headers_mut();
        for (name, value) in [
            (CACHE_CONTROL, kept),
            (CONTENT_TYPE, self.content_type),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_style_has_no_text_decoration_that_safari_drops() {
        let style = include_str!("page.css");
        let shorthands = style.split("text-decoration:").skip(1);
        let values = shorthands.filter_map(|rest| rest.split(';').next());
        let words: Vec<usize> = values
            .map(|value| value.split_whitespace().count())
            .collect();
        assert_eq!(words, [1]);
    }
}
