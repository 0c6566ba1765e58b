//! Random histories of three nodes: no answer is later than the lease, and a browser sees what it wrote on its node.

use std::{future::Future, pin::Pin, time::Duration};

use super::wire::{HEARD, Hold, LEASE, Node, Server, near, poll, sign_in};
use crate::{
    model::{EndReason, Lifetime, Salt, Tag, Timestamp, Token},
    store::{
        Authenticated, Changes, Created, End, List, Renewal, Resolve, Resolved, Rotate, Rotated,
        Save, Saved, SessionStore, StoreError, Which,
    },
};

const NODES: usize = 3;
const STEPS: usize = 60;
const HISTORIES: u64 = 10_000;

/// Longer than the lease, so that a previous token works until its answers are over.
const GRACE: Duration = Duration::from_secs(6);

/// A small generator, so that a history is a number.
struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % most
    }

    fn one_in(&mut self, all: usize) -> bool {
        self.below(all) == 0
    }
}

/// What is true of a session.
struct Truth {
    tokens: Vec<Sent>,
    tag: Tag,
    ended: Option<Timestamp>,
    /// The revisions that were acknowledged, with their moments.
    writes: Vec<(Timestamp, u64)>,
    /// What each node has acknowledged to a browser.
    own: [Own; NODES],
}

struct Sent {
    token: Token,
    /// From when on no request with it opens the session.
    dead: Option<Timestamp>,
}

#[derive(Clone, Copy, Default)]
struct Own {
    revision: u64,
    ended: bool,
}

type Answer = Pin<Box<dyn Future<Output = Result<Resolved, StoreError>>>>;

struct World {
    server: Server,
    nodes: Vec<Node>,
    /// What is on its way, about which session and token.
    fills: Vec<Option<(Answer, usize)>>,
    truths: Vec<Truth>,
    random: Random,
    near: usize,
    late: usize,
}

