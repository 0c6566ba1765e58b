//! Creates the tables.

use std::time::Duration;

use tokio::time;

use super::{
    failure::Failure,
    link::{Again, Time},
    tables::{Tables, column, only},
};
use crate::store::{StoreError, Urgency};

/// The advisory lock of the node that creates the tables.
const MIGRATES: i64 = 0x746f_7765_7275_7365;

/// How long it may take in all: another node may be at it.
const LONGEST: Duration = Duration::from_secs(30);

/// How long another node is waited for.
const TURN: &str = "25s";

/// How long a lock of a table is waited for. Meanwhile all writes wait behind this node.
const LOCK: &str = "3s";

impl Tables {
    /// Creates the tables.
    pub(super) async fn migrate(&self) -> Result<(), StoreError> {
        // Connecting may take as long as the statements: a server that just woke up takes seconds for that.
        let migrated = time::timeout(LONGEST, self.migrate_in_turn()).await;
        migrated.unwrap_or_else(|_elapsed| Err(Failure::silent().error()))
    }

    /// One node at a time: two that create a table at the same moment would collide.
    async fn migrate_in_turn(&self) -> Result<(), StoreError> {
        // `IF NOT EXISTS` would lock the table before it looks, and only its owner may.
        if self.are_there().await? {
            return Ok(());
        }
        // One message of several statements is one transaction. A `statement_timeout` for queries of the app is too short for
        // the wait for another node, and for the index of a large table.
        let sql = format!(
            "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '{TURN}'; \
             SELECT pg_advisory_xact_lock({MIGRATES}); SET LOCAL lock_timeout = '{LOCK}'; {}",
            self.0.statements.migrate
        );
        match self.0.link.batch(Time::of(LONGEST), &sql).await {
            // `IF NOT EXISTS` is content with an index of that name on another table. Then deletions would read all of this one.
            Ok(()) if !self.are_there().await? => Err(Failure::name_taken().error()),
            Ok(()) => Ok(()),
            // Another node was faster.
            Err(_) if self.are_there().await.unwrap_or(false) => Ok(()),
            Err(missed) => Err(missed.error),
        }
    }

    async fn are_there(&self) -> Result<bool, StoreError> {
        let (time, there) = (Time::of(LONGEST), &self.0.statements.there);
        let link = &self.0.link;
        let rows = link.run_unless(time, there, &[], Again::Harmless, Urgency::Other, |_| None);
        column(&only(rows.await?)?, 0)
    }
}
