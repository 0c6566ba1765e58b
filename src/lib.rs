//! placeholder

mod api;
mod layer;
mod model;
mod request;
mod session;
pub mod store;

#[cfg(feature = "axum")]
pub use self::api::MissingSession;
#[cfg(feature = "api")]
pub use self::api::{DeviceApi, DeviceBody};
#[cfg(feature = "client-ip")]
pub use self::request::ClientIp;
#[cfg(feature = "device")]
pub use self::request::{Device, DeviceKind};
#[cfg(feature = "geoip")]
pub use self::request::{Geo, GeoIp, GeoIpError, GeoIpErrorKind, Place};
#[cfg(feature = "redis")]
pub use self::store::RedisStore;
pub use self::{
    layer::{
        Bare, CookieClash, CookieError, OnOutage, Problem, Rejection, RejectionKind, Reply,
        SameSite, SessionCookie, SessionCookieBuilder, SessionLayer, SessionService,
    },
    model::{
        Client, EndNotice, EndReason, Excess, Hints, Lifetime, Limit, SessionId, Timestamp, UserId,
    },
    request::PeerAddr,
    session::{
        CommitError, Committed, LimitReached, Login, Session, SessionError, SessionErrorKind,
        SessionInfo, UserSessions, UserSessionsError,
    },
    store::{MemoryStore, SessionStore},
};

/// The futures of the services.
pub mod future {
    #[cfg(feature = "api")]
    pub use crate::api::DeviceFuture;
    pub use crate::layer::ResponseFuture;
}
