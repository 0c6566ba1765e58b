//! The conformance suite finds stores that break one rule about session sets: ends, notices, forgotten
//! notices, limits, repeated calls.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{
    collections::{HashMap, HashSet},
    sync::Mutex,
    time::Duration,
};

use tower_user_sessions::{
    EndReason, Excess, MemoryStore, SessionId, SessionStore, Timestamp, UserId,
    store::{
        Create, Created, Digest, End, EndNotice, Ended, Forget, List, Look, Looked, ManualClock,
        NoteClient, Record, Resolve, Resolved, Rotate, Rotated, Save, Saved, StoreError, Tag,
        Ticketed, Touch, Which, conformance,
    },
};

use crate::verdict::verdict;

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
    ForgetDoesNothing,
    ForgetIgnoresTheDigest,
    ForgetIgnoresTheSessionSet,
    ForgetEndsALiveSession,
    ForgetLeavesAnEntry,
    ForgottenIdIsFree,
    ForgottenSessionIsExpired,
    ForgottenEndIsReportedAgain,
    PreviousTokenOpensAForgottenNotice,
}

/// What the store knows of a session, for the mutants of `forget`.
struct Known {
    tag: Tag,
    digest: Digest,
    record: Option<Record>,
    notice: Option<EndNotice>,
    ended: Option<Ended>,
    forgotten: bool,
}

/// `MemoryStore` without one rule.
struct Store {
    store: MemoryStore,
    clock: ManualClock,
    mutant: Mutant,
    made: Mutex<HashSet<SessionId>>,
    /// Which session replaced one of another session set, and when.
    replaced: Mutex<HashMap<SessionId, (SessionId, Timestamp)>>,
    known: Mutex<HashMap<SessionId, Known>>,
}

impl Store {
    fn new(clock: ManualClock, mutant: Mutant) -> Self {
        Self {
            store: MemoryStore::builder().clock(clock.clone()).build(),
            clock,
            mutant,
            made: Mutex::default(),
            replaced: Mutex::default(),
            known: Mutex::default(),
        }
    }

    fn altered(&self, mut notice: EndNotice) -> EndNotice {
        let by_create = notice.call.is_none();
        match self.mutant {
            Mutant::NoticeOfCreateWithoutClient if by_create => {
                notice = notice.with_by_client(None);
            }
            Mutant::NoticeOfEndWithoutClient if !by_create => notice = notice.with_by_client(None),
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

    fn knows(&self, id: SessionId, note: impl FnOnce(&mut Known)) {
        self.known.lock().unwrap().get_mut(&id).map(note);
    }

    /// What a session whose notice is forgotten answers.
    fn still_opens(&self, id: SessionId, digest: Digest) -> Resolved {
        let known = self.known.lock().unwrap();
        let forgotten = known.get(&id).filter(|known| known.forgotten);
        let record = forgotten.and_then(|known| known.record.clone());
        let notice = forgotten.and_then(|known| known.notice.clone());
        match (self.mutant, record, notice) {
            (Mutant::ForgottenSessionIsExpired, Some(record), _) => Resolved::Expired(record),
            (Mutant::PreviousTokenOpensAForgottenNotice, _, Some(notice))
                if notice.digest != digest =>
            {
                Resolved::Ended(notice)
            }
            _ => Resolved::Unknown,
        }
    }

    /// Forgets by an altered rule.
    async fn forgets(&self, mut forget: Forget) -> Result<(), StoreError> {
        match self.mutant {
            Mutant::ForgetDoesNothing => return Ok(()),
            Mutant::ForgetIgnoresTheDigest => {
                self.knows(forget.id, |known| forget.digest = known.digest);
            }
            Mutant::ForgetIgnoresTheSessionSet => {
                self.knows(forget.id, |known| forget.tag = known.tag);
            }
            Mutant::ForgetEndsALiveSession => {
                let live = self.store.list(&List::new(forget.tag)).await?;
                if live.iter().any(|record| record.id == forget.id) {
                    self.leaves_an_entry(&forget).await?;
                }
            }
            Mutant::ForgetLeavesAnEntry => {
                let is_known = self.known.lock().unwrap().contains_key(&forget.id);
                if !is_known {
                    self.leaves_an_entry(&forget).await?;
                }
            }
            _ => {}
        }
        self.knows(forget.id, |known| {
            known.forgotten = known.notice.is_some() && known.digest == forget.digest;
        });
        self.store.forget(&forget).await
    }

    async fn leaves_an_entry(&self, forget: &Forget) -> Result<(), StoreError> {
        let end = End::new(forget.tag, Which::One(forget.id), EndReason::Undelivered);
        self.store.end(&end).await.map(|_| ())
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
        let id = resolve.token.session_id();
        Ok(match self.store.resolve(resolve).await? {
            Resolved::Ended(notice) => {
                self.knows(id, |known| known.notice = Some(notice.clone()));
                Resolved::Ended(self.altered(notice))
            }
            Resolved::Unknown => self.still_opens(id, resolve.digest),
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
        self.knows(create.id, |known| {
            if known.forgotten && self.mutant == Mutant::ForgottenIdIsFree {
                create.id = SessionId::random().unwrap();
            }
        });
        let known = Known {
            tag: create.tag,
            digest: create.digest,
            record: None,
            notice: None,
            ended: None,
            forgotten: false,
        };
        (self.known.lock().unwrap().entry(create.id)).or_insert(known);
        let again = !self.made.lock().unwrap().insert(create.id);
        let mut created = self.store.create(&create).await?;
        if let Created::Created(new) = &created {
            self.knows(create.id, |known| known.record = Some(new.record.clone()));
        }
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
        let rotated = self.store.rotate(rotate).await?;
        if matches!(rotated, Rotated::Rotated(_)) {
            self.knows(rotate.id, |known| known.digest = rotate.digest);
        }
        Ok(rotated)
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
        let mut ended = self.store.end(&end).await?;
        if let Which::One(id) = end.which {
            self.knows(id, |known| {
                let first = known.ended.get_or_insert_with(|| ended.clone());
                if known.forgotten && self.mutant == Mutant::ForgottenEndIsReportedAgain {
                    ended = first.clone();
                }
            });
        }
        Ok(ended)
    }

    async fn forget(&self, forget: &Forget) -> Result<(), StoreError> {
        self.forgets(forget.clone()).await
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
    verdict(conformance::all(async |clock| Store::new(clock, mutant))).is_none()
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
        Mutant::ForgetDoesNothing,
        Mutant::ForgetIgnoresTheDigest,
        Mutant::ForgetIgnoresTheSessionSet,
        Mutant::ForgetEndsALiveSession,
        Mutant::ForgetLeavesAnEntry,
        Mutant::ForgottenIdIsFree,
        Mutant::ForgottenSessionIsExpired,
        Mutant::ForgottenEndIsReportedAgain,
        Mutant::PreviousTokenOpensAForgottenNotice,
    ];

    let unnoticed: Vec<Mutant> = mutants.into_iter().filter(|it| passes(*it)).collect();

    assert_eq!(unnoticed, []);
    assert!(passes(Mutant::None));
}
