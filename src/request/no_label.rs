//! Without the feature `device`, clients have no label.

use crate::model::Client;

pub(crate) fn label(_client: &Client) -> Option<String> {
    None
}
