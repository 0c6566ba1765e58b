//! The service: everybody may sign in, the other methods are for users.

use std::{pin::Pin, time::Duration};

use tokio_stream::{Stream, StreamExt, wrappers::IntervalStream};
use tonic::{
    Request, Response, Status,
    transport::{Server, server::Router},
};
use tower::Layer;
use tower_layer::{Identity, Stack};
use tower_user_sessions::{
    EndStreams, Limit, Login, RequireUser, Session, SessionInfo, SessionLayer, UserSessions,
};

use crate::pb::{
    self,
    devices_server::{Devices, DevicesServer},
    sign_in_server::{SignIn, SignInServer},
};

/// How many devices a user may have if the sign-in must not end another one.
const DEVICES: u16 = 3;

/// How often a watched list is sent.
const EVERY: Duration = Duration::from_secs(2);

/// The layers around both services: the sessions, and inside of them what ends open streams.
type Layers = Stack<EndStreams, Stack<SessionLayer, Identity>>;

/// Both services are inside the layers; the one for users is inside `RequireUser`, too.
pub(crate) fn routes(sessions: SessionLayer) -> Router<Layers> {
    Server::builder()
        .layer(sessions)
        .layer(EndStreams::new())
        .add_service(SignInServer::new(SignInService))
        .add_service(RequireUser::new().layer(DevicesServer::new(DevicesService)))
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct SignInService;

#[tonic::async_trait]
impl SignIn for SignInService {
    async fn login(
        &self,
        request: Request<pb::LoginRequest>,
    ) -> Result<Response<pb::LoginReply>, Status> {
        let session = Session::of(request.extensions())?;
        let given = request.into_inner();
        // A real app compares with a hash of the password, and limits the attempts.
        let known = ["alice", "bob"].contains(&given.user.as_str());
        if !known || given.password != "demo" {
            return Err(Status::unauthenticated("wrong user or password"));
        }
        let login = Login::new(given.user);
        session.log_in_with(if given.keep_others {
            login.limit(Limit::at_most(DEVICES).refuse())
        } else {
            login
        })?;
        // The layer adds the token to the response, or replaces the response if the limit refuses.
        let device_id = id_of(&session);
        Ok(Response::new(pb::LoginReply { device_id }))
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct DevicesService;

#[tonic::async_trait]
impl Devices for DevicesService {
    async fn who_am_i(
        &self,
        request: Request<pb::WhoAmIRequest>,
    ) -> Result<Response<pb::WhoAmIReply>, Status> {
        let session = Session::of(request.extensions())?;
        let user = session.user_id().ok_or_else(guest)?;
        Ok(Response::new(pb::WhoAmIReply {
            user: user.to_string(),
        }))
    }

    async fn list_devices(
        &self,
        request: Request<pb::ListDevicesRequest>,
    ) -> Result<Response<pb::ListDevicesReply>, Status> {
        let list = sessions(&request)?.list().await?;
        Ok(Response::new(pb::ListDevicesReply {
            devices: list.iter().map(device).collect(),
        }))
    }

    type WatchDevicesStream =
        Pin<Box<dyn Stream<Item = Result<pb::ListDevicesReply, Status>> + Send>>;

    /// It never ends by itself: `EndStreams` ends it when this device is signed out.
    async fn watch_devices(
        &self,
        request: Request<pb::WatchDevicesRequest>,
    ) -> Result<Response<Self::WatchDevicesStream>, Status> {
        let sessions = sessions(&request)?;
        let lists = IntervalStream::new(tokio::time::interval(EVERY)).then(move |_| {
            let sessions = sessions.clone();
            async move {
                let devices = sessions.list().await?;
                let devices = devices.iter().map(device).collect();
                Ok(pb::ListDevicesReply { devices })
            }
        });
        Ok(Response::new(Box::pin(lists)))
    }

    async fn end_device(
        &self,
        request: Request<pb::EndDeviceRequest>,
    ) -> Result<Response<pb::EndDeviceReply>, Status> {
        let sessions = sessions(&request)?;
        let Ok(id) = request.into_inner().id.parse() else {
            return Err(not_yours());
        };
        sessions.end(id).await?;
        Ok(Response::new(pb::EndDeviceReply {}))
    }

    async fn end_other_devices(
        &self,
        request: Request<pb::EndOtherDevicesRequest>,
    ) -> Result<Response<pb::EndOtherDevicesReply>, Status> {
        let ended = sessions(&request)?.end_others().await?;
        let ended = u32::try_from(ended).unwrap_or(u32::MAX);
        Ok(Response::new(pb::EndOtherDevicesReply { ended }))
    }

    async fn logout(
        &self,
        request: Request<pb::LogoutRequest>,
    ) -> Result<Response<pb::LogoutReply>, Status> {
        Session::of(request.extensions())?.log_out()?;
        Ok(Response::new(pb::LogoutReply {}))
    }
}

fn sessions<T>(request: &Request<T>) -> Result<UserSessions, Status> {
    let session = Session::of(request.extensions())?;
    session.user_sessions().ok_or_else(guest)
}

fn id_of(session: &Session) -> String {
    session.id().map(|id| id.to_string()).unwrap_or_default()
}

fn device(info: &SessionInfo) -> pb::Device {
    pb::Device {
        id: info.id().to_string(),
        user_agent: info.user_agent().unwrap_or_default().to_owned(),
        address: info
            .address()
            .map(|address| address.to_string())
            .unwrap_or_default(),
        last_activity: info.last_activity().to_string(),
        current: info.is_current(),
    }
}

fn guest() -> Status {
    Status::unauthenticated("not_signed_in")
}

/// The device of another user and an unknown id give the same status.
fn not_yours() -> Status {
    Status::permission_denied("not_yours")
}
