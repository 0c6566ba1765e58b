//! Without the feature `device` the label of a device is its user agent.

use serde::Serialize;

use crate::session::SessionInfo;

/// The user agent of a session's device.
#[derive(Serialize)]
pub(super) struct Described {
    label: String,
    browser: (),
    os: (),
    kind: (),
}

impl Described {
    pub(super) fn of(info: &SessionInfo) -> Self {
        Self::agent(info.user_agent())
    }

    pub(super) fn last(info: &SessionInfo) -> Self {
        Self::agent(info.last_user_agent())
    }

    fn agent(agent: Option<&str>) -> Self {
        Self {
            label: agent.unwrap_or("Unknown device").to_owned(),
            browser: (),
            os: (),
            kind: (),
        }
    }
}