impl World {
    fn new(seed: u64) -> Self {
        let server = Server::new();
        Self {
            nodes: (0..NODES).map(|_| server.node()).collect(),
            fills: (0..NODES).map(|_| None).collect(),
            server,
            truths: Vec::new(),
            random: Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1),
            near: 0,
            late: 0,
        }
    }

    async fn begins(&mut self) {
        let (create, token) = sign_in(&self.server.store, self.server.clock.now(), "alice");
        let node = self.random.below(NODES);
        match self.nodes[node].near.create(&create).await.unwrap() {
            Created::Created(_) => {}
            // In the same millisecond all of them ended.
            Created::Rejected => return,
            other => panic!("{other:?}"),
        }
        self.server
            .store
            .resolve(&Resolve::new(token.clone()))
            .await
            .unwrap();
        self.truths.push(Truth {
            tag: token.tag(),
            tokens: vec![Sent { token, dead: None }],
            ended: None,
            writes: Vec::new(),
            own: [Own::default(); NODES],
        });
    }

    fn pick(&mut self) -> (usize, usize) {
        let at = self.random.below(self.truths.len());
        // The newest token most of the time.
        let tokens = self.truths[at].tokens.len();
        let back = if self.random.one_in(4) {
            self.random.below(tokens)
        } else {
            0
        };
        (at, tokens - 1 - back)
    }

    async fn step(&mut self) {
        let now = self.server.clock.now();
        let node = self.random.below(NODES);
        match self.random.below(20) {
            0..=2 => {
                let by = [1, 300, 1_000, 1_900, 3_000][self.random.below(5)];
                self.server.clock.advance(Duration::from_millis(by));
            }
            3..=8 => self.requests(node).await,
            9 | 10 => self.fills(node),
            11 => self.saves(node, now).await,
            12 => self.rotates(node, now).await,
            13 => self.ends(node, now).await,
            14 if self.truths.len() < 4 => self.begins().await,
            15 => self.nodes[node].loses(),
            16 if self.random.one_in(2) => self.nodes[node].reconnects(),
            _ => {
                let most = self.random.below(4);
                self.nodes[node].hears(most);
            }
        }
        let news = self.server.news();
        for node in &mut self.nodes {
            node.queue.extend(news.iter().cloned());
        }
    }

    async fn requests(&mut self, node: usize) {
        let (at, token) = self.pick();
        let mut resolve = near(&self.truths[at].tokens[token].token);
        resolve.activity = self.random.one_in(2);
        if self.random.one_in(6) {
            resolve.near = None;
        }
        let answer = self.nodes[node].near.resolve(&resolve).await.unwrap();
        self.answered(node, at, token, &answer);
    }

    /// A fill is on its way while other things happen.
    fn fills(&mut self, node: usize) {
        if self.fills[node].is_some() {
            self.fill_comes(node);
            return;
        }
        let (at, token) = self.pick();
        let resolve = near(&self.truths[at].tokens[token].token);
        let cache = self.nodes[node].near.clone();
        let hold = if self.random.one_in(3) {
            Hold::Before
        } else {
            Hold::After
        };
        self.nodes[node].wire.hold(hold);
        let mut fill: Answer = Box::pin(async move { cache.resolve(&resolve).await });
        match poll(&mut fill) {
            None => self.fills[node] = Some((fill, at)),
            Some(answer) => {
                self.nodes[node].wire.hold(Hold::Nowhere);
                self.answered(node, at, token, &answer.unwrap());
            }
        }
        if hold == Hold::After {
            self.used(at, token);
        }
    }

    fn fill_comes(&mut self, node: usize) {
        if let Some((mut fill, at)) = self.fills[node].take()
            && let Resolved::Reused(reused) = poll(&mut fill).unwrap().unwrap()
            && reused.ended
        {
            self.truths[at].ended.get_or_insert(reused.now);
        }
    }

    /// The server saw a request with this token: the grace of the one before begins.
    fn used(&mut self, at: usize, token: usize) {
        let now = self.server.clock.now();
        let truth = &mut self.truths[at];
        if truth.ended.is_none() && truth.tokens[token].dead.is_none_or(|dead| now < dead) {
            for before in &mut truth.tokens[..token] {
                before.dead.get_or_insert_with(|| now.plus(GRACE));
            }
        }
    }

    fn answered(&mut self, node: usize, at: usize, token: usize, answer: &Resolved) {
        let Resolved::Live(found) = answer else {
            if let Resolved::Reused(reused) = answer
                && reused.ended
            {
                let now = self.server.clock.now();
                self.truths[at].ended.get_or_insert(now);
            }
            return;
        };
        if !found.near {
            self.used(at, token);
            return;
        }
        self.near += 1;
        let (now, truth) = (self.server.clock.now(), &self.truths[at]);
        let since = |moment: Option<Timestamp>| moment.map_or(Duration::ZERO, |it| now.since(it));
        let late = since(truth.ended).max(since(truth.tokens[token].dead));
        let bound = if self.nodes[node].lost { LEASE } else { HEARD };
        assert!(late <= bound, "{late:?} after its end");
        self.late += usize::from(!late.is_zero());
        let own = truth.own[node];
        assert!(!own.ended, "an end of this node");
        assert!(
            found.record.revision >= own.revision,
            "a write of this node"
        );
        for (moment, revision) in &truth.writes {
            let seen = found.record.revision >= *revision;
            assert!(seen || now.since(*moment) <= bound, "a write is missing");
        }
    }

    async fn saves(&mut self, node: usize, now: Timestamp) {
        let (at, _) = self.pick();
        let (tag, id) = {
            let truth = &self.truths[at];
            (truth.tag, truth.tokens[0].token.session_id())
        };
        let mut changes = Changes::default();
        changes.set("key", vec![b'x'; self.random.below(3)]);
        let save = Save::new(tag, id, changes);
        let cache = self.nodes[node].near.clone();
        let hold = [Hold::Nowhere, Hold::Before, Hold::After][self.random.below(3)];
        self.nodes[node].wire.hold(hold);
        let mut saved: Pin<Box<dyn Future<Output = Result<Saved, StoreError>>>> =
            Box::pin(async move { cache.save(&save).await });
        let done = if let Some(done) = poll(&mut saved) {
            done
        } else {
            // Another request of the browser, while the write is on its way.
            let token = self.truths[at].tokens.len() - 1;
            let resolve = near(&self.truths[at].tokens[token].token);
            let answer = self.nodes[node].near.resolve(&resolve).await.unwrap();
            self.answered(node, at, token, &answer);
            poll(&mut saved).unwrap()
        };
        if let Saved::Saved { revision } = done.unwrap() {
            let truth = &mut self.truths[at];
            truth.writes.push((now, revision));
            truth.own[node].revision = revision;
        }
    }

    async fn rotates(&mut self, node: usize, now: Timestamp) {
        let (at, _) = self.pick();
        let last = self.truths[at].tokens.len() - 1;
        let token = self.truths[at].tokens[last].token.clone();
        let proven = self.random.one_in(3);
        let salt = Salt::from_bytes([u8::try_from(last).unwrap(); 16]);
        let (next, renewal) = if proven {
            let lifetime = Lifetime::new(super::wire::IDLE, super::wire::IDLE * 10);
            let authenticated = Authenticated::At(now);
            (
                token.renewed().unwrap(),
                Renewal::Proven {
                    authenticated,
                    lifetime,
                },
            )
        } else {
            (token.successor(&salt), Renewal::Derived(salt))
        };
        let mut rotate = Rotate::new(&token, &next, renewal);
        (rotate.grace, rotate.reuse_ends) = (GRACE, true);
        if let Rotated::Rotated(_) = self.nodes[node].near.rotate(&rotate).await.unwrap() {
            let tokens = &mut self.truths[at].tokens;
            if proven {
                for before in &mut *tokens {
                    before.dead = Some(before.dead.map_or(now, |dead| dead.min(now)));
                }
            }
            tokens.push(Sent {
                token: next,
                dead: None,
            });
        }
    }

    async fn ends(&mut self, node: usize, now: Timestamp) {
        let (at, _) = self.pick();
        let (tag, id) = {
            let truth = &self.truths[at];
            (truth.tag, truth.tokens[0].token.session_id())
        };
        let which = match self.random.below(4) {
            0 => Which::All,
            1 => Which::Others(id),
            _ => Which::One(id),
        };
        let end = End::new(tag, which, EndReason::Revoked);
        // An administrator has no near cache.
        let elsewhere = self.random.one_in(2);
        if elsewhere {
            self.server.store.end(&end).await.unwrap();
        } else {
            self.nodes[node].near.end(&end).await.unwrap();
        }
        for truth in &mut self.truths {
            let is_one = truth.tokens[0].token.session_id() == id;
            let goes = match which {
                Which::All => true,
                Which::Others(_) => !is_one,
                Which::One(_) => is_one,
            };
            if goes {
                truth.ended.get_or_insert(now);
                truth.own[node].ended |= !elsewhere;
            }
        }
    }

    /// Nothing that a node does later ends a session.
    async fn settles(&mut self) {
        for at in 0..NODES {
            self.fill_comes(at);
            self.nodes[at].near.flush().await;
        }
        let live = self.server.store.list(&List::new(self.truths[0].tag)).await;
        let live = live.unwrap();
        for truth in &self.truths {
            let id = truth.tokens[0].token.session_id();
            let is_live = live.iter().any(|record| record.id == id);
            assert_eq!(is_live, truth.ended.is_none());
        }
    }
}

// T73
#[test]
fn in_random_histories_no_answer_is_later_than_the_lease_and_browsers_see_their_writes() {
    let (mut answers, mut late) = (0, 0);
    for seed in 1..=HISTORIES {
        let run = std::panic::AssertUnwindSafe(|| {
            tokio_test::block_on(async {
                let mut world = World::new(seed);
                world.begins().await;
                for _ in 0..STEPS {
                    world.step().await;
                }
                world.settles().await;
                (world.near, world.late)
            })
        });
        let done = std::panic::catch_unwind(run);
        let (near, after) = done.unwrap_or_else(|_| panic!("history {seed}: see above"));
        (answers, late) = (answers + near, late + after);
    }

    // They show something: answers from here, and some after an end that was not heard of.
    assert!(answers > 10_000, "{answers}");
    assert!(late > 100, "{late}");
}
