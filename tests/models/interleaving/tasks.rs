//! What the four tasks do, and the answers of the model.

use std::time::Duration;

use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;
use tower_user_sessions::{
    Client, ClientClass, EndReason, Excess, Lifetime, Limit, SessionId, Timestamp, UserId,
    store::{
        Authenticated, Create, End, List, Offer, Redeem, Renewal, Resolve, Rotate, Salt, Save, Tag,
        Ticketed, Token, Which,
    },
};

use super::aims::{Aim, TASKS, Transition, changes, realm, transitions};
use crate::{
    model::{Answer, Model},
    question::Request,
};

pub(crate) const START: Timestamp = Timestamp::from_millis(1_764_000_000_000);
#[derive(Clone, Debug, Default)]
struct Task {
    /// The token of its client.
    jar: Option<Token>,
    /// The aim in progress, and the answer to its resolve.
    under_way: Option<(Aim, Seen)>,
    /// The session that ends next: of a guest or of another user.
    replaced: Option<(Tag, SessionId, SessionId)>,
    last: Option<Request>,
    ticket: Option<(Ticketed, Option<SessionId>, bool)>,
    /// When its request came, and what was known then of the end of all sessions.
    came: (Timestamp, Option<Timestamp>),
}

/// What a task saw of its session.
#[derive(Clone, Copy, Debug)]
enum Seen {
    Nothing,
    Live {
        tag: Tag,
        id: SessionId,
        revision: u64,
        of_user: bool,
    },
    /// It was replaced by this session, or another request with its token re-authenticated first.
    Replaced(SessionId),
}

#[derive(Clone)]
pub(crate) struct Tasks {
    model: Model,
    now: Timestamp,
    made: u32,
    /// All sessions that began before it have ended.
    everyone: Option<Timestamp>,
    users: [UserId; 2],
    tasks: Box<[Task; TASKS]>,
    asked: Vec<(Request, Answer)>,
}

impl std::fmt::Debug for Tasks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} and {}", self.users[0], self.users[1])
    }
}

impl ReferenceStateMachine for Tasks {
    type State = Self;
    type Transition = Transition;

    fn init_state() -> BoxedStrategy<Self> {
        // Histories may share a server, so each has its own users.
        any::<u64>().prop_map(Self::new).boxed()
    }

    fn transitions(_: &Self) -> BoxedStrategy<Transition> {
        transitions()
    }

    fn apply(mut state: Self, transition: &Transition) -> Self {
        state.asked.clear();
        match transition {
            Transition::EndEveryone(off) => {
                let moment = Timestamp::from_millis(state.now.as_millis() + off);
                state.everyone = state.everyone.max(Some(moment));
            }
            Transition::Advance(millis) => {
                state.now = state.now.plus(Duration::from_millis(*millis));
                state.model.look_at_the_clock(state.now);
            }
            Transition::StepBack(millis) => {
                let back = state.now.minus(Duration::from_millis(*millis));
                state.now = state.model.floor.unwrap_or(back).max(back);
            }
            Transition::Step {
                task,
                aim,
                delivered,
            } => state.step(*task, *aim, *delivered),
            Transition::Again { task } => {
                if let Some(request) = state.tasks[*task].last.clone()
                    && !state.is_open(&request)
                {
                    state.ask(*task, request);
                }
            }
            Transition::GiveUp { task } => {
                if let Some(Request::Create(create)) = state.tasks[*task].last.clone() {
                    let which = Which::One(create.id);
                    let end = End::new(create.tag, which, EndReason::Undelivered);
                    state.ask(*task, Request::End(end));
                }
            }
        }
        state
    }
}

