//! Without the feature `device`, nobody knows what people call a client.

use crate::model::Client;

pub(crate) fn label(_client: &Client) -> Option<String> {
    None
}
