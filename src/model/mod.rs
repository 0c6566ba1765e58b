//! Values: what a session is made of. No I/O and no HTTP here.

mod clean;
pub(crate) mod client;
pub(crate) mod clock;
pub(crate) mod data;
pub(crate) mod ended;
pub(crate) mod hints;
pub(crate) mod id;
pub(crate) mod lifetime;
pub(crate) mod limit;
mod random;
pub(crate) mod record;
pub(crate) mod tag;
pub(crate) mod token;
pub(crate) mod user;

pub use self::{
    client::Client,
    clock::{Arrival, Clock, ManualClock, Timestamp},
    data::{Change, Changes, Data, ParseDataError},
    ended::{EndNotice, EndReason},
    hints::Hints,
    id::{ParseSessionIdError, SessionId},
    lifetime::Lifetime,
    limit::{Excess, Limit},
    random::RandomError,
    record::{Record, RecordError},
    tag::Tag,
    token::{Digest, ParseTokenError, Token},
    user::{ParseUserIdError, UserId},
};
