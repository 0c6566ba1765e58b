//! The service of the tonic example, and the devices of the story as its clients with bearer tokens.

use std::collections::HashMap;

use tokio::net::TcpListener;
use tonic::{
    Code, Request, Status,
    transport::{Channel, Endpoint, server::TcpIncoming},
};
use tower::Layer;
use tower_user_sessions::{BearerLayer, BearerService, SessionLayer, TokenSource, store::Token};

use super::{
    door::{Deed, Door, Outcome, Who},
    http_server::Server,
    pb::{
        EndDeviceRequest, EndOtherDevicesRequest, ListDevicesRequest, LoginRequest, LogoutRequest,
        WhoAmIRequest, devices_client::DevicesClient, sign_in_client::SignInClient,
    },
    service,
};

pub(crate) struct Grpc {
    channel: Channel,
    bearers: HashMap<Who, BearerLayer>,
    last: HashMap<Who, Token>,
    ids: HashMap<String, Who>,
    _server: Server,
}

impl Grpc {
    pub(crate) async fn start(layer: SessionLayer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = service::routes(layer.token_source(TokenSource::Bearer));
        let incoming = TcpIncoming::from(listener);
        let task = tokio::spawn(async move { routes.serve_with_incoming(incoming).await.unwrap() });
        let endpoint = Endpoint::new(format!("http://{address}")).unwrap();
        Self {
            channel: endpoint.connect().await.unwrap(),
            bearers: HashMap::new(),
            last: HashMap::new(),
            ids: HashMap::new(),
            _server: Server::running(address, task),
        }
    }

    fn bearer(&mut self, who: Who) -> BearerLayer {
        self.bearers.entry(who).or_default().clone()
    }

    fn channel(&mut self, who: Who) -> BearerService<Channel> {
        self.bearer(who).layer(self.channel.clone())
    }

    async fn try_to(&mut self, who: Who, deed: Deed) -> Result<Outcome, Status> {
        let mut devices = DevicesClient::new(self.channel(who));
        match deed {
            Deed::LogIn => self.log_in(who, false).await,
            Deed::LogInKeepingOthers => self.log_in(who, true).await,
            Deed::WhoAmI | Deed::StoreFails | Deed::StoreMends => {
                ask(devices, Request::new(WhoAmIRequest {})).await
            }
            Deed::ShowLastToken => {
                let last = [&self.last[&who]];
                ask(devices, with_tokens(last)).await
            }
            Deed::ShowTwoTokens(other) => {
                let both = [&self.last[&who], &self.last[&other]];
                ask(devices, with_tokens(both)).await
            }
            Deed::List => {
                let list = devices.list_devices(ListDevicesRequest {}).await?;
                let listed = list.into_inner().devices.into_iter();
                let listed = listed.map(|device| (device.id, device.current)).collect();
                Ok(Outcome::list(listed, &self.ids))
            }
            Deed::End(other) => {
                let (id, _) = self.ids.iter().find(|(_, of)| **of == other).unwrap();
                let id = id.clone();
                devices.end_device(EndDeviceRequest { id }).await?;
                Ok(Outcome::Done)
            }
            Deed::EndOthers => {
                let answer = devices.end_other_devices(EndOtherDevicesRequest {}).await?;
                Ok(Outcome::Ended(answer.into_inner().ended.into()))
            }
            Deed::LogOut => {
                devices.logout(LogoutRequest {}).await?;
                self.bearer(who).forget();
                Ok(Outcome::Done)
            }
        }
    }

    async fn log_in(&mut self, who: Who, keep_others: bool) -> Result<Outcome, Status> {
        let request = LoginRequest {
            user: "alice".to_owned(),
            password: "demo".to_owned(),
            keep_others,
        };
        // A sign-in without a token: the earlier one of the device is of no use any more.
        self.bearer(who).forget();
        let mut sign_in = SignInClient::new(self.channel(who));
        let reply = sign_in.login(request).await?.into_inner();
        self.ids.insert(reply.device_id, who);
        let token = self.bearer(who).token().unwrap();
        self.last.insert(who, token);
        Ok(Outcome::In)
    }
}

fn with_tokens<'a>(tokens: impl IntoIterator<Item = &'a Token>) -> Request<WhoAmIRequest> {
    let mut request = Request::new(WhoAmIRequest {});
    for token in tokens {
        let line = format!("Bearer {}", token.encode()).parse().unwrap();
        request.metadata_mut().append("authorization", line);
    }
    request
}

async fn ask(
    mut devices: DevicesClient<BearerService<Channel>>,
    request: Request<WhoAmIRequest>,
) -> Result<Outcome, Status> {
    let reply = devices.who_am_i(request).await?.into_inner();
    assert_eq!(reply.user, "alice");
    Ok(Outcome::Alice)
}

impl Door for Grpc {
    async fn act(&mut self, who: Who, deed: Deed) -> Outcome {
        match self.try_to(who, deed).await {
            Ok(outcome) => outcome,
            Err(status) => match status.code() {
                Code::Unauthenticated => Outcome::out(status.message()),
                Code::ResourceExhausted => Outcome::Full,
                Code::Unavailable => Outcome::Unavailable,
                _ => Outcome::Strange(format!("{status:?}")),
            },
        }
    }
}
