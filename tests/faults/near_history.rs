//! One random history of a user with a near cache on each of three nodes, and what is true of it.
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
    Lifetime,
    store::{
        Changes, Created, Renewal, Resolve, Rotate, Rotated, Salt, Save, Saved, SessionStore, Tag,
    },
};

use super::near_truth::{Answer, Place, Sent, Truth, count};
use crate::common::{
    load::millis,
    people::{asks, token},
    random::Random,
};

/// How often a session is watched after something happened.
const EACH: Duration = Duration::from_millis(40);

/// A request beside an operation: the node, the session and the place of its token, when it was asked, and the answer.
pub(super) type Beside = (usize, usize, usize, Instant, Answer);

pub(super) struct History<St> {
    pub(super) seed: u64,
    user: String,
    pub(super) tag: Tag,
    pub(super) place: Arc<Place<St>>,
    pub(super) random: Random,
    pub(super) truths: Vec<Truth>,
}

impl<St: SessionStore> History<St> {
    pub(super) fn new(seed: u64, place: &Arc<Place<St>>) -> Self {
        let user = format!("user {seed}");
        Self {
            seed,
            tag: token(&place.plain, &user).tag(),
            user,
            place: Arc::clone(place),
            random: Random(seed.wrapping_mul(0xA076_1D64_78BD_642F)),
            truths: Vec::new(),
        }
    }

    /// The slot of its user depends on this.
    pub(super) fn tag(&self) -> Tag {
        self.tag
    }

    pub(super) async fn run(mut self) -> Self {
        sleep(millis(self.random.below(300))).await;
        for _ in 0..self.place.steps {
            self.step().await;
        }
        self
    }

    async fn step(&mut self) {
        if self.truths.is_empty() {
            return self.begins().await;
        }
        match self.random.below(20) {
            0..=2 => {
                let pause = self.random.of([1, 20, 60, 150, 350]);
                sleep(millis(pause)).await;
            }
            3..=10 => self.requests().await,
            11 | 12 => self.beside(Self::saves).await,
            13 => self.saves().await,
            14 => self.beside(Self::rotates).await,
            15 => self.rotates().await,
            16 | 17 if self.truths.len() < 6 => self.begins().await,
            _ if self.random.is_one_in(3) => self.is_overtaken().await,
            _ if self.random.is_one_in(2) => self.beside(Self::ends).await,
            _ => self.requests().await,
        }
    }

    async fn begins(&mut self) {
        let node = self.random.place(self.place.nodes.len());
        let token = token(&self.place.plain, &self.user);
        let place = Arc::clone(&self.place);
        for at in 0..self.truths.len() {
            let newest = self.truths[at].tokens.len() - 1;
            self.request(node, at, newest).await;
        }
        let create = asks(&self.user, &token);
        let created = place.nodes[node].near.create(&create).await;
        let Ok(Created::Created(new)) = created else {
            count(&place.tally.errors);
            // It may have evicted any of them.
            self.truths.iter_mut().for_each(|truth| truth.maybe = true);
            return;
        };
        for evicted in &new.evicted {
            let of = |truth: &Truth| truth.id() == evicted.id;
            if let Some(at) = self.truths.iter().position(of) {
                let truth = &mut self.truths[at];
                truth.ends();
                truth.own[node].1.get_or_insert_with(Instant::now);
                count(&place.tally.ends);
                let newest = truth.tokens.len() - 1;
                self.request(node, at, newest).await;
            }
        }
        self.truths.push(Truth {
            tokens: vec![Sent {
                token,
                replaced: None,
            }],
            began: Instant::now(),
            ended: None,
            maybe: false,
            writes: Vec::new(),
            own: vec![(0, None); place.nodes.len()],
        });
    }

    /// A session, and the place of one of its tokens: mostly the newest one.
    pub(super) fn pick(&mut self) -> (usize, usize) {
        let last = self.truths.len() - 1;
        let at = if self.random.is_one_in(2) {
            last
        } else {
            self.random.place(last + 1)
        };
        let tokens = self.truths[at].tokens.len();
        let back = if self.random.is_one_in(4) {
            self.random.place(tokens)
        } else {
            0
        };
        (at, tokens - 1 - back)
    }

    pub(super) fn resolve(&mut self, at: usize, token: usize) -> Resolve {
        let mut resolve = Resolve::new(self.truths[at].tokens[token].token.clone());
        resolve.near = Some(Duration::from_secs(120));
        resolve.activity = !self.random.is_one_in(3);
        resolve
    }

    async fn requests(&mut self) {
        let (node, (at, token)) = (self.random.place(self.place.nodes.len()), self.pick());
        for _ in 0..self.random.of([1, 2, 4]) {
            self.request(node, at, token).await;
        }
    }

    async fn request(&mut self, node: usize, at: usize, token: usize) {
        let mut resolve = self.resolve(at, token);
        if self.random.is_one_in(8) {
            resolve.near = None;
        }
        self.sends(node, at, token, &resolve).await;
    }

