//! Runs a history: turns its operations into questions, and records each step.

mod tokens;

use std::{
    fmt::{Debug, Write as _},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use tower_user_sessions::{
    Client, ClientClass, EndReason, Excess, Lifetime, Limit, Timestamp, UserId,
    store::{
        Authenticated, Create, Digest, End, LastSeen, List, ManualClock, NoteClient, Offer, Redeem,
        Renewal, Resolve, Rotate, Salt, Save, SeenDevice, Tag, Ticketed, Token, Touch, Which,
    },
};

use crate::{
    history::{LIFETIMES, Op, SESSION_SETS, Whom, With, change},
    model::{Answer, Model},
    names::{client, forge, is_admin, named},
    question::Request,
};

const START: Timestamp = Timestamp::from_millis(1_764_000_000_000);

/// The state of a history: the names it uses, the clock, and the model.
pub(crate) struct World {
    pub(crate) clock: ManualClock,
    pub(crate) model: Model,
    sets: Vec<SessionSet>,
    pub(crate) not_before: Option<Timestamp>,
    made: u32,
    story: Vec<(i64, Box<dyn Debug>)>,
}

struct SessionSet {
    user: Option<UserId>,
    tag: Tag,
    tokens: Vec<Token>,
    tickets: Vec<Ticketed>,
}

impl World {
    pub(crate) fn new() -> Self {
        // Histories may share a server, so each has its own users.
        static HISTORIES: AtomicU32 = AtomicU32::new(0);
        let history = HISTORIES.fetch_add(1, Ordering::Relaxed);
        let sets = (0..SESSION_SETS)
            .map(|set| {
                let user = (set < SESSION_SETS / 2)
                    .then(|| UserId::new(format!("user {set} of history {history}")).unwrap());
                let guest = format!("g{set}{history:010}");
                let tag = match &user {
                    Some(user) => Tag::of(user),
                    None => Tag::from_bytes(guest.as_bytes().try_into().unwrap()),
                };
                SessionSet {
                    user,
                    tag,
                    tokens: Vec::new(),
                    tickets: Vec::new(),
                }
            })
            .collect();
        Self {
            clock: ManualClock::at(START),
            model: Model::default(),
            sets,
            not_before: None,
            made: 0,
            story: Vec::new(),
        }
    }

    /// Uses this clock from now on, which a store has.
    pub(crate) fn share(&mut self, clock: &ManualClock) {
        clock.set(self.clock.now());
        self.clock = clock.clone();
    }

    pub(crate) fn tokens(&self, set: usize) -> &[Token] {
        &self.sets[set].tokens
    }

    /// The questions of an operation for a store. There are none where the contract leaves the
    /// answer open.
    pub(crate) fn requests(&mut self, set: usize, op: &Op) -> Vec<Request> {
        let now = self.clock.now();
        let tag = self.sets[set].tag;
        let request = match op {
            Op::Advance(millis) => {
                self.clock.advance(Duration::from_millis(*millis));
                self.model.look_at_the_clock(self.clock.now());
                return Vec::new();
            }
            Op::StepBack(millis) => {
                let back = now.minus(Duration::from_millis(*millis));
                self.clock.set(self.model.floor.unwrap_or(back).max(back));
                return Vec::new();
            }
            Op::NotBefore(ahead) => {
                let moment = now.plus(Duration::from_millis(*ahead));
                self.not_before = self.not_before.max(Some(moment));
                return Vec::new();
            }
            Op::Look => Request::Look(self.look(set)),
            Op::Touch { pick, age } => {
                let Some(id) = self.id(set, *pick) else {
                    return Vec::new();
                };
                let mut touch = Touch::new(tag, id, Duration::from_millis(*age));
                touch.not_before = self.not_before;
                Request::Touch(touch)
            }
            Op::List(realm) => {
                let mut list = self.list(set);
                list.within = realm.map(named);
                Request::List(list)
            }
            Op::Ticket { pick, forged } => {
                let tickets = &self.sets[set].tickets;
                let Some(back) = pick.checked_rem(tickets.len()) else {
                    return Vec::new();
                };
                let mut ticket = tickets[tickets.len() - 1 - back];
                if *forged {
                    ticket.digest = Digest::from_bytes([1; 32]);
                }
                Request::Ticket(tag, ticket)
            }
            Op::GiveUp { name } => {
                let id = self.token(set, *name, false).session_id();
                Request::End(End::new(tag, Which::One(id), EndReason::Undelivered))
            }
            Op::Create { .. } => match self.create(set, op) {
                Some(create) => Request::Create(create),
                None => return Vec::new(),
            },
            Op::Resolve {
                pick,
                activity,
                forged,
                crossed,
            } => {
                let Some(token) = self.pick(set, *pick) else {
                    return Vec::new();
                };
                let token = if *forged { forge(&token) } else { token };
                let realm = named(is_admin(&token) != *crossed);
                let mut resolve = Resolve::within(token, realm);
                resolve.activity = *activity;
                resolve.not_before = self.not_before;
                Request::Resolve(resolve)
            }
            Op::NoteClient { pick, agent, stale } => {
                let read = self
                    .id(set, *pick)
                    .and_then(|id| self.model.record(tag, id, now));
                let Some(record) = read else {
                    return Vec::new();
                };
                let before = record.last_seen().cloned();
                let client = Client::new().with_user_agent(Some(&[b'a' + agent]));
                let last = LastSeen::new(client, now);
                let record = match before {
                    Some(mut before) if *stale => {
                        before.at = before.at.plus(Duration::from_millis(1));
                        record.with_last_seen(before)
                    }
                    _ => record,
                };
                let mut note = NoteClient::new(tag, record, last);
                note.not_before = self.not_before;
                Request::NoteClient(note)
            }
            Op::Rotate { .. } => match self.rotate(set, op) {
                Some(rotate) => Request::Rotate(rotate),
                None => return Vec::new(),
            },
            Op::Save {
                pick,
                changes,
                expect,
                data_limit,
                shorten,
            } => {
                let Some(id) = self.id(set, *pick) else {
                    return Vec::new();
                };
                let mut save = Save::new(tag, id, change(changes));
                save.expect = expect.map(|off| self.revision(tag, id, off));
                save.data_limit = *data_limit;
                save.shorten = shorten.map(|(idle, absolute)| {
                    Lifetime::new(Duration::from_secs(idle), Duration::from_secs(absolute))
                });
                save.not_before = self.not_before;
                Request::Save(save)
            }
            Op::End {
                which,
                reason,
                by,
                caller,
                read_at,
                spare,
                bar,
                within,
            } => {
                let which = match which {
                    Whom::All => Some(Which::All),
                    Whom::One(pick) => self.id(set, *pick).map(Which::One),
                    Whom::Others(pick) => self.id(set, *pick).map(Which::Others),
                };
                let Some(which) = which else {
                    return Vec::new();
                };
                let mut end = End::new(tag, which, *reason);
                end.by = by.and_then(|pick| self.id(set, pick));
                end.caller = caller.and_then(|pick| self.id(set, pick));
                if let (Which::One(id), Some(off)) = (which, read_at) {
                    end.read_at = Some(self.revision(tag, id, *off));
                }
                end.spare_uncounted = *spare;
                end.bar = bar.map(Duration::from_millis);
                end.within = within.map(named);
                end.not_before = self.not_before;
                Request::End(end)
            }
        };
        vec![request]
    }

    fn create(&mut self, set: usize, op: &Op) -> Option<Create> {
        let Op::Create {
            name,
            again,
            replaces,
            limit,
            refuse,
            lifetime,
            authenticated_ago,
            changes,
            data_limit,
            with,
        } = op
        else {
            return None;
        };
        let now = self.clock.now();
        let of = (set + usize::from(with.elsewhere)) % SESSION_SETS;
        let replaces = replaces.and_then(|pick| self.id(of, pick));
        let token = match again {
            None => self.token(set, *name, with.admin),
            Some((pick, forged)) => {
                let token = self.pick(set, *pick)?;
                // A store may or may not have removed what expired.
                if self.model.has_passed(token.tag(), token.session_id(), now) {
                    return None;
                }
                if *forged {
                    let forged = forge(&token);
                    self.sets[set].tokens.push(forged.clone());
                    forged
                } else {
                    token
                }
            }
        };
        let mut at = Timestamp::from_millis(now.as_millis() - authenticated_ago);
        if with.knows {
            at = at.max(self.not_before.unwrap_or(at));
        }
        let user = self.sets[set].user.clone();
        let mut create = Create::new(&token, user, Authenticated::At(at))
            .within(&token, named(is_admin(&token)));
        let (idle, absolute) = LIFETIMES[*lifetime];
        create.lifetime =
            Lifetime::new(Duration::from_millis(idle), Duration::from_millis(absolute));
        create.limit = Limit::at_most(*limit);
        if *refuse {
            create.limit = create.limit.refuse();
        }
        create.replaces = replaces.filter(|id| *id != create.id);
        create.changes = change(changes);
        create.data_limit = *data_limit;
        create.not_before = self.not_before;
        create.arrived_after = self.not_before.filter(|_| with.knows);
        self.equip(set, &mut create, *with);
        Some(create)
    }

    /// The options of a sign-in.
    fn equip(&mut self, set: usize, create: &mut Create, with: With) {
        create.class = ClientClass::new(with.class);
        create.client = client(with.client);
        create.counts = with.counts;
        if let Some(limit) = with.class_limit {
            create.limit = create.limit.of_class(create.class, limit);
        }
        create.device = with.device.map(|device| SeenDevice {
            digest: [device; 12],
            kept: Duration::from_secs(40),
        });
        let tickets = &self.sets[set].tickets;
        create.redeem = with.redeem.and_then(|(pick, forged, ends)| {
            let back = pick.checked_rem(tickets.len())?;
            let mut ticket = tickets[tickets.len() - 1 - back];
            if forged {
                ticket.digest = Digest::from_bytes([1; 32]);
            }
            let ends = ends.and_then(|pick| self.id(set, pick));
            Some(Redeem { ticket, ends })
        });
        if create.limit.excess() == Excess::Refuse {
            self.made += 1;
            let offer = Ticketed {
                id: format!("ticket-{:03}------", self.made).parse().unwrap(),
                digest: create.digest,
            };
            let terms = format!("terms {}", self.made).into_bytes();
            create.offer = Some(Offer {
                ticket: offer,
                terms,
            });
            self.sets[set].tickets.push(offer);
        }
    }

    fn rotate(&mut self, set: usize, op: &Op) -> Option<Rotate> {
        let Op::Rotate {
            pick,
            forged,
            proven,
            again,
            short,
            reuse_ends,
        } = op
        else {
            return None;
        };
        let token = self.pick(set, *pick)?;
        let sent = if *forged { forge(&token) } else { token };
        self.made += 1;
        let mut salt = [0; 16];
        salt[..4].copy_from_slice(&self.made.to_be_bytes());
        let salt = Salt::from_bytes(salt);
        let next = match self.pick(set, 0) {
            Some(last) if *again && last.session_id() == sent.session_id() => last,
            _ => sent.successor(&salt),
        };
        let renewal = if *proven {
            Renewal::Proven {
                authenticated: Authenticated::At(self.clock.now()),
                lifetime: Lifetime::new(Duration::from_secs(5), Duration::from_secs(30)),
            }
        } else {
            Renewal::Derived(salt)
        };
        self.sets[set].tokens.push(next.clone());
        let mut rotate =
            Rotate::new(&sent, &next, renewal).within(&sent, &next, named(is_admin(&sent)));
        rotate.grace = Duration::from_millis(if *short { 0 } else { 4_000 });
        rotate.reuse_ends = *reuse_ends;
        rotate.not_before = self.not_before;
        Some(rotate)
    }

    pub(crate) fn list(&self, set: usize) -> List {
        let mut list = List::new(self.sets[set].tag);
        list.not_before = self.not_before;
        list
    }

    /// The answer of the model.
    pub(crate) fn expects(&mut self, request: &Request) -> Answer {
        request.put_to(&mut self.model, self.clock.now())
    }

    /// Records a step. Few histories are printed, so this writes no text yet.
    pub(crate) fn note(&mut self, what: impl Debug + 'static) {
        let since = self.clock.now().as_millis() - START.as_millis();
        self.story.push((since, Box::new(what)));
    }

    /// All recorded steps.
    pub(crate) fn story(&self) -> String {
        let lines = self.story.iter();
        lines.fold(String::new(), |mut text, (since, what)| {
            writeln!(text, "{since:>7} ms  {what:?}").unwrap();
            text
        })
    }
}
