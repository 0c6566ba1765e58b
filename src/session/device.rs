//! The device of a session in a list.

use super::info::SessionInfo;
use crate::request::Device;

impl SessionInfo {
    /// The device that the user signed in with: browser, operating system, kind.
    ///
    /// Computed from client hints and user agent on each call, which takes some microseconds.
    #[must_use]
    pub fn device(&self) -> Device {
        Device::of(self.client())
    }

    /// The device of the last request, if it was another one than at the sign-in.
    #[must_use]
    pub fn last_device(&self) -> Device {
        Device::of(self.last_client())
    }
}
