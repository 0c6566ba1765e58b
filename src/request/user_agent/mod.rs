//! Which device a client is: from the client hints first, then from the user agent.
//!
//! ```text
//!  Sec-CH-UA ──▶ brand ──┐      user agent ──▶ agent (its words)
//!                        │                       │
//!                        ▼                       ▼
//!  Device ◀── bot? tool? brand? in-app view? browser? program? ◀── woothee
//!     ▲
//!     └── platform ◀── Sec-CH-UA-Platform, -Mobile, user agent
//! ```

mod agent;
mod bot;
mod brand;
mod browser;
mod dataset;
mod device;
mod in_app;
mod kind;
mod named;
mod platform;
mod program;
mod tool;

pub use self::{device::Device, kind::DeviceKind};
