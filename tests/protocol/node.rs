//! The layer: what a node sends for a request, and how it handles the replies.

use super::{
    scene::{Deed, GUEST, Plan, Scene, Token},
    session_set::{Create, Created, Proven, Reason},
    world::{Answer, Call, Cookie, Current, Flying, Outcome, Stage, Wish, World},
};

/// How often a call of unknown outcome is sent.
const SENDS: u8 = 2;

/// A request, as its node sees it.
pub(crate) struct Node<'a> {
    scene: &'a Scene,
    world: &'a mut World,
    at: usize,
}

impl<'a> Node<'a> {
    pub(crate) fn new(scene: &'a Scene, world: &'a mut World, at: usize) -> Self {
        Self { scene, world, at }
    }

    fn plan(&self) -> Plan {
        self.scene.plans[self.at]
    }

    /// The name of its session.
    #[expect(clippy::cast_possible_truncation, reason = "there are three")]
    fn id(&self) -> u8 {
        self.at as u8
    }

    fn token(&self) -> Option<Token> {
        match self.plan().deed {
            Deed::LogIn(set) | Deed::Password(set) => Some(Token { set, id: self.id() }),
            Deed::EndAll(_) | Deed::Revoke(_) | Deed::Put(_) | Deed::Look => None,
        }
    }

    /// The session of another session set that its sign-in ends.
    fn other(&self) -> Option<Token> {
        match self.world.requests[self.at].current {
            Current::Live(sent, _) => self
                .token()
                .filter(|token| token.set != sent.set)
                .map(|_| sent),
            Current::Nothing | Current::Ended(..) => None,
        }
    }

    /// The handler has returned.
    pub(crate) fn commit(&mut self) {
        match (self.plan().deed, self.world.requests[self.at].current) {
            (Deed::LogIn(_), _) => {
                self.ask(Wish::Create);
                if !self.scene.rules.ends_after_created && self.other().is_some() {
                    self.send_behind(Wish::Other);
                }
            }
            (Deed::EndAll(_) | Deed::Password(_), _) => self.ask(Wish::Cutoff),
            (Deed::Revoke(_), _) => self.ask(Wish::Revoke),
            (Deed::Put(_), Current::Live(..)) => self.ask(Wish::Save),
            (Deed::Put(_), _) => self.answer(Cookie::Keep, Outcome::Refused),
            (Deed::Look, current) => self.answer(self.sent(current), Outcome::Done),
        }
    }

    /// What a page does to the cookie, whatever became of its token.
    fn sent(&self, current: Current) -> Cookie {
        match current {
            Current::Live(..) => Cookie::Keep,
            // The browser may already hold a newer one.
            Current::Ended(..) | Current::Nothing if self.scene.rules.keeps_cookie => Cookie::Keep,
            Current::Ended(..) | Current::Nothing => Cookie::Remove,
        }
    }

    fn ask(&mut self, wish: Wish) {
        let (time, age) = (self.world.time, self.age());
        let request = &mut self.world.requests[self.at];
        request.stage = Stage::Asked(wish);
        (request.tries, request.since, request.first_age) = (0, time, age);
        self.send(wish);
    }

    fn send(&mut self, wish: Wish) {
        let request = &mut self.world.requests[self.at];
        (request.sends, request.tries) = (request.sends + 1, request.tries + 1);
        self.put(self.world.requests[self.at].sends, self.call(wish));
    }

    /// No caller waits for the reply.
    fn send_behind(&mut self, wish: Wish) {
        self.put(0, self.call(wish));
    }

    fn put(&mut self, send: u8, call: Call) {
        let (request, sent_at) = (self.at, self.world.time);
        self.world.put(Flying {
            request,
            send,
            sent_at,
            call,
            answer: None,
        });
    }

    /// How long ago its request arrived, by the node's clock.
    fn age(&self) -> i8 {
        let request = &self.world.requests[self.at];
        self.world.time - request.arrival - request.slept
    }

