//! Stores that break one rule about `look` or `touch`. The conformance suite finds each.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{collections::HashMap, sync::Mutex, time::Duration};

use tower_user_sessions::{
    Client, Lifetime, MemoryStore, SessionId, SessionStore, Timestamp,
    store::{
        Create, Created, Deadlines, Digest, End, Ended, Forget, List, Look, Looked, ManualClock,
        NoteClient, Presence, Record, Resolve, Resolved, Rotate, Rotated, Save, Saved, StoreError,
        Tag, Ticketed, Token, Touch, conformance,
    },
};

use crate::verdict::{quietly, verdict};

/// The rule that a store breaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Rule {
    None,
    /// `look` sends the first token of the session.
    LookSendsTheToken,
    /// `look` uses the current token.
    LookUsesTheToken,
    LookRecordsActivity,
    LookRemovesExpired,
    LookClosesTheNotice,
    LookIgnoresNotBefore,
    /// `look` answers ended sessions without their notices.
    LookHasNoNotice,
    TouchDoesNothing,
    TouchIsNow,
    TouchMovesBackwards,
    TouchUsesTheToken,
    TouchRevives,
}

const ALL: [Rule; 12] = [
    Rule::LookSendsTheToken,
    Rule::LookUsesTheToken,
    Rule::LookRecordsActivity,
    Rule::LookRemovesExpired,
    Rule::LookClosesTheNotice,
    Rule::LookIgnoresNotBefore,
    Rule::LookHasNoNotice,
    Rule::TouchDoesNothing,
    Rule::TouchIsNow,
    Rule::TouchMovesBackwards,
    Rule::TouchUsesTheToken,
    Rule::TouchRevives,
];

/// `MemoryStore` without one rule.
struct Mutant {
    store: MemoryStore,
    clock: ManualClock,
    without: Rule,
    /// The first token of each session that a request sent.
    first: Mutex<HashMap<SessionId, Resolve>>,
    /// The digest of the current token.
    current: Mutex<HashMap<SessionId, Digest>>,
    /// The activity of the last touch.
    moved: Mutex<HashMap<SessionId, Timestamp>>,
}

impl Mutant {
    fn is(&self, rule: Rule) -> bool {
        self.without == rule
    }

    /// The deadlines of a session that begins now.
    fn deadlines(&self, id: SessionId) -> Deadlines {
        let (digest, client) = (Digest::from_bytes([0; 32]), Client::new());
        let now = self.clock.now();
        Deadlines::of(&Record::new(
            id,
            digest,
            None,
            client,
            Lifetime::default(),
            now,
        ))
    }

    /// Sends the current token of the session, as a request does that is no activity.
    async fn uses(&self, tag: Tag, id: SessionId) {
        let current = self.current.lock().unwrap().get(&id).copied();
        if let Some(digest) = current {
            let secret = "A".repeat(32);
            let token: Token = format!("{tag}{id}{secret}").parse().unwrap();
            let mut resolve = Resolve::new(token);
            (resolve.digest, resolve.activity) = (digest, false);
            self.store.resolve(&resolve).await.unwrap();
        }
    }
}

impl SessionStore for Mutant {
    async fn resolve(&self, resolve: &Resolve) -> Result<Resolved, StoreError> {
        let id = resolve.token.session_id();
        let mut first = resolve.clone();
        first.activity = false;
        self.first.lock().unwrap().entry(id).or_insert(first);
        self.store.resolve(resolve).await
    }

    async fn create(&self, create: &Create) -> Result<Created, StoreError> {
        let digest = create.digest;
        self.current.lock().unwrap().insert(create.id, digest);
        self.store.create(create).await
    }

