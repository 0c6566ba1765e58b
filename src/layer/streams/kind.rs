//! Which bodies end with their session, and how.

use std::sync::Arc;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
    response::Parts,
};
use http_body::Body;

use super::{
    super::{form::Form, grpc},
    LastEvent,
};
use crate::session::{LastWords, LiveEnd};

/// A body of a known size below this is on its way before anything can end it.
const SMALL: u64 = 64 * 1024;

static MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// Whether a body stays open long enough to be watched.
pub(super) fn is_stream(body: &impl Body) -> bool {
    !body.is_end_stream() && body.size_hint().upper().is_none_or(|size| size >= SMALL)
}

/// Whether the connection belongs to a WebSocket or another protocol from here on.
pub(super) fn is_upgrade(method: &Method, status: StatusCode) -> bool {
    status == StatusCode::SWITCHING_PROTOCOLS
        // RFC 8441: a WebSocket over HTTP/2.
        || *method == Method::CONNECT && status.is_success()
}

/// How this response ends.
pub(super) fn last_words(head: &Parts, form: Form, last_event: &Arc<LastEvent>) -> LastWords {
    if form == Form::Grpc {
        return LastWords::Trailers(trailers);
    }
    if is_event_stream(&head.headers) {
        let text = Arc::clone(last_event);
        return LastWords::Event(Arc::new(move |end| event(&text(end))));
    }
    LastWords::Error
}

/// Whether the bytes of the body are an event stream, and not a compressed one.
fn is_event_stream(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let plain = headers
        .get(CONTENT_ENCODING)
        .is_none_or(|coding| coding == "identity");
    plain
        && kind
            .and_then(|kind| kind.get(..17).map(|start| (start, kind.get(17))))
            .is_some_and(|(start, next)| {
                start.eq_ignore_ascii_case(b"text/event-stream")
                    && matches!(next, None | Some(b';' | b' '))
            })
}

fn trailers(end: &LiveEnd) -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(2);
    let code = match end {
        LiveEnd::OutOfSight => HeaderValue::from_static("14"),
        LiveEnd::Ended(_) | LiveEnd::Expired => HeaderValue::from_static("16"),
    };
    trailers.insert(&grpc::STATUS, code);
    trailers.insert(&MESSAGE, HeaderValue::from_static(end.reason()));
    trailers
}

fn event(text: &str) -> Bytes {
    let mut event = String::from("event: session-ended\n");
    // A line break of any kind would end the field.
    for line in text.split(['\n', '\r']) {
        event.push_str("data: ");
        event.push_str(line);
        event.push('\n');
    }
    event.push('\n');
    event.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_event_is_one_event_whatever_its_text_is() {
        assert_eq!(
            event("a\r\nevent: x\n\ndata"),
            "event: session-ended\ndata: a\ndata: \ndata: event: x\ndata: \ndata: data\n\n"
        );
    }

    #[test]
    fn a_call_whose_session_nobody_can_see_may_be_tried_again_and_an_ended_one_may_not() {
        let code = |end: &LiveEnd| trailers(end)[&grpc::STATUS].to_str().unwrap().to_owned();

        assert_eq!(code(&LiveEnd::OutOfSight), "14");
        assert_eq!(
            [code(&LiveEnd::Expired), code(&LiveEnd::Ended(None))],
            ["16", "16"]
        );
    }

    #[test]
    fn an_event_stream_is_known_by_its_type_unless_it_is_compressed() {
        let of = |pairs: &[(HeaderName, &'static str)]| {
            let pairs = pairs.iter().cloned();
            is_event_stream(
                &pairs
                    .map(|(name, value)| (name, HeaderValue::from_static(value)))
                    .collect(),
            )
        };

        assert!(of(&[(CONTENT_TYPE, "text/event-stream")]));
        assert!(of(&[(CONTENT_TYPE, "Text/Event-Stream; charset=utf-8")]));
        assert!(!of(&[(CONTENT_TYPE, "text/event-streams")]));
        assert!(!of(&[(CONTENT_TYPE, "text/html")]));
        assert!(!of(&[
            (CONTENT_TYPE, "text/event-stream"),
            (CONTENT_ENCODING, "gzip")
        ]));
    }
}