    fn call(&self, wish: Wish) -> Call {
        let own = self.token().unwrap_or(Token::old(GUEST));
        match (wish, self.plan().deed) {
            (Wish::Create, _) => Call::Create(own.set, self.create()),
            (Wish::Cutoff, Deed::EndAll(set)) => Call::Cutoff(set),
            (Wish::Cutoff, _) => Call::Cutoff(own.set),
            (Wish::Rejected, _) => end(own, Reason::Rejected),
            (Wish::Revoke, Deed::Revoke(token)) => end(token, Reason::Revoked),
            (Wish::Carry(keys), _) => Call::Save {
                set: own.set,
                id: own.id,
                keys,
            },
            (_, deed) => match (deed, self.world.requests[self.at].current) {
                (Deed::Put(keys), Current::Live(Token { set, id }, _)) => {
                    Call::Save { set, id, keys }
                }
                (_, Current::Live(Token { set, id }, live)) => Call::End {
                    set,
                    id,
                    reason: Reason::Replaced,
                    by: Some(self.id()),
                    read_at: (set == GUEST).then_some(live.revision),
                },
                _ => end(own, Reason::Undelivered),
            },
        }
    }

    fn create(&self) -> Create {
        let rules = self.scene.rules;
        let request = &self.world.requests[self.at];
        let age = if request.tries > 1 && !rules.new_age {
            request.first_age
        } else {
            self.age()
        };
        let proven = match request.own_cutoff {
            Some((cutoff, _)) if rules.own_cutoff && rules.names_cutoff => Proven::After(cutoff),
            Some((cutoff, _)) if rules.own_cutoff => Proven::At(cutoff + 1),
            _ => Proven::Ago(age),
        };
        let waited = self.world.time - request.since;
        Create {
            id: self.id(),
            proven: Some(proven),
            latest: self
                .scene
                .deadline
                .map(|deadline| self.world.now() - waited + deadline),
            replaces: match request.current {
                Current::Live(sent, _) => Some(sent.id),
                Current::Ended(Reason::Replaced, by) if rules.follows => by,
                Current::Ended(..) | Current::Nothing => None,
            },
            data: match request.current {
                Current::Live(sent, live) if sent.set == GUEST => live.data,
                _ => 0,
            },
            client: 0,
        }
    }

    pub(crate) fn receive(&mut self, answer: Answer) {
        let Stage::Asked(wish) = self.world.requests[self.at].stage else {
            return;
        };
        match (wish, answer) {
            (Wish::Create, Answer::Created(created)) => self.created(&created),
            (Wish::Rejected, _) => self.answer(Cookie::Keep, Outcome::Rejected),
            (
                Wish::Other,
                Answer::Ended {
                    newer: Some((data, revision)),
                },
            ) => {
                if let Current::Live(_, live) = &mut self.world.requests[self.at].current {
                    live.revision = revision;
                }
                self.ask(Wish::Carry(data));
            }
            (Wish::Carry(_), Answer::Saved(false)) => self.answer(Cookie::Keep, Outcome::Ended),
            (Wish::Carry(_), _) if self.scene.rules.ends_as_read => self.ask(Wish::Other),
            (Wish::Other | Wish::Carry(_), _) => self.signed_in(),
            (Wish::Cutoff, Answer::Cutoff(now, at)) if self.token().is_some() => {
                let request = &mut self.world.requests[self.at];
                (request.own_cutoff, request.current) = (Some((now, at)), Current::Nothing);
                self.ask(Wish::Create);
            }
            (Wish::Save, Answer::Saved(false)) => self.answer(Cookie::Keep, Outcome::Refused),
            _ => self.answer(Cookie::Keep, Outcome::Done),
        }
    }

