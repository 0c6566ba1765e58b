//! Stores that mix up sessions, or keep a rule only for a while. The conformance suite finds each.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{collections::HashMap, sync::Mutex, time::Duration};

use tower_user_sessions::{
    EndReason, MemoryStore, SessionId, SessionStore, Timestamp, UserId,
    store::{
        Authenticated, Change, Changes, Create, Created, Data, End, Ended, Forget, List, Look,
        Looked, ManualClock, NoteClient, Presence, Record, Resolve, Resolved, Rotate, Rotated,
        Save, Saved, StoreError, Tag, Ticketed, Touch, Which, conformance,
    },
};

use crate::verdict::{quietly, verdict};

/// What a store does wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Wrong {
    Nothing,
    /// Of two sessions with data, each has that of the other.
    SwapsData,
    /// Data is stored in the first session of the set.
    SavesToTheFirst,
    /// Sessions and their data are in two lists. An end removes from one of them.
    EndShiftsData,
    NewTokenLosesData,
    ReplacesWithoutData,
    /// The keys are stored one by one.
    SavesInTwoSteps,
    /// The sessions end first, and then the cutoff is set.
    SetsTheCutoffLater,
    /// `resolve_now` answers as the last `resolve` did.
    AnswersAtOnceFromACache,
    /// User ids are compared without case.
    UsersShareASet,
    ListsSixteen,
    LooksAtSixteen,
    /// An end of all sessions enables a disabled user.
    EndEnables,
    UndeliveredForTenSeconds,
    CutoffForAnHour,
    ReuseEndsAll,
    /// An evicted session has its notice for a shorter time than others.
    EvictedNoticeIsShort,
}

/// With the number of the contract.
const ALL: [(Wrong, u8); 16] = [
    (Wrong::SwapsData, 8),
    (Wrong::SavesToTheFirst, 8),
    (Wrong::EndShiftsData, 8),
    (Wrong::NewTokenLosesData, 8),
    (Wrong::ReplacesWithoutData, 5),
    (Wrong::SavesInTwoSteps, 14),
    (Wrong::SetsTheCutoffLater, 14),
    (Wrong::AnswersAtOnceFromACache, 1),
    (Wrong::UsersShareASet, 10),
    (Wrong::ListsSixteen, 10),
    (Wrong::LooksAtSixteen, 10),
    (Wrong::EndEnables, 17),
    (Wrong::UndeliveredForTenSeconds, 13),
    (Wrong::CutoffForAnHour, 7),
    (Wrong::ReuseEndsAll, 16),
    (Wrong::EvictedNoticeIsShort, 11),
];

/// `MemoryStore` with one mistake.
struct Store {
    store: MemoryStore,
    clock: ManualClock,
    wrong: Wrong,
    /// The data that sessions have, in the order of their first save.
    data: Mutex<Vec<(Tag, SessionId, Data)>>,
    answers: Mutex<HashMap<SessionId, Resolved>>,
    given_up: Mutex<HashMap<SessionId, Timestamp>>,
}

impl Store {
    fn new(clock: ManualClock, wrong: Wrong) -> Self {
        Self {
            store: MemoryStore::builder().clock(clock.clone()).build(),
            clock,
            wrong,
            data: Mutex::default(),
            answers: Mutex::default(),
            given_up: Mutex::default(),
        }
    }

    fn keeps(&self, tag: Tag, id: SessionId, data: &Data) {
        let mut all = self.data.lock().unwrap();
        match all.iter_mut().find(|(_, of, _)| *of == id) {
            Some((.., kept)) => kept.clone_from(data),
            None if data.is_empty() => {}
            None => all.push((tag, id, data.clone())),
        }
    }

    /// The data that this session has by mistake.
    fn instead_of(&self, tag: Tag, id: SessionId, data: Data) -> Data {
        let all = self.data.lock().unwrap();
        let mut others = all.iter().filter(|(of, ..)| *of == tag);
        let at = others.clone().position(|(_, of, _)| *of == id);
        match (self.wrong, at) {
            (Wrong::NewTokenLosesData, None) => Data::default(),
            (Wrong::SwapsData, Some(at)) => {
                let other = others.nth(at ^ 1);
                other.map_or(data, |(.., other)| other.clone())
            }
            (Wrong::EndShiftsData, Some(at)) => others.nth(at).unwrap().2.clone(),
            _ => data,
        }
    }

