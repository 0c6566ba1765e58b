//! How sessions end in a random history, and what has to be true then.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{sync::Arc, time::Duration};

use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};
use tower_user_sessions::{
    EndReason, SessionId,
    store::{End, List, SessionStore, Which},
};

use super::{
    near_history::{Beside, History},
    near_runs::LATE,
    near_truth::{Truth, count},
};
use crate::common::load::millis;

impl<St: SessionStore> History<St> {
    /// A node or the administrator ends sessions.
    pub(super) async fn ends(&mut self) {
        let (node, (at, _)) = (self.random.place(self.place.nodes.len()), self.pick());
        let (id, newest) = (self.truths[at].id(), self.truths[at].tokens.len() - 1);
        self.warms(at, newest).await;
        let which = match self.random.below(4) {
            0 => Which::All,
            1 => Which::Others(id),
            _ => Which::One(id),
        };
        let by = (!self.random.is_one_in(3)).then_some(node);
        if self.are_ended(which, id, by).await {
            // No node answers with it for longer than its bound.
            if self.random.is_one_in(8) {
                // Also if nobody asked it meanwhile.
                let longest = self.place.nodes.iter().map(|node| node.bound).max();
                sleep(longest.unwrap()).await;
            }
            self.watches(at, newest, 20).await;
        }
    }

    /// The administrator ends a session, while answers from before that are on their way to the nodes.
    pub(super) async fn is_overtaken(&mut self) {
        let live = |truth: &Truth| truth.ended.is_none() && !truth.maybe;
        let Some(at) = self.truths.iter().rposition(live) else {
            return;
        };
        let (id, newest) = (self.truths[at].id(), self.truths[at].tokens.len() - 1);
        // Late messages of what happened before remove nothing then.
        sleep(LATE).await;
        let answers = self.asks_the_store(at, newest);
        sleep(millis(self.random.of([0, 1, 5, 20]))).await;
        let ended = self.are_ended(Which::One(id), id, None).await;
        for answer in answers {
            self.comes(answer).await;
        }
        if ended {
            self.watches(at, newest, 20).await;
        }
    }

    /// Ends sessions on this node, or as the administrator. Returns whether that was acknowledged.
    async fn are_ended(&mut self, which: Which, id: SessionId, by: Option<usize>) -> bool {
        let end = End::new(self.tag, which, EndReason::Revoked);
        let place = Arc::clone(&self.place);
        let ended = match by {
            Some(node) => place.nodes[node].near.end(&end).await,
            None => place.plain.end(&end).await,
        };
        for truth in &mut self.truths {
            let goes = match which {
                Which::All => true,
                Which::Others(_) => truth.id() != id,
                Which::One(_) => truth.id() == id,
            };
            if goes && ended.is_err() {
                truth.maybe = true;
            } else if goes {
                truth.ends();
                if let Some(node) = by {
                    truth.own[node].1.get_or_insert_with(Instant::now);
                }
            }
        }
        let tally = &place.tally;
        count(if ended.is_ok() {
            &tally.ends
        } else {
            &tally.errors
        });
        ended.is_ok()
    }

    /// Questions to the store from all nodes, whose answers may be kept.
    fn asks_the_store(&mut self, at: usize, token: usize) -> Vec<JoinHandle<Beside>> {
        let mut beside = Vec::new();
        for node in 0..self.place.nodes.len() {
            let (place, mut resolve) = (Arc::clone(&self.place), self.resolve(at, token));
            (resolve.near, resolve.activity) = (Some(Duration::ZERO), true);
            beside.push(tokio::spawn(async move {
                let asked = Instant::now();
                let answer = place.nodes[node].near.resolve(&resolve).await;
                (node, at, token, asked, answer)
            }));
        }
        beside
    }

    /// What is live in the end: nothing that a node did later has ended a session.
    pub(super) async fn settles(&self) {
        let list = List::new(self.tag);
        let mut live = self.place.plain.list(&list).await;
        // A slot may have moved a moment ago.
        for _ in 0..40 {
            if live.is_ok() {
                break;
            }
            sleep(millis(250)).await;
            live = self.place.plain.list(&list).await;
        }
        let live = live.unwrap();
        let gone = *self.place.gone.lock().unwrap();
        for truth in &self.truths {
            let is_live = live.iter().any(|record| record.id == truth.id());
            let ended = truth.ended.is_some() || gone.is_some_and(|gone| truth.began < gone);
            assert!(
                !(ended && is_live),
                "history {}: it is live again",
                self.seed
            );
            let may = truth.maybe || self.place.forgets || gone.is_some();
            assert!(
                ended || is_live || may,
                "history {}: nobody ended it",
                self.seed
            );
        }
    }
}
