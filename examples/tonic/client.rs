//! Walks through the service with two devices of alice.

use std::{error::Error, io::Write};

use tonic::{Code, Status, transport::Endpoint};
use tower_user_sessions::{BearerLayer, BearerService};

use crate::pb::{
    EndDeviceRequest, ListDevicesRequest, LoginRequest, LogoutRequest, WatchDevicesRequest,
    WhoAmIRequest, devices_client::DevicesClient, sign_in_client::SignInClient,
};

type Channel = BearerService<tonic::transport::Channel>;

/// A device: its connection and its token.
struct Device {
    sign_in: SignInClient<Channel>,
    devices: DevicesClient<Channel>,
}

impl Device {
    async fn connect(
        address: &str,
        name: &'static str,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let channel = Endpoint::new(format!("http://{address}"))?
            .user_agent(name)?
            .connect()
            .await?;
        let channel = tower::Layer::layer(&BearerLayer::new(), channel);
        Ok(Self {
            sign_in: SignInClient::new(channel.clone()),
            devices: DevicesClient::new(channel),
        })
    }

    async fn log_in(&mut self) -> Result<String, Status> {
        let request = LoginRequest {
            user: "alice".to_owned(),
            password: "demo".to_owned(),
            keep_others: false,
        };
        let reply = self.sign_in.login(request).await?;
        Ok(reply.into_inner().device_id)
    }

    async fn user(&mut self) -> Result<String, Status> {
        let reply = self.devices.who_am_i(WhoAmIRequest {}).await?;
        Ok(reply.into_inner().user)
    }
}

pub(crate) async fn walk(
    address: &str,
    out: &mut impl Write,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut phone = Device::connect(address, "phone/1.0").await?;
    let mut laptop = Device::connect(address, "laptop/1.0").await?;

    let id = phone.log_in().await?;
    laptop.log_in().await?;
    writeln!(out, "signed in twice as {}", laptop.user().await?)?;

    let list = laptop.devices.list_devices(ListDevicesRequest {}).await?;
    for device in list.into_inner().devices {
        let here = if device.current { ", this device" } else { "" };
        writeln!(
            out,
            "  {} at {}, last seen {}{here}",
            device.user_agent, device.address, device.last_activity
        )?;
    }

    let watched = phone.devices.watch_devices(WatchDevicesRequest {});
    let mut watched = watched.await?.into_inner();
    watched.message().await?;
    laptop.devices.end_device(EndDeviceRequest { id }).await?;
    let over = loop {
        if let Err(status) = watched.message().await {
            break status;
        }
    };
    writeln!(out, "the phone's stream ended: {}", over.message())?;
    let out_now = phone.user().await.err();
    let why = out_now.filter(|status| status.code() == Code::Unauthenticated);
    writeln!(
        out,
        "the phone is out: {}",
        why.as_ref().map_or("no", Status::message)
    )?;

    laptop.devices.logout(LogoutRequest {}).await?;
    writeln!(out, "signed out: {}", laptop.user().await.is_err())?;
    Ok(())
}
