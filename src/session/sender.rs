//! Who sent the request.

use std::net::IpAddr;

use http::HeaderValue;

use crate::{
    model::{Client, DeviceId},
    request::{RawHints, alike, copied},
};

/// Who sent the request, for the session that a sign-in creates.
#[derive(Debug, Default)]
pub(crate) struct Sender {
    pub(crate) address: Option<IpAddr>,
    pub(crate) user_agent: Option<HeaderValue>,
    pub(crate) hints: RawHints,
    /// From the device cookie, if the layer uses one.
    pub(crate) device: Option<DeviceId>,
    /// Whether the response could set a device cookie: its token would go into a cookie too.
    pub(crate) takes_cookies: bool,
}

impl Sender {
    /// Copies the headers, which are parts of what the connection read.
    pub(super) fn detach(&mut self) {
        self.user_agent = self.user_agent.as_ref().map(copied);
        self.hints.detach();
    }

    /// Whether the request looks like one of this client at first glance.
    #[inline]
    pub(super) fn is_alike(&self, client: &Client) -> bool {
        let agent = self.user_agent.as_ref().map(HeaderValue::as_bytes);
        let before = client.user_agent().map(str::as_bytes);
        alike((self.address, agent), (client.address(), before))
    }

    pub(super) fn client(&self) -> Client {
        Client::new()
            .with_address(self.address)
            .with_user_agent(self.user_agent.as_ref().map(HeaderValue::as_bytes))
            .with_hints(self.hints.cleaned())
    }
}