    /// The data of a list from which the session was removed, and its data not.
    fn shifts(&self, tag: Tag, id: SessionId) {
        let mut all = self.data.lock().unwrap();
        let places: Vec<usize> = (0..all.len()).filter(|at| all[*at].0 == tag).collect();
        if let Some(first) = places.iter().position(|at| all[*at].1 == id) {
            for pair in places[first..].windows(2).rev() {
                all[pair[1]].2 = all[pair[0]].2.clone();
            }
            all.remove(places[first]);
        }
    }

    async fn only(&self, save: &Save, key: &str) -> Result<(), StoreError> {
        let mut one = save.clone();
        one.changes = Changes::default();
        if let Some(Change::Set(value)) = save.changes.get(key) {
            one.changes.set(key, value.clone());
        }
        self.store.save(&one).await.map(drop)
    }

    async fn ends_each(&self, end: &End) -> Result<(), StoreError> {
        for record in self.store.list(&List::new(end.tag)).await? {
            let mut one = End::new(end.tag, Which::One(record.id), end.reason);
            one.call = end.call;
            self.store.end(&one).await?;
        }
        Ok(())
    }
}

/// Other tasks run.
async fn pauses() {
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
}

impl SessionStore for Store {
    async fn resolve(&self, resolve: &Resolve) -> Result<Resolved, StoreError> {
        let (tag, id) = (resolve.token.tag(), resolve.token.session_id());
        let mut answer = self.store.resolve(resolve).await?;
        match &mut answer {
            Resolved::Live(found) => {
                found.data = self.instead_of(tag, id, found.data.clone());
            }
            Resolved::Reused(reused) if reused.ended && self.wrong == Wrong::ReuseEndsAll => {
                let all = End::new(tag, Which::All, EndReason::TokenReuse);
                self.ends_each(&all).await?;
            }
            Resolved::Ended(notice)
                if notice.reason == EndReason::Evicted
                    && notice.call.is_none()
                    && self.wrong == Wrong::EvictedNoticeIsShort =>
            {
                notice.kept_until = notice.ended_at.plus(Duration::from_secs(60));
            }
            _ => {}
        }
        self.answers.lock().unwrap().insert(id, answer.clone());
        Ok(answer)
    }

    async fn create(&self, create: &Create) -> Result<Created, StoreError> {
        let mut create = create.clone();
        let now = self.clock.now();
        let hour = now.minus(Duration::from_secs(3_600));
        match (self.wrong, create.authenticated) {
            (Wrong::CutoffForAnHour, Authenticated::At(at)) if at < hour => {
                create.authenticated = Authenticated::At(now);
            }
            (Wrong::UndeliveredForTenSeconds, _) => {
                let given_up = self.given_up.lock().unwrap().get(&create.id).copied();
                if given_up.is_some_and(|at| now.since(at) > Duration::from_secs(10)) {
                    create.id = SessionId::random().unwrap();
                }
            }
            _ => {}
        }
        let mut created = self.store.create(&create).await?;
        if let Created::Created(new) = &mut created {
            if self.wrong == Wrong::ReplacesWithoutData && new.replaced.is_some() {
                new.data = Data::default();
            }
            let mut all = self.data.lock().unwrap();
            all.retain(|(_, of, _)| Some(*of) != new.replaced);
            drop(all);
            self.keeps(create.tag, create.id, &new.data);
        }
        Ok(created)
    }

