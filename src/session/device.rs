//! The device of a session in a list.

use super::info::SessionInfo;
use crate::request::Device;

impl SessionInfo {
    /// The device that it was signed in with, as far as its client hints and user agent tell. Read
    /// again on each call, which takes some microseconds.
    #[must_use]
    pub fn device(&self) -> Device {
        Device::of(self.client())
    }
}
