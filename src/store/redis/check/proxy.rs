//! Finds out whether connections lead to several servers, as behind a proxy.

use super::{
    super::link::{Connection, Link},
    ask::Ask,
};

/// How often the clocks of two connections must differ before they count as two clocks: one may be set meanwhile.
const CLOCKS: usize = 3;

/// To so many other connections the first one is compared, or they to each other.
const OTHERS: usize = 4;

/// Where connections lead.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Way {
    /// All to one server.
    One,
    /// To one server, and before that to another one: it was restarted, or another master was promoted.
    TookOver,
    /// To several.
    Spreads,
}

impl Ask<'_> {
    /// Whether connections lead to several servers, if that is found out. A server may take over meanwhile, for good.
    pub(super) async fn spreads(&self, link: &Link, process: Option<&String>) -> Option<Way> {
        let mut others = Vec::with_capacity(OTHERS);
        let way = self.spreads_among(&mut others, link, process).await;
        others.iter().for_each(Connection::stop);
        way
    }

    /// The connections stay open meanwhile: a proxy may choose the server that has the fewest.
    async fn spreads_among(
        &self,
        others: &mut Vec<Connection>,
        link: &Link,
        process: Option<&String>,
    ) -> Option<Way> {
        others.push(link.open().await.ok()?);
        let other = self.at(others.last()?);
        if !self.differs(&other, process).await? {
            return Some(Way::One);
        }
        let process = match process {
            Some(_) => Some(other.info().await.ok()?.get("run_id")?.clone()),
            None => None,
        };
        for _ in 1..OTHERS {
            others.push(link.open().await.ok()?);
            let [.., other, next] = &others[..] else {
                return None;
            };
            let (other, next) = (self.at(other), self.at(next));
            if other.differs(&next, process.as_ref()).await? {
                return Some(Way::Spreads);
            }
        }
        Some(Way::TookOver)
    }

    fn at<'a>(&self, connection: &'a Connection) -> Ask<'a> {
        Ask {
            connection,
            patience: self.patience,
        }
    }

    /// Whether the other connection leads to another server, if that is found out. Two servers are two processes, or
    /// have two clocks.
    async fn differs(&self, other: &Self, process: Option<&String>) -> Option<bool> {
        if let Some(process) = process
            && let Ok(info) = other.info().await
            && info.get("run_id") != Some(process)
        {
            return Some(true);
        }
        for _ in 0..CLOCKS {
            let (before, time) = (self.time().await?, other.time().await?);
            if (before..=self.time().await?).contains(&time) {
                return Some(false);
            }
        }
        Some(true)
    }

    pub(super) async fn time(&self) -> Option<i64> {
        let time = tokio::time::timeout(self.patience, self.connection.time());
        time.await.ok()?.ok()?
    }
}
