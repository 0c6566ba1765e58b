//! The body of the device API's responses.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderValue, Response, header::CONTENT_LENGTH};
use http_body::{Body, Frame, SizeHint};

/// Response body of [`DeviceApi`](crate::DeviceApi) and `DevicePage`. All its bytes are in memory.
#[derive(Clone, Debug, Default)]
pub struct DeviceBody(Bytes);

impl DeviceBody {
    pub(super) fn new(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }

    /// The response to `HEAD`. hyper leaves the content out over HTTP/1 only.
    pub(super) fn left_out(answer: Response<Self>) -> Response<Self> {
        let (mut head, Self(bytes)) = answer.into_parts();
        let length = HeaderValue::from(bytes.len());
        head.headers.insert(CONTENT_LENGTH, length);
        Response::from_parts(head, Self::default())
    }
}

impl Body for DeviceBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = std::mem::take(&mut self.get_mut().0);
        Poll::Ready((!bytes.is_empty()).then_some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(u64::try_from(self.0.len()).unwrap_or(u64::MAX))
    }
}
