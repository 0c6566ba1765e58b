//! What a process does that an overload test starts.

use crate::common::overload;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "the overload tests start it"]
async fn a_process_of_load() {
    overload::obey().await;
}
