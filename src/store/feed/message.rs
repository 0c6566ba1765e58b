//! One message of a feed, and its bytes.

use crate::model::{EndReason, SessionId, Tag, Timestamp, id::decode_12};

/// The version of the bytes.
const VERSION: u8 = 1;

/// The most sessions that one message names.
pub(crate) const NAMED_MAX: usize = 16;

/// What changed in one session set.
///
/// A message may be lost, late or repeated. It makes its reader look, and proves nothing.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FeedMessage {
    /// The session set. Zeros if it is about all of them.
    pub tag: Tag,
    /// What happened.
    pub news: FeedNews,
}

/// What happened in a session set.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum FeedNews {
    /// These sessions ended: at most 16.
    Ended(Vec<(SessionId, EndReason)>),
    /// All sessions but this one ended.
    EndedAllBut(SessionId, EndReason),
    /// Anything may have happened to any session of the set.
    LookAgain,
    /// The session has a new token, or a request sent its new token first, or the user authenticated again, or of two tokens a
    /// request sent the other one.
    Renewed(SessionId),
    /// The data or the deadlines of the session changed.
    Written(SessionId),
    /// All sessions that began earlier ended, of all users.
    Everyone(Timestamp),
}

impl FeedMessage {
    /// This happened in this session set.
    ///
    /// More than 16 ended sessions become [`FeedNews::LookAgain`].
    #[must_use]
    pub fn new(tag: Tag, news: FeedNews) -> Self {
        let news = match news {
            FeedNews::Ended(all) if all.len() > NAMED_MAX => FeedNews::LookAgain,
            other => other,
        };
        Self { tag, news }
    }

    /// All sessions that began before this moment ended, of all users.
    #[must_use]
    pub fn everyone(moment: Timestamp) -> Self {
        Self::new(Tag::from_bytes([0; 12]), FeedNews::Everyone(moment))
    }

    /// Its bytes: version, kind, tag, then what the kind has. The scripts for Redis write the same.
    ///
    /// Tag and session ids are text, 16 characters each, because a script has no other form of them.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION, 0];
        bytes.extend(self.tag.encode());
        let mut pair = |id: &SessionId, code: Option<u8>| {
            bytes.extend(id.encode());
            bytes.extend(code);
        };
        let kind = match &self.news {
            FeedNews::Ended(all) => {
                all.iter()
                    .for_each(|(id, reason)| pair(id, Some(reason.code())));
                1
            }
            FeedNews::EndedAllBut(id, reason) => {
                pair(id, Some(reason.code()));
                2
            }
            FeedNews::LookAgain => 3,
            FeedNews::Renewed(id) => {
                pair(id, None);
                4
            }
            FeedNews::Written(id) => {
                pair(id, None);
                5
            }
            FeedNews::Everyone(moment) => {
                bytes.extend(moment.as_millis().to_be_bytes());
                6
            }
        };
        if let Some(place) = bytes.get_mut(1) {
            *place = kind;
        }
        bytes
    }

    /// The message with these bytes.
    ///
    /// One of a newer version, or of an unknown kind, becomes [`FeedNews::LookAgain`]. `None` if it is too short
    /// to have a tag.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (&[version, kind], rest) = bytes.split_first_chunk()?;
        let (tag, rest) = rest.split_first_chunk::<16>()?;
        let tag = Tag::from_bytes(decode_12(tag)?);
        let news = match version {
            VERSION => news(kind, rest).unwrap_or(FeedNews::LookAgain),
            _ => FeedNews::LookAgain,
        };
        Some(Self { tag, news })
    }
}

fn news(kind: u8, rest: &[u8]) -> Option<FeedNews> {
    Some(match kind {
        1 => FeedNews::Ended(pairs(rest)?),
        2 => {
            let [(id, reason)] = pairs(rest)?[..] else {
                return None;
            };
            FeedNews::EndedAllBut(id, reason)
        }
        4 => FeedNews::Renewed(id(rest)?),
        5 => FeedNews::Written(id(rest)?),
        6 => FeedNews::Everyone(Timestamp::from_millis(i64::from_be_bytes(
            *rest.first_chunk()?,
        ))),
        _ => return None,
    })
}

/// The session id that these bytes begin with.
fn id(bytes: &[u8]) -> Option<SessionId> {
    decode_12(bytes.first_chunk::<16>()?).map(SessionId::from_bytes)
}

fn pairs(bytes: &[u8]) -> Option<Vec<(SessionId, EndReason)>> {
    let pairs = bytes.chunks_exact(17);
    if !pairs.remainder().is_empty() || pairs.len() > NAMED_MAX {
        return None;
    }
    pairs
        .map(|pair| {
            let reason = EndReason::from_code(*pair.last()?)?;
            Some((id(pair)?, reason))
        })
        .collect()
}