    async fn sends(&mut self, node: usize, at: usize, token: usize, resolve: &Resolve) {
        let asked = Instant::now();
        let place = Arc::clone(&self.place);
        let answer = place.nodes[node].near.resolve(resolve).await;
        self.answered(node, at, token, asked, &answer);
    }

    /// Each node is asked with this token, so that most of them keep the answer.
    pub(super) async fn warms(&mut self, at: usize, token: usize) {
        for node in 0..self.place.nodes.len() {
            self.request(node, at, token).await;
        }
    }

    /// So many requests with this token, on any node.
    pub(super) async fn watches(&mut self, at: usize, token: usize, times: usize) {
        for _ in 0..times {
            sleep(EACH).await;
            let node = self.random.place(self.place.nodes.len());
            let resolve = self.resolve(at, token);
            self.sends(node, at, token, &resolve).await;
        }
    }

    /// An operation, with requests on two nodes that may be answered before it, after it, or be kept.
    async fn beside(&mut self, operation: impl AsyncFnOnce(&mut Self)) {
        let mut beside = Vec::new();
        for _ in 0..2 {
            let (node, (at, token)) = (self.random.place(self.place.nodes.len()), self.pick());
            let (place, resolve) = (Arc::clone(&self.place), self.resolve(at, token));
            let wait = millis(self.random.of([0, 0, 1, 5]));
            beside.push(tokio::spawn(async move {
                sleep(wait).await;
                let asked = Instant::now();
                let answer = place.nodes[node].near.resolve(&resolve).await;
                (node, at, token, asked, answer)
            }));
        }
        operation(self).await;
        for answer in beside {
            self.comes(answer).await;
        }
    }

    pub(super) async fn comes(&mut self, answer: JoinHandle<Beside>) {
        let (node, at, token, asked, answer) = answer.await.unwrap();
        self.answered(node, at, token, asked, &answer);
    }

    fn answered(&mut self, node: usize, at: usize, token: usize, asked: Instant, answer: &Answer) {
        let place = Arc::clone(&self.place);
        let truth = &mut self.truths[at];
        if let Err(wrong) = truth.judges(&place, (node, token), asked, answer) {
            panic!("history {}, node {node}: {wrong}", self.seed);
        }
    }

    async fn saves(&mut self) {
        let (node, (at, _)) = (self.random.place(self.place.nodes.len()), self.pick());
        let mut changes = Changes::default();
        changes.set("key", vec![b'x'; self.random.place(9)]);
        let save = Save::new(self.tag, self.truths[at].id(), changes);
        let place = Arc::clone(&self.place);
        match place.nodes[node].near.save(&save).await {
            Ok(Saved::Saved { revision }) => {
                count(&place.tally.saves);
                let truth = &mut self.truths[at];
                truth.writes.push((Instant::now(), revision));
                truth.own[node].0 = revision;
                // The browser sees it at once, on this node.
                let newest = truth.tokens.len() - 1;
                let resolve = self.resolve(at, newest);
                self.sends(node, at, newest, &resolve).await;
            }
            Ok(_) => {}
            Err(_) => count(&place.tally.errors),
        }
    }

    async fn rotates(&mut self) {
        let (node, (at, _)) = (self.random.place(self.place.nodes.len()), self.pick());
        let newest = self.truths[at].tokens.len() - 1;
        let token = self.truths[at].tokens[newest].token.clone();
        let salt = Salt::from_bytes([1 + u8::try_from(newest % 251).unwrap(); 16]);
        let proven = self.random.is_one_in(3);
        let (next, renewal) = if proven {
            let day = Duration::from_secs(86_400);
            let lifetime = Lifetime::new(day, day * 10);
            let authenticated = asks(&self.user, &token).authenticated;
            let proven = Renewal::Proven {
                authenticated,
                lifetime,
            };
            (token.renewed().unwrap(), proven)
        } else {
            (token.successor(&salt), Renewal::Derived(salt))
        };
        let mut rotate = Rotate::new(&token, &next, renewal);
        (rotate.grace, rotate.reuse_ends) = (millis(900), self.random.is_one_in(4));
        self.warms(at, newest).await;
        let place = Arc::clone(&self.place);
        match place.nodes[node].near.rotate(&rotate).await {
            Ok(Rotated::Rotated(_)) => {
                count(&place.tally.rotations);
                let truth = &mut self.truths[at];
                for before in &mut truth.tokens {
                    before
                        .replaced
                        .get_or_insert_with(|| (Instant::now(), node));
                }
                truth.tokens.push(Sent {
                    token: next,
                    replaced: None,
                });
                self.watches(at, newest, 6).await;
            }
            Ok(_) => {}
            Err(_) => {
                count(&place.tally.errors);
                self.truths[at].maybe = true;
            }
        }
    }
}
