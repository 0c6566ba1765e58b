//! How a list describes a device.

use serde::Serialize;

use crate::{request::Device, session::SessionInfo};

/// Browser, operating system and kind of a session's device, and its label.
#[derive(Serialize)]
pub(super) struct Described {
    label: String,
    browser: Option<String>,
    os: Option<String>,
    kind: Option<&'static str>,
}

impl Described {
    pub(super) fn of(info: &SessionInfo) -> Self {
        Self::device(&info.device())
    }

    pub(super) fn last(info: &SessionInfo) -> Self {
        Self::device(&info.last_device())
    }

    fn device(device: &Device) -> Self {
        Self {
            label: device.label(),
            browser: device.browser().map(ToOwned::to_owned),
            os: device.os().map(ToOwned::to_owned),
            kind: Some(device.kind().as_str()),
        }
    }
}
