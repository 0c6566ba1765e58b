//! Stores that break one rule about tokens, tickets or realms. The conformance suite finds each.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use tower_user_sessions::{
    EndReason, Lifetime, MemoryStore, Proof, SessionStore, Timestamp,
    store::{
        Authenticated, Create, Created, Digest, End, Ended, Forget, List, Look, Looked,
        ManualClock, NoteClient, Realm, Record, Redeem, Renewal, Resolve, Resolved, Rotate,
        Rotated, Save, Saved, StoreError, Tag, Ticketed, Touch, Which, conformance,
    },
};

use crate::verdict::{quietly, verdict};

/// The rule that a store breaks.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Rule {
    None,
    /// `create` drops the proof.
    Proof,
    /// `rotate` takes any token for the present one.
    Rotates,
    /// A session that does not count keeps its class.
    Class,
    /// An unknown token leaves an entry.
    Unknown,
    /// A made-up ticket leaves an entry.
    ForgedTicket,
    /// A ticket has other terms than those it was left with.
    Terms,
    /// The terms of a ticket are returned for any secret.
    TicketSecret,
    /// `list` returns the sessions of all realms.
    ListsAll,
    /// `end` of one session ends it in any realm.
    EndsAny,
    /// A ticket ends a session of another realm.
    TicketEndsAny,
    /// The limit counts the sessions of all realms.
    OneLimit,
    /// A sign-in that began a day ago is made.
    TooOld,
    /// A repeated cutoff in one millisecond is the same.
    SameCutoff,
    /// An end that is sent again names the cutoff that it set itself as the one before.
    OwnCutoff,
    /// An invalid token is reported again and again.
    ReportsAgain,
    /// A re-authentication makes a lifetime longer that was shortened.
    Prolongs,
    /// The second of two re-authentications with one token is none.
    ProvesOnce,
    /// The second one ends the token of the first.
    KeepsOne,
}

const ALL: [Rule; 18] = [
    Rule::Proof,
    Rule::Rotates,
    Rule::Class,
    Rule::Unknown,
    Rule::ForgedTicket,
    Rule::Terms,
    Rule::TicketSecret,
    Rule::ListsAll,
    Rule::EndsAny,
    Rule::TicketEndsAny,
    Rule::OneLimit,
    Rule::TooOld,
    Rule::SameCutoff,
    Rule::OwnCutoff,
    Rule::ReportsAgain,
    Rule::Prolongs,
    Rule::ProvesOnce,
    Rule::KeepsOne,
];

/// `MemoryStore` without one rule.
struct Mutant {
    store: MemoryStore,
    clock: ManualClock,
    without: Rule,
    /// The last reuse, for [`Rule::ReportsAgain`].
    reused: std::sync::Mutex<Option<(Digest, Resolved)>>,
    /// What the last re-authentication asked for, for [`Rule::Prolongs`].
    asked: std::sync::Mutex<Option<(Digest, Lifetime)>>,
    /// The last call that set a cutoff, for [`Rule::OwnCutoff`].
    ended: std::sync::Mutex<Option<([u8; 8], Timestamp)>>,
}

impl Mutant {
    fn is(&self, rule: Rule) -> bool {
        self.without == rule
    }

    /// Makes sure that an entry stands under this id.
    async fn leaves(&self, tag: Tag, id: tower_user_sessions::SessionId) {
        let end = End::new(tag, Which::One(id), EndReason::Undelivered);
        self.store.end(&end).await.unwrap();
    }
}

impl SessionStore for Mutant {
    async fn resolve(&self, resolve: &Resolve) -> Result<Resolved, StoreError> {
        let mut answer = self.store.resolve(resolve).await?;
        if self.is(Rule::Prolongs)
            && let Resolved::Live(found) = &mut answer
            && let Some((digest, lifetime)) = *self.asked.lock().unwrap()
            && digest == found.record.digest
        {
            let record = &mut found.record;
            record.idle = lifetime.idle();
            let from = record.authenticated_at.max(record.created_at);
            record.deadline = from.plus(lifetime.absolute());
        }
        if self.is(Rule::Unknown) && matches!(answer, Resolved::Unknown) {
            self.leaves(resolve.token.tag(), resolve.token.session_id())
                .await;
        }
        if self.is(Rule::ReportsAgain) {
            let mut last = self.reused.lock().unwrap();
            match &answer {
                Resolved::Reused(_) => *last = Some((resolve.digest, answer.clone())),
                Resolved::Unknown => {
                    if let Some((digest, again)) = &*last
                        && *digest == resolve.digest
                    {
                        return Ok(again.clone());
                    }
                }
                _ => {}
            }
        }
        Ok(answer)
    }