    async fn ticket(&self, tag: Tag, ticket: &Ticketed) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.ticket(tag, ticket).await
    }

    async fn save(&self, save: &Save) -> Result<Saved, StoreError> {
        self.store.save(save).await
    }

    async fn rotate(&self, rotate: &Rotate) -> Result<Rotated, StoreError> {
        let rotated = self.store.rotate(rotate).await?;
        if let Rotated::Rotated(record) = &rotated {
            let mut current = self.current.lock().unwrap();
            current.insert(record.id, record.digest);
        }
        Ok(rotated)
    }

    async fn list(&self, list: &List) -> Result<Vec<Record>, StoreError> {
        let mut listed = self.store.list(list).await?;
        for record in &mut listed {
            if self.is(Rule::TouchMovesBackwards)
                && let Some(at) = self.moved.lock().unwrap().get(&record.id)
            {
                record.last_activity = *at;
            }
        }
        Ok(listed)
    }

    async fn end(&self, end: &End) -> Result<Ended, StoreError> {
        self.store.end(end).await
    }

    async fn forget(&self, forget: &Forget) -> Result<(), StoreError> {
        self.store.forget(forget).await
    }

    async fn note_client(&self, note: &NoteClient) -> Result<bool, StoreError> {
        self.store.note_client(note).await
    }

    async fn look(&self, look: &Look) -> Result<Looked, StoreError> {
        let mut look = look.clone();
        if self.is(Rule::LookIgnoresNotBefore) {
            look.not_before = None;
        }
        let mut looked = self.store.look(&look).await?;
        if self.is(Rule::LookRemovesExpired) {
            self.store.list(&List::new(look.tag)).await?;
        }
        for (id, presence) in look.ids.iter().zip(&mut looked.sessions) {
            let first = self.first.lock().unwrap().get(id).cloned();
            match (self.without, &*presence) {
                (Rule::LookSendsTheToken, Presence::Live(_)) => {
                    if let Some(first) = first {
                        self.store.resolve(&first).await?;
                    }
                }
                (Rule::LookUsesTheToken, _) => self.uses(look.tag, *id).await,
                (Rule::LookRecordsActivity, _) => {
                    let touch = Touch::new(look.tag, *id, Duration::ZERO);
                    self.store.touch(&touch).await?;
                }
                (Rule::LookClosesTheNotice, Presence::Ended(notice)) => {
                    let forget = Forget::new(look.tag, *id, notice.digest);
                    self.store.forget(&forget).await?;
                }
                (Rule::LookHasNoNotice, Presence::Ended(_)) => *presence = Presence::Unknown,
                (Rule::TouchRevives, Presence::Unknown)
                    if self.moved.lock().unwrap().contains_key(id) =>
                {
                    *presence = Presence::Live(self.deadlines(*id));
                }
                _ => {}
            }
        }
        Ok(looked)
    }

    async fn touch(&self, touch: &Touch) -> Result<(), StoreError> {
        let mut touch = touch.clone();
        match self.without {
            Rule::TouchDoesNothing => return Ok(()),
            Rule::TouchIsNow => touch.age = Duration::ZERO,
            Rule::TouchMovesBackwards | Rule::TouchRevives => {
                let at = self.clock.now().minus(touch.age);
                self.moved.lock().unwrap().insert(touch.id, at);
            }
            Rule::TouchUsesTheToken => self.uses(touch.tag, touch.id).await,
            _ => {}
        }
        self.store.touch(&touch).await
    }
}

/// The message of the suite, if it fails.
fn without(without: Rule) -> Option<String> {
    verdict(conformance::all(async |clock: ManualClock| Mutant {
        store: MemoryStore::builder().clock(clock.clone()).build(),
        clock,
        without,
        first: Mutex::default(),
        current: Mutex::default(),
        moved: Mutex::default(),
    }))
}

// T49
#[test]
fn a_store_without_one_rule_about_looks_or_touches_fails_the_conformance_suite() {
    let (verdicts, whole) =
        quietly(|| (ALL.map(|rule| (rule, without(rule))), without(Rule::None)));

    assert_eq!(whole, None);
    for (rule, verdict) in verdicts {
        let number = if format!("{rule:?}").starts_with("Look") {
            22
        } else {
            23
        };
        let found = verdict.unwrap_or_else(|| panic!("{rule:?} was not found"));
        let wanted = format!("contract {number}: ");
        assert!(found.starts_with(&wanted), "{rule:?}: {found}");
    }
}
