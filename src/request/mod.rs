//! What a request tells: the token in its cookie, and where it comes from.

pub(crate) mod cookie;
mod peer;

pub use self::peer::PeerAddr;