    async fn create(&self, create: &Create) -> Result<Created, StoreError> {
        let mut create = create.clone();
        if self.is(Rule::Proof) {
            create.proof = Proof::new();
        }
        if self.is(Rule::OneLimit) {
            create.realm = Realm::NONE;
        }
        if self.is(Rule::TooOld)
            && let Authenticated::At(at) = create.authenticated
        {
            let day = std::time::Duration::from_secs(24 * 60 * 60);
            let youngest = self
                .clock
                .now()
                .minus(day)
                .plus(std::time::Duration::from_millis(1));
            create.authenticated = Authenticated::At(at.max(youngest));
        }
        if self.is(Rule::Terms)
            && let Some(offer) = &mut create.offer
        {
            offer.terms.clear();
        }
        if self.is(Rule::TicketEndsAny)
            && let Some(Redeem {
                ends: Some(ends), ..
            }) = create.redeem
            && matches!(self.store.create(&create).await?, Created::LimitReached(_))
        {
            let end = End::new(create.tag, Which::One(ends), EndReason::Revoked);
            self.store.end(&end).await?;
        }
        let mut created = self.store.create(&create).await?;
        if self.is(Rule::ForgedTicket) && matches!(created, Created::NoTicket) {
            self.leaves(create.tag, create.id).await;
        }
        if let Created::Created(new) = &mut created
            && self.is(Rule::Class)
        {
            new.record.class = create.class;
        }
        Ok(created)
    }

    async fn ticket(&self, tag: Tag, ticket: &Ticketed) -> Result<Option<Vec<u8>>, StoreError> {
        let found = self.store.ticket(tag, ticket).await?;
        if self.is(Rule::TicketSecret) && found.is_none() {
            return Ok(Some(b"\0terms\xff".to_vec()));
        }
        Ok(found)
    }

    async fn save(&self, save: &Save) -> Result<Saved, StoreError> {
        self.store.save(save).await
    }

    async fn rotate(&self, rotate: &Rotate) -> Result<Rotated, StoreError> {
        let mut rotate = rotate.clone();
        if self.is(Rule::Rotates) && matches!(rotate.renewal, Renewal::Proven { .. }) {
            let live = self.store.list(&List::new(rotate.tag)).await?;
            let of = live.iter().find(|record| record.id == rotate.id);
            if let Some(record) = of {
                rotate.previous = record.digest;
            }
        }
        if let Renewal::Proven { lifetime, .. } = rotate.renewal {
            *self.asked.lock().unwrap() = Some((rotate.digest, lifetime));
            let live = self.store.list(&List::new(rotate.tag)).await?;
            let of = live.iter().find(|record| record.id == rotate.id);
            let rotation = of.and_then(|record| record.rotation.as_deref());
            let previous = rotation.and_then(|rotation| rotation.previous(&rotate.previous));
            if let Some(record) = of
                && previous.is_some_and(|previous| previous.rejected)
                && record.digest != rotate.digest
            {
                if self.is(Rule::ProvesOnce) {
                    return Ok(Rotated::Ended);
                }
                if self.is(Rule::KeepsOne) {
                    rotate.previous = record.digest;
                }
            }
        }
        self.store.rotate(&rotate).await
    }

    async fn list(&self, list: &List) -> Result<Vec<Record>, StoreError> {
        let mut list = list.clone();
        if self.is(Rule::ListsAll) {
            list.within = None;
        }
        self.store.list(&list).await
    }

    async fn end(&self, end: &End) -> Result<Ended, StoreError> {
        let mut end = end.clone();
        if self.is(Rule::EndsAny) {
            end.within = None;
        }
        let mut ended = self.store.end(&end).await?;
        if let Ended::Ended { now, .. } = &mut ended
            && self.is(Rule::SameCutoff)
        {
            *now = self.clock.now();
        }
        if let Ended::Ended { now, before, .. } = &mut ended
            && self.is(Rule::OwnCutoff)
            && !matches!(end.which, Which::One(_))
        {
            let last = self.ended.lock().unwrap().replace((end.call, *now));
            if let Some((call, cutoff)) = last
                && call == end.call
            {
                *before = Some(cutoff);
            }
        }
        Ok(ended)
    }

    async fn forget(&self, forget: &Forget) -> Result<(), StoreError> {
        self.store.forget(forget).await
    }

    async fn note_client(&self, note: &NoteClient) -> Result<bool, StoreError> {
        self.store.note_client(note).await
    }

    async fn look(&self, look: &Look) -> Result<Looked, StoreError> {
        self.store.look(look).await
    }

    async fn touch(&self, touch: &Touch) -> Result<(), StoreError> {
        self.store.touch(touch).await
    }

    fn end_undelivered(&self, tag: Tag, id: tower_user_sessions::SessionId) {
        self.store.end_undelivered(tag, id);
    }
}

/// The message of the suite, if it fails.
fn without(without: Rule) -> Option<String> {
    verdict(conformance::all(async |clock: ManualClock| Mutant {
        store: MemoryStore::builder().clock(clock.clone()).build(),
        clock,
        without,
        reused: std::sync::Mutex::default(),
        asked: std::sync::Mutex::default(),
        ended: std::sync::Mutex::default(),
    }))
}

// T49
#[test]
fn a_store_without_one_rule_about_tokens_tickets_or_realms_fails_the_conformance_suite() {
    let (verdicts, whole) =
        quietly(|| (ALL.map(|rule| (rule, without(rule))), without(Rule::None)));

    assert_eq!(whole, None);
    let missed: Vec<Rule> = verdicts
        .iter()
        .filter(|(_, verdict)| verdict.is_none())
        .map(|(rule, _)| *rule)
        .collect();
    assert_eq!(missed, []);
    for (rule, verdict) in verdicts {
        let verdict = verdict.unwrap();
        assert!(verdict.starts_with("contract "), "{rule:?}: {verdict}");
    }
}
