//! The form that signs one device out.

use std::{future, pin::pin, task::Poll};

use bytes::Buf;
use http_body::Body;

use crate::model::SessionId;

/// The longest form that is read, in bytes. The page sends 19.
const FORM_MAX: usize = 1_024;

/// The session that a form names, if it names one.
pub(super) async fn session_id<B: Body>(body: B) -> Option<SessionId> {
    let form = read(body).await?;
    let form = str::from_utf8(&form).ok()?;
    // Browsers do not escape the characters of ids.
    let id = form
        .split('&')
        .find_map(|field| field.trim().strip_prefix("id="))?;
    id.parse().ok()
}

/// The whole body, if it is short and complete.
async fn read<B: Body>(body: B) -> Option<Vec<u8>> {
    let mut body = pin!(body);
    let mut all = Vec::new();
    // No frame is kept while the next one is waited for, so that frames need not be `Send`.
    future::poll_fn(|cx| {
        loop {
            let frame = match body.as_mut().poll_frame(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(Some(())),
                Poll::Ready(Some(Err(_))) => return Poll::Ready(None),
                Poll::Ready(Some(Ok(frame))) => frame,
            };
            let Ok(mut data) = frame.into_data() else {
                continue;
            };
            if all.len() + data.remaining() > FORM_MAX {
                return Poll::Ready(None);
            }
            all.extend_from_slice(&data.copy_to_bytes(data.remaining()));
        }
    })
    .await?;
    Some(all)
}
