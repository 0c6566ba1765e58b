//! The listener of one server: it connects, and again when the connection is lost.

use std::{sync::Arc, time::Duration};

use super::{
    super::link::{Outage, pause},
    hearing::Hearing,
    line::Line,
    source::Server,
};
use crate::store::meter;

/// What is said of one server, once for each change.
pub(super) struct Said {
    server: String,
    /// Whether it was trusted last; `None` before anything was said.
    trusted: Option<bool>,
}

impl Said {
    pub(super) fn is_trusted(&self) -> bool {
        self.trusted == Some(true)
    }

    pub(super) fn trusted(&mut self) {
        if self.trusted.replace(true) != Some(true) {
            meter::feed::went(true);
            tracing::info!(server = %self.server, "the feed of Redis is trusted");
        }
    }

    pub(super) fn lost(&mut self, outage: &Outage) {
        if self.trusted.replace(false) != Some(false) {
            meter::feed::went(false);
            tracing::warn!(
                server = %self.server,
                kind = ?outage.kind,
                error = outage.cause(),
                "the feed of Redis is not trusted: what changes on other nodes is noticed later"
            );
        }
    }
}

/// Listens to a server until the task is stopped.
pub(super) async fn listen(hearing: Arc<Hearing>, server: Server) {
    let mut said = Said {
        server: server.source.server(),
        trusted: None,
    };
    let mut failed = 0;
    loop {
        let ear = hearing.ear(server.link.clone());
        let listening = GivesUp(&hearing, &ear);
        let outage = match Line::open(&hearing, &ear, &server).await {
            Ok(line) => line.stays(&mut said).await,
            Err(outage) => outage,
        };
        if said.is_trusted() {
            failed = 0;
        }
        said.lost(&outage);
        failed += 1;
        let pause = pause(failed, &outage);
        drop(listening);
        tokio::time::sleep(pause.max(Duration::from_millis(50))).await;
    }
}

/// What an ear heard is not trusted any more, also if the task is stopped.
struct GivesUp<'a>(&'a Hearing, &'a super::ear::Ear);

impl Drop for GivesUp<'_> {
    fn drop(&mut self) {
        self.0.give_up(self.1);
    }
}