    fn created(&mut self, created: &Created) {
        match created {
            Created::Made { now, cutoff, .. } => {
                let rules = self.scene.rules;
                let by_age = !rules.own_cutoff || self.world.requests[self.at].own_cutoff.is_none();
                let older = cutoff.is_some_and(|cutoff| now - self.age() <= cutoff);
                if rules.checked_again && by_age && older {
                    self.ask(Wish::Rejected);
                } else if rules.ends_after_created && self.other().is_some() {
                    self.ask(Wish::Other);
                } else {
                    self.signed_in();
                }
            }
            Created::LimitReached => self.refused(Outcome::Refused),
            Created::Rejected | Created::Ended => self.refused(Outcome::Rejected),
            // The sample of the server's time was off. It tries again, with a new deadline.
            Created::Late if self.world.requests[self.at].tries <= SENDS => {
                self.world.requests[self.at].since = self.world.time;
                self.send(Wish::Create);
            }
            Created::Late => {
                self.answer(Cookie::Keep, Outcome::Unavailable);
                self.end_undelivered();
            }
        }
    }

    fn refused(&mut self, outcome: Outcome) {
        self.answer(Cookie::Keep, outcome);
        if self.scene.rules.gives_up_copies && self.world.requests[self.at].tries > 1 {
            self.end_undelivered();
        }
    }

    fn signed_in(&mut self) {
        if let Some(token) = self.token() {
            self.answer(Cookie::Set(token), Outcome::SignedIn);
        }
    }

    fn answer(&mut self, cookie: Cookie, outcome: Outcome) {
        self.world.requests[self.at].stage = match cookie {
            Cookie::Keep => Stage::Over(outcome),
            Cookie::Remove | Cookie::Set(_) => Stage::Answered(cookie, outcome),
        };
    }

    /// Whether the call that it waits for may be sent again.
    pub(crate) fn may_send_again(&self) -> bool {
        self.world.requests[self.at].tries < SENDS
    }

    /// The connection broke: a call that was sent may still run, a reply is lost.
    pub(crate) fn send_again(&mut self) {
        if let Stage::Asked(wish) = self.world.requests[self.at].stage {
            self.forget_answers();
            self.send(wish);
        }
    }

    fn forget_answers(&mut self) {
        let at = self.at;
        self.world
            .flight
            .retain(|flying| flying.request != at || flying.answer.is_none());
    }

    /// The store did not reply in time.
    pub(crate) fn give_up(&mut self) {
        let Stage::Asked(wish) = self.world.requests[self.at].stage else {
            return;
        };
        self.forget_answers();
        match wish {
            Wish::Other if self.may_send_again() => {
                self.world.requests[self.at].since = self.world.time;
                self.send_again();
            }
            // The response is that of the sign-in.
            Wish::Other | Wish::Carry(_) => {
                self.world.requests[self.at].unsure = true;
                self.signed_in();
            }
            Wish::Create | Wish::Rejected => {
                self.answer(Cookie::Keep, Outcome::Unavailable);
                self.end_undelivered();
            }
            Wish::Cutoff | Wish::Save | Wish::Revoke => {
                self.answer(Cookie::Keep, Outcome::Unavailable);
            }
        }
    }

    /// No client waits for the response any more.
    pub(crate) fn drop_response(&mut self) {
        let stage = self.world.requests[self.at].stage;
        self.forget_answers();
        self.answer(Cookie::Keep, Outcome::Dropped);
        let pending = [Wish::Create, Wish::Rejected, Wish::Other];
        if matches!(stage, Stage::Asked(wish) if pending.contains(&wish))
            || matches!(stage, Stage::Asked(Wish::Carry(_)))
        {
            self.end_undelivered();
        }
    }

    fn end_undelivered(&mut self) {
        if let Some(token) = self.token()
            && self.scene.rules.gives_up
        {
            self.put(0, end(token, Reason::Undelivered));
        }
    }
}

fn end(Token { set, id }: Token, reason: Reason) -> Call {
    Call::End {
        set,
        id,
        reason,
        by: None,
        read_at: None,
    }
}