impl Tasks {
    fn new(history: u64) -> Self {
        let user = |at: usize| UserId::new(format!("user {at} of history {history}")).unwrap();
        Self {
            model: Model::default(),
            now: START,
            made: 0,
            everyone: None,
            users: [user(0), user(1)],
            tasks: Box::default(),
            asked: Vec::new(),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    /// The question of the last transition, and the answer of the model.
    pub(crate) fn asked(&self) -> &[(Request, Answer)] {
        &self.asked
    }

    /// Whether the contract leaves the answer open: a store may or may not have removed what
    /// expired.
    fn is_open(&mut self, request: &Request) -> bool {
        let Request::Create(create) = request else {
            return false;
        };
        self.model.has_passed(create.tag, create.id, self.now)
    }

    fn ask(&mut self, task: usize, mut request: Request) -> Answer {
        if let Some(not_before) = request.not_before() {
            *not_before = self.everyone;
        }
        let answer = request.put_to(&mut self.model, self.now);
        self.tasks[task].last = Some(request.clone());
        self.asked.push((request, answer.clone()));
        answer
    }

    fn step(&mut self, task: usize, aim: Aim, delivered: bool) {
        if let Some((tag, id, by)) = self.tasks[task].replaced.take() {
            let mut end = End::new(tag, Which::One(id), EndReason::Replaced);
            end.by = Some(by);
            self.ask(task, Request::End(end));
            return;
        }
        if let Some((aim, seen)) = self.tasks[task].under_way.take() {
            self.act(task, aim, seen, delivered);
            return;
        }
        self.tasks[task].came = (self.now, self.everyone);
        let Some(token) = self.tasks[task].jar.clone() else {
            self.tasks[task].under_way = Some((aim, Seen::Nothing));
            return;
        };
        let tag = token.tag();
        let mut resolve = Resolve::within(token, realm(task));
        resolve.activity = !matches!(aim, Aim::Look { activity: false });
        let seen = match self.ask(task, Request::Resolve(resolve)) {
            Answer::Live(record, ..) => Seen::Live {
                tag,
                id: record.id,
                revision: record.revision,
                of_user: record.user_id().is_some(),
            },
            Answer::Notice(notice) if notice.reason == EndReason::Replaced => {
                notice.by.map_or(Seen::Nothing, Seen::Replaced)
            }
            _ => Seen::Nothing,
        };
        if !matches!(aim, Aim::Look { .. }) {
            self.tasks[task].under_way = Some((aim, seen));
        }
    }

    /// The second step, based on what the first one returned.
    fn act(&mut self, task: usize, aim: Aim, seen: Seen, delivered: bool) {
        match (aim, seen) {
            (Aim::List, _) => {
                let mut list = List::new(Tag::of(&self.users[task % 2]));
                list.within = Some(realm(task));
                self.ask(task, Request::List(list));
            }
            (Aim::SignIn { .. } | Aim::Redeem, seen) => self.sign_in(task, aim, seen, delivered),
            // The cart of a guest.
            (Aim::Save { value, .. }, Seen::Nothing) => {
                self.made += 1;
                let guest = format!("guest {} beside {}", self.made, self.users[0]);
                let tag = Tag::of(&UserId::new(guest).unwrap());
                let token = self.token(tag);
                let (proven, knew) = self.proven(task);
                let mut create = Create::new(&token, None, proven).within(&token, realm(task));
                create.arrived_after = knew;
                create.changes = changes(value);
                let answer = self.ask(task, Request::Create(create));
                if delivered && matches!(answer, Answer::Created { .. }) {
                    self.tasks[task].jar = Some(token);
                }
            }
            (
                Aim::Save { value, conditional },
                Seen::Live {
                    tag, id, revision, ..
                },
            ) => {
                let mut save = Save::new(tag, id, changes(value));
                save.expect = conditional.then_some(revision);
                self.ask(task, Request::Save(save));
            }
            (Aim::Rotate, Seen::Live { .. }) => self.rotate(task, delivered, false),
            (Aim::Reauthenticate, Seen::Live { .. } | Seen::Replaced(_)) => {
                self.rotate(task, delivered, true);
            }
            // The session of a task of the same user, which may be in another realm.
            (Aim::Revoke, _) => {
                if let Some(other) = &self.tasks[(task + 2) % TASKS].jar {
                    let which = Which::One(other.session_id());
                    let mut end = End::new(other.tag(), which, EndReason::Revoked);
                    end.within = Some(realm(task));
                    self.ask(task, Request::End(end));
                }
            }
            (Aim::LogOut, Seen::Live { tag, id, .. }) => {
                let end = End::new(tag, Which::One(id), EndReason::LoggedOut);
                self.ask(task, Request::End(end));
            }
            (
                Aim::EndOthers { all },
                Seen::Live {
                    tag,
                    id,
                    of_user: true,
                    ..
                },
            ) => {
                let which = if all { Which::All } else { Which::Others(id) };
                let mut end = End::new(tag, which, EndReason::Revoked);
                end.by = Some(id);
                end.caller = Some(id);
                self.ask(task, Request::End(end));
            }
            _ => {}
        }
    }

    /// When the user proved who they are: as the request came, or later. Never before what it knew.
    fn proven(&self, task: usize) -> (Authenticated, Option<Timestamp>) {
        let (came, knew) = self.tasks[task].came;
        let at_once = task.is_multiple_of(2) || knew != self.everyone;
        let at = if at_once { came } else { self.now };
        (Authenticated::At(at.max(knew.unwrap_or(at))), knew)
    }

    fn sign_in(&mut self, task: usize, aim: Aim, seen: Seen, delivered: bool) {
        let other = matches!(aim, Aim::SignIn { as_other: true, .. });
        let user = self.users[(task + usize::from(other)) % 2].clone();
        let tag = Tag::of(&user);
        let token = self.token(tag);
        let (proven, knew) = self.proven(task);
        let mut create = Create::new(&token, Some(user), proven).within(&token, realm(task));
        create.arrived_after = knew;
        // Long enough to be unused for 20 s.
        create.lifetime = Lifetime::new(Duration::from_secs(40), Duration::from_secs(90));
        create.client =
            Client::new().with_user_agent(Some(format!("agent {}", task / 2).as_bytes()));
        create.replaces = match seen {
            Seen::Live { id, .. } | Seen::Replaced(id) => Some(id),
            Seen::Nothing => None,
        };
        match (aim, self.tasks[task].ticket) {
            (
                Aim::SignIn {
                    limit,
                    refuse,
                    class,
                    short,
                    ..
                },
                _,
            ) => {
                create.class = ClientClass::new(class);
                create.limit = Limit::at_most(limit).of_class(ClientClass::new(1), 1);
                if refuse {
                    create.limit = create.limit.refuse();
                    create.offer = Some(Offer {
                        ticket: self.offer(create.digest),
                        terms: limit.to_be_bytes().to_vec(),
                    });
                }
                if short {
                    let (idle, absolute) = (Duration::from_secs(5), Duration::from_secs(6));
                    create.lifetime = Lifetime::new(idle, absolute);
                }
            }
            (_, Some((ticket, ends, of_other))) if !of_other => {
                // As the layer does: it reads what the refused sign-in asked for.
                let Answer::Terms(Some(_)) = self.ask(task, Request::Ticket(tag, ticket)) else {
                    return;
                };
                create.limit = Limit::at_most(2).refuse();
                create.redeem = Some(Redeem { ticket, ends });
            }
            _ => return,
        }
        let offer = create.offer.as_ref().map(|offer| offer.ticket);
        debug_assert!(offer.is_none() || create.limit.excess() == Excess::Refuse);
        let (id, answer) = (create.id, self.ask(task, Request::Create(create)));
        match answer {
            Answer::Created { .. } => {
                if let Seen::Live {
                    tag: before,
                    id: sent,
                    ..
                } = seen
                    && before != tag
                {
                    self.tasks[task].replaced = Some((before, sent, id));
                }
                if delivered {
                    self.tasks[task].jar = Some(token);
                }
            }
            Answer::LimitReached(sessions) => {
                let chosen = sessions.first().map(|record| record.id);
                self.tasks[task].ticket = offer.map(|offer| (offer, chosen, other));
            }
            _ => {}
        }
    }

    fn rotate(&mut self, task: usize, delivered: bool, proven: bool) {
        let Some(sent) = self.tasks[task].jar.clone() else {
            return;
        };
        let salt = Salt::from_bytes(*self.name().first_chunk().unwrap());
        let next = sent.successor(&salt);
        let renewal = if proven {
            Renewal::Proven {
                authenticated: Authenticated::At(self.now),
                lifetime: Lifetime::new(Duration::from_secs(20), Duration::from_secs(60)),
            }
        } else {
            Renewal::Derived(salt)
        };
        let mut rotate = Rotate::new(&sent, &next, renewal).within(&sent, &next, realm(task));
        rotate.grace = Duration::from_secs(4);
        let next = match self.ask(task, Request::Rotate(rotate)) {
            Answer::Rotated(_) => next,
            Answer::Took(salt) => sent.successor(&salt),
            _ => return,
        };
        if delivered {
            self.tasks[task].jar = Some(next);
        }
    }

    fn name(&mut self) -> [u8; 24] {
        self.made += 1;
        let name = format!("{:08}{:_<16}", self.made, self.users[0].as_str().len());
        name.as_bytes().try_into().unwrap()
    }

    fn offer(&mut self, digest: tower_user_sessions::store::Digest) -> Ticketed {
        let id = SessionId::from_bytes(*self.name().first_chunk().unwrap());
        Ticketed { id, digest }
    }

    /// A new token with an id that does not sort by creation.
    fn token(&mut self, tag: Tag) -> Token {
        self.made += 1;
        let id = format!(
            "{}{:03}------------",
            ["z", "A", "0", "-"][self.made as usize % 4],
            self.made
        );
        format!("{tag}{id}{:A<32}", self.made).parse().unwrap()
    }
}