    async fn ticket(&self, tag: Tag, ticket: &Ticketed) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.ticket(tag, ticket).await
    }

    async fn save(&self, save: &Save) -> Result<Saved, StoreError> {
        let mut save = save.clone();
        let both = ["cart", "page"].map(|key| save.changes.get(key).is_some());
        if self.wrong == Wrong::SavesInTwoSteps && both == [true; 2] {
            pauses().await;
            self.only(&save, "cart").await?;
            pauses().await;
        }
        if self.wrong == Wrong::SavesToTheFirst {
            let listed = self.store.list(&List::new(save.tag)).await?;
            let first = listed.iter().min_by_key(|record| record.created_at);
            if listed.iter().any(|record| record.id == save.id) {
                save.id = first.unwrap().id;
            }
        }
        let saved = self.store.save(&save).await?;
        if let Saved::Saved { .. } = saved {
            let mut all = self.data.lock().unwrap();
            let at = all.iter().position(|(_, of, _)| *of == save.id);
            let at = at.unwrap_or_else(|| {
                all.push((save.tag, save.id, Data::default()));
                all.len() - 1
            });
            all[at].2 = all[at].2.apply(&save.changes);
        }
        Ok(saved)
    }

    async fn rotate(&self, rotate: &Rotate) -> Result<Rotated, StoreError> {
        if self.wrong == Wrong::NewTokenLosesData {
            let mut all = self.data.lock().unwrap();
            all.retain(|(_, of, _)| *of != rotate.id);
        }
        self.store.rotate(rotate).await
    }

    async fn list(&self, list: &List) -> Result<Vec<Record>, StoreError> {
        let mut listed = self.store.list(list).await?;
        if self.wrong == Wrong::ListsSixteen {
            listed.truncate(16);
        }
        Ok(listed)
    }

    async fn end(&self, end: &End) -> Result<Ended, StoreError> {
        let mut end = end.clone();
        match (self.wrong, end.which) {
            (Wrong::EndEnables, Which::All) => end.bar = end.bar.or(Some(Duration::ZERO)),
            (Wrong::SetsTheCutoffLater, Which::All)
                if end.caller.is_none() && !end.spare_uncounted =>
            {
                pauses().await;
                self.ends_each(&end).await?;
                pauses().await;
            }
            (Wrong::UndeliveredForTenSeconds, Which::One(id))
                if end.reason == EndReason::Undelivered =>
            {
                let now = self.clock.now();
                self.given_up.lock().unwrap().insert(id, now);
            }
            _ => {}
        }
        let ended = self.store.end(&end).await?;
        if let (Ended::Ended { ids, .. }, Which::One(_)) = (&ended, end.which) {
            ids.iter().for_each(|id| self.shifts(end.tag, *id));
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
        let mut looked = self.store.look(look).await?;
        for presence in looked.sessions.iter_mut().skip(16) {
            if self.wrong == Wrong::LooksAtSixteen {
                *presence = Presence::Unknown;
            }
        }
        Ok(looked)
    }

    async fn touch(&self, touch: &Touch) -> Result<(), StoreError> {
        self.store.touch(touch).await
    }

    fn resolve_now(&self, resolve: &Resolve) -> Option<Result<Resolved, StoreError>> {
        if self.wrong != Wrong::AnswersAtOnceFromACache {
            return None;
        }
        let answers = self.answers.lock().unwrap();
        answers.get(&resolve.token.session_id()).cloned().map(Ok)
    }

    fn tag(&self, user: &UserId) -> Tag {
        match self.wrong {
            Wrong::UsersShareASet => Tag::of(&UserId::new(user.as_str().to_lowercase()).unwrap()),
            _ => Tag::of(user),
        }
    }
}

// T49
#[test]
fn a_store_that_mixes_up_sessions_or_keeps_a_rule_for_a_while_fails_the_conformance_suite() {
    let of = |wrong| verdict(conformance::all(async |clock| Store::new(clock, wrong)));
    let (verdicts, right) = quietly(|| {
        let verdicts = ALL.map(|(wrong, number)| (wrong, number, of(wrong)));
        (verdicts, of(Wrong::Nothing))
    });

    assert_eq!(right, None);
    for (wrong, number, verdict) in verdicts {
        let found = verdict.unwrap_or_else(|| panic!("{wrong:?} was not found"));
        let wanted = format!("contract {number}: ");
        assert!(found.starts_with(&wanted), "{wrong:?}: {found}");
    }
}
