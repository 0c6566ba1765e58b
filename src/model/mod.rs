//! The values of a session: ids, tokens, times, limits, records, events. No I/O and no HTTP here.

mod body;
mod brief;
pub(crate) mod class;
pub(crate) mod clean;
pub(crate) mod client;
pub(crate) mod clock;
pub(crate) mod data;
mod device_id;
pub(crate) mod ended;
mod era;
pub(crate) mod event;
pub(crate) mod from_text;
mod hidden;
pub(crate) mod hints;
pub(crate) mod id;
pub(crate) mod last_seen;
pub(crate) mod lifetime;
pub(crate) mod limit;
mod newer;
mod open;
pub(crate) mod proof;
mod raised;
pub(crate) mod random;
pub(crate) mod realm;
pub(crate) mod record;
pub(crate) mod rotation;
mod spelled;
pub(crate) mod tag;
mod terms;
pub(crate) mod token;
pub(crate) mod user;

#[cfg(feature = "live")]
pub(crate) use self::clock::Stopwatch;
pub use self::{
    class::ClientClass,
    client::Client,
    clock::{Arrival, Clock, ManualClock, Timestamp},
    data::{Change, Changes, Data, ParseDataError},
    ended::{EndNotice, EndReason},
    event::{Event, EventKind, Initiator, Refusal},
    hints::Hints,
    id::{ParseSessionIdError, SessionId},
    last_seen::LastSeen,
    lifetime::Lifetime,
    limit::{Excess, Limit},
    proof::Proof,
    random::RandomError,
    realm::Realm,
    record::{Record, RecordError},
    rotation::{Previous, Rotation, Salt},
    tag::{Tag, TagKey, TagKeyError},
    token::{Digest, ParseTokenError, Token},
    user::{CertainUserId, IntoUserId, ParseUserIdError, UserId},
};
pub(crate) use self::{
    device_id::DeviceId,
    era::Era,
    hidden::Hidden,
    raised::{EndedFor, Raised, SignIn},
    terms::Terms,
};
