//! Connections to sentinels, which also report that another master was named.

use std::{sync::Arc, time::Duration};

use deadpool_redis::redis::{
    Client, ConnectionInfo, ErrorKind, ProtocolVersion, PushInfo, PushKind, RedisResult, Value,
    aio::{MultiplexedConnection, SendError},
};
use tokio::sync::watch;

use super::super::names;

/// What a sentinel publishes to when it names another master: its name, and the old and the new address.
const SWITCHED: &str = "+switch-master";

/// Opens a connection to a sentinel that wakes `switched` when the sentinel names another master.
///
/// A sentinel that does not allow that is asked now and then only.
pub(super) async fn open(
    info: ConnectionInfo,
    master: &str,
    switched: &Arc<watch::Sender<()>>,
    patience: Duration,
) -> RedisResult<MultiplexedConnection> {
    let config = names::config().set_connection_timeout(Some(patience));
    let settings = info.redis_settings().clone();
    let resp3 = settings.set_protocol(ProtocolVersion::RESP3);
    let (switched, name) = (Arc::clone(switched), master.to_owned());
    let listening = config.clone().set_push_sender(move |push: PushInfo| {
        if is_about(&name, &push) {
            switched.send_replace(());
        }
        Ok::<_, SendError>(())
    });
    let client = Client::open(info.clone().set_redis_settings(resp3))?;
    let opened = client.get_multiplexed_async_connection_with_config(&listening);
    match opened.await {
        Ok(mut connection) => {
            let _may_be_forbidden = connection.subscribe(SWITCHED).await;
            Ok(connection)
        }
        Err(error)
            if error.is_io_error()
                || error.is_timeout()
                || error.kind() == ErrorKind::AuthenticationFailed =>
        {
            Err(error)
        }
        Err(_it_knows_no_resp3) => {
            let client = Client::open(info)?;
            client
                .get_multiplexed_async_connection_with_config(&config)
                .await
        }
    }
}

fn is_about(master: &str, push: &PushInfo) -> bool {
    let Some(Value::BulkString(text)) = push.data.last() else {
        return false;
    };
    let name = text.split(|byte| *byte == b' ').next();
    push.kind == PushKind::Message && name == Some(master.as_bytes())
}
