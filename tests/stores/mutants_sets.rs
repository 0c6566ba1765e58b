//! The conformance suite finds stores that break one rule about session sets: ends, notices, limits,
//! repeated calls.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{
    collections::{HashMap, HashSet},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Mutex,
    time::Duration,
};

use tower_user_sessions::{
    EndReason, Excess, MemoryStore, SessionId, SessionStore, Timestamp, UserId,
    store::{
        Create, Created, End, EndNotice, Ended, Forget, List, Look, Looked, ManualClock,
        NoteClient, Record, Resolve, Resolved, Rotate, Rotated, Save, Saved, StoreError, Tag,
        Ticketed, Touch, conformance,
    },
};

/// A rule that the store breaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mutant {
    None,
    IgnoresSpareUncounted,
    NoticeOfCreateWithoutClient,
    NoticeOfEndWithoutClient,
    NoticeOfReuseKeptLonger,
    NoticeOfReuseLater,
    MarkerKeptAnHour,
    RepeatedCreateReportsNothing,
    RepeatedEndReportsNothing,
    UnusedCountForARefusal,
    NoRequestMakesASessionUsed,
}

/// `MemoryStore` without one rule.
struct Store {
    store: MemoryStore,
    clock: ManualClock,
    mutant: Mutant,
    made: Mutex<HashSet<SessionId>>,
    /// Which session replaced one of another session set, and when.
    replaced: Mutex<HashMap<SessionId, (SessionId, Timestamp)>>,
}

impl Store {
    fn new(clock: ManualClock, mutant: Mutant) -> Self {
        Self {
            store: MemoryStore::builder().clock(clock.clone()).build(),
            clock,
            mutant,
            made: Mutex::default(),
            replaced: Mutex::default(),
        }
    }

    fn altered(&self, mut notice: EndNotice) -> EndNotice {
        let by_create = notice.call.is_none();
        match self.mutant {
            Mutant::NoticeOfCreateWithoutClient if by_create => notice.by_client = None,
            Mutant::NoticeOfEndWithoutClient if !by_create => notice.by_client = None,
            Mutant::NoticeOfReuseKeptLonger if notice.reason == EndReason::TokenReuse => {
                notice.kept_until = notice.kept_until.plus(Duration::from_secs(1));
            }
            Mutant::NoticeOfReuseLater if notice.reason == EndReason::TokenReuse => {
                notice.ended_at = notice.ended_at.plus(Duration::from_millis(1));
            }
            _ => {}
        }
        notice
    }

    /// What a marker that is kept for an hour says of the session to replace.
    fn followed(&self, create: &Create) -> Option<SessionId> {
        let sent = create.replaces?;
        let now = self.clock.now();
        let mut replaced = self.replaced.lock().unwrap();
        let (by, since) = *replaced.entry(sent).or_insert((create.id, now));
        replaced.insert(sent, (create.id, since));
        (now.since(since) < Duration::from_secs(3_600) && by != create.id).then_some(by)
    }
}

impl SessionStore for Store {
    async fn resolve(&self, resolve: &Resolve) -> Result<Resolved, StoreError> {
        Ok(match self.store.resolve(resolve).await? {
            Resolved::Ended(notice) => Resolved::Ended(self.altered(notice)),
            Resolved::Live(mut found) => {
                found.record.unused |= self.mutant == Mutant::NoRequestMakesASessionUsed;
                Resolved::Live(found)
            }
            other => other,
        })
    }

    async fn create(&self, create: &Create) -> Result<Created, StoreError> {
        let mut create = create.clone();
        if self.mutant == Mutant::MarkerKeptAnHour
            && let Some(followed) = self.followed(&create)
        {
            create.replaces = Some(followed);
        }
        let refuses = create.limit.excess() == Excess::Refuse && create.user.is_some();
        if self.mutant == Mutant::UnusedCountForARefusal && refuses {
            let live = self.store.list(&List::new(create.tag)).await?;
            if live.len() >= usize::from(create.limit.sessions()) && create.replaces.is_none() {
                return Ok(Created::LimitReached(live));
            }
        }
        let again = !self.made.lock().unwrap().insert(create.id);
        let mut created = self.store.create(&create).await?;
        if let Created::Created(new) = &mut created
            && self.mutant == Mutant::RepeatedCreateReportsNothing
            && again
        {
            new.evicted.clear();
        }
        Ok(created)
    }

    async fn ticket(&self, tag: Tag, ticket: &Ticketed) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.ticket(tag, ticket).await
    }

    async fn save(&self, save: &Save) -> Result<Saved, StoreError> {
        self.store.save(save).await
    }

    async fn rotate(&self, rotate: &Rotate) -> Result<Rotated, StoreError> {
        self.store.rotate(rotate).await
    }

    async fn list(&self, list: &List) -> Result<Vec<Record>, StoreError> {
        let mut listed = self.store.list(list).await?;
        if self.mutant == Mutant::NoRequestMakesASessionUsed {
            listed.iter_mut().for_each(|record| record.unused = true);
        }
        Ok(listed)
    }

    async fn end(&self, end: &End) -> Result<Ended, StoreError> {
        let mut end = end.clone();
        match self.mutant {
            Mutant::IgnoresSpareUncounted => end.spare_uncounted = false,
            Mutant::RepeatedEndReportsNothing => {
                end.call = End::new(end.tag, end.which, end.reason).call;
            }
            _ => {}
        }
        self.store.end(&end).await
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

    fn tag(&self, user: &UserId) -> Tag {
        self.store.tag(user)
    }
}

/// Whether the suite accepts this store.
fn passes(mutant: Mutant) -> bool {
    catch_unwind(AssertUnwindSafe(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(conformance::all(async |clock| Store::new(clock, mutant)));
    }))
    .is_ok()
}

// T49 T67
#[test]
fn the_suite_finds_each_broken_rule_about_session_sets() {
    let mutants = [
        Mutant::IgnoresSpareUncounted,
        Mutant::NoticeOfCreateWithoutClient,
        Mutant::NoticeOfEndWithoutClient,
        Mutant::NoticeOfReuseKeptLonger,
        Mutant::NoticeOfReuseLater,
        Mutant::MarkerKeptAnHour,
        Mutant::RepeatedCreateReportsNothing,
        Mutant::RepeatedEndReportsNothing,
        Mutant::UnusedCountForARefusal,
        Mutant::NoRequestMakesASessionUsed,
    ];

    let unnoticed: Vec<Mutant> = mutants.into_iter().filter(|it| passes(*it)).collect();

    assert_eq!(unnoticed, []);
    assert!(passes(Mutant::None));
}
