//! Clients that hold a stream open, and what they are sent at its end.

use std::{future::Future, net::SocketAddr, pin::Pin};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Request, Streaming, client::Grpc, metadata::MetadataValue, transport::Endpoint};
use tonic_prost::ProstCodec;

use crate::pb::{WatchDevicesRequest, WhoAmIReply, WhoAmIRequest, devices_client::DevicesClient};

/// An open stream, and the wait for its end.
pub(super) struct Stream {
    pub(super) kind: &'static str,
    end: Pin<Box<dyn Future<Output = String> + Send>>,
}

impl Stream {
    /// Over HTTP/1, without a library that hides how it ends.
    pub(super) async fn get(
        at: SocketAddr,
        path: &'static str,
        token: &str,
        upgrades: bool,
    ) -> Self {
        let mut stream = TcpStream::connect(at).await.unwrap();
        let more = if upgrades {
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        } else {
            ""
        };
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n{more}\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut read = Vec::new();
        while !read.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
            assert!(stream.read_buf(&mut read).await.unwrap() > 0);
        }
        let text = String::from_utf8_lossy(&read).into_owned();
        let status = if upgrades {
            "HTTP/1.1 101"
        } else {
            "HTTP/1.1 200"
        };
        assert!(text.starts_with(status), "{text}");
        let end = Box::pin(async move {
            let mut read = text.split_once("\r\n\r\n").unwrap().1.as_bytes().to_vec();
            loop {
                let over = stream.read_buf(&mut read).await.unwrap_or(0) == 0;
                let said = String::from_utf8_lossy(&read).into_owned();
                if upgrades && read.len() > 4 {
                    return said;
                }
                if let Some(said) = said.strip_suffix("\r\n0\r\n\r\n") {
                    return said.split_once("\r\n").unwrap().1.to_owned();
                }
                if over {
                    return format!("{} bytes, cut off", read.len());
                }
            }
        });
        Self { kind: path, end }
    }

    /// A stream of the server.
    pub(super) async fn watch(at: SocketAddr, token: &str) -> Self {
        let channel = channel(at).await;
        let request = with_token(WatchDevicesRequest {}, token);
        let mut devices = DevicesClient::new(channel);
        let mut lists = devices.watch_devices(request).await.unwrap().into_inner();
        lists.message().await.unwrap().unwrap();
        Self {
            kind: "watch",
            end: Box::pin(async move { status(&mut lists).await }),
        }
    }

    /// A bidirectional call.
    pub(super) async fn talk(at: SocketAddr, token: &str) -> Self {
        let (say, said) = mpsc::unbounded_channel();
        say.send(WhoAmIRequest {}).unwrap();
        let mut grpc = Grpc::new(channel(at).await);
        grpc.ready().await.unwrap();
        let path = "/test.Talk/Talk".parse().unwrap();
        let request = with_token(UnboundedReceiverStream::new(said), token);
        let codec = ProstCodec::<WhoAmIRequest, WhoAmIReply>::default();
        let mut heard = grpc
            .streaming(request, path, codec)
            .await
            .unwrap()
            .into_inner();
        heard.message().await.unwrap().unwrap();
        let end = Box::pin(async move {
            let _say = say;
            status(&mut heard).await
        });
        Self { kind: "talk", end }
    }

    /// What the client was sent at the end.
    pub(super) async fn end(self) -> String {
        self.end.await
    }
}

async fn channel(at: SocketAddr) -> tonic::transport::Channel {
    let endpoint = Endpoint::new(format!("http://{at}")).unwrap();
    endpoint.connect().await.unwrap()
}

fn with_token<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    let value: MetadataValue<_> = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", value);
    request
}

async fn status<T>(stream: &mut Streaming<T>) -> String {
    loop {
        match stream.message().await {
            Ok(Some(_)) => {}
            Ok(None) => return "a clean end".to_owned(),
            Err(status) => return format!("{:?} {}", status.code(), status.message()),
        }
    }
}

/// The reason in the close frame of a WebSocket: two bytes of head, two of code.
pub(super) fn close_reason(frame: &str) -> &str {
    frame
        .rsplit(|c: char| !(c.is_ascii_lowercase() || c == '_'))
        .next()
        .unwrap()
}
