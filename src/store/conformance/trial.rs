//! A store under test, and short names for calls to it.
//!
//! `what` names in each call what is checked. `same` and the calls by outcome take a noun: "the evicted
//! session". `holds` takes a claim: "the user is still disabled".

use std::{fmt::Debug, time::Duration};

use super::subject::Subject;
use crate::{
    model::{EndNotice, EndReason, Lifetime, SessionId, UserId},
    store::{
        Authenticated, Changes, Create, Created, Data, End, Ended, Forget, Found, List,
        ManualClock, NewSession, Record, Resolve, Resolved, Rotate, Rotated, Save, Saved,
        SessionStore, StoreError, Tag, Timestamp, Token, Which,
    },
};

/// The time at the start of each trial.
const START: Timestamp = Timestamp::from_millis(1_764_000_000_000);

pub(super) const IDLE: Duration = Duration::from_secs(600);
pub(super) const ABSOLUTE: Duration = Duration::from_secs(1_800);
pub(super) const MS: Duration = Duration::from_millis(1);

/// A new store and its clock, to test one number of the contract.
pub(super) struct Trial {
    number: u8,
    pub(super) store: Subject,
    pub(super) clock: ManualClock,
}

impl Trial {
    pub(super) async fn new<St: SessionStore>(
        number: u8,
        make: impl AsyncFn(ManualClock) -> St,
    ) -> Self {
        let clock = ManualClock::at(START);
        Self {
            number,
            store: Subject::new(make(clock.clone()).await),
            clock,
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A new user. Its id is random, because several trials may share one backend.
    pub(super) fn user(&self) -> SessionSet<'_> {
        self.user_named(format!("conformance/{}", self.id()))
    }

    pub(super) fn user_named(&self, id: String) -> SessionSet<'_> {
        let user = match UserId::new(id) {
            Ok(user) => user,
            Err(error) => self.broken(&format!("not the id of a user: {error}")),
        };
        SessionSet {
            trial: self,
            tag: self.store.tag(&user),
            user: Some(user),
        }
    }

    pub(super) fn guest(&self) -> SessionSet<'_> {
        SessionSet {
            trial: self,
            tag: self.random(Tag::random()),
            user: None,
        }
    }

    pub(super) fn id(&self) -> SessionId {
        self.random(SessionId::random())
    }

    pub(super) fn random<T, E: Debug>(&self, value: Result<T, E>) -> T {
        value.unwrap_or_else(|error| {
            self.broken(&format!("the system has no random bytes: {error:?}"))
        })
    }

    #[track_caller]
    pub(super) fn broken(&self, what: &str) -> ! {
        panic!("contract {}: {what}", self.number)
    }

    #[track_caller]
    pub(super) fn holds(&self, condition: bool, what: &str) {
        if !condition {
            self.broken(&format!("expected that {what}"));
        }
    }

    #[track_caller]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "each call reads as a sentence, without ampersands"
    )]
    pub(super) fn same<T: Debug + PartialEq>(&self, found: T, wanted: T, what: &str) {
        if found != wanted {
            self.broken(&format!("{what}: expected {wanted:?}, found {found:?}"));
        }
    }

    #[track_caller]
    pub(super) fn answered<T>(&self, answer: Result<T, StoreError>) -> T {
        answer
            .unwrap_or_else(|error| self.broken(&format!("the store returned an error: {error:?}")))
    }

    // The futures of the store are boxed: nested this deep they would slow the compiler down.
    pub(super) async fn resolve(&self, resolve: &Resolve) -> Resolved {
        self.answered(Box::pin(self.store.resolve(resolve)).await)
    }

    /// Resolves the token, without counting as activity.
    pub(super) async fn peek(&self, token: &Token) -> Resolved {
        self.resolve(&quiet(token)).await
    }

    /// The session of this token, which must be live. Does not count as activity.
    pub(super) async fn live(&self, token: &Token, what: &str) -> Found {
        match self.peek(token).await {
            Resolved::Live(found) => found,
            other => self.broken(&format!("{what}: expected a live session, found {other:?}")),
        }
    }

    /// The session of this token, which must be live. Counts as activity.
    pub(super) async fn touch(&self, token: &Token, what: &str) -> Found {
        match self.resolve(&Resolve::new(token.clone())).await {
            Resolved::Live(found) => found,
            other => self.broken(&format!("{what}: expected a live session, found {other:?}")),
        }
    }

    /// A request with a token that the store must not know. Counts as activity.
    pub(super) async fn touch_unknown(&self, token: &Token) {
        let found = self.resolve(&Resolve::new(token.clone())).await;
        self.holds(
            matches!(found, Resolved::Unknown),
            &format!("a token that was never issued is unknown, found {found:?}"),
        );
    }

    pub(super) async fn unknown(&self, token: &Token, what: &str) {
        let found = self.peek(token).await;
        self.holds(
            matches!(found, Resolved::Expired(_) | Resolved::Unknown),
            &format!("{what}: expected no session, found {found:?}"),
        );
    }

    /// The notice of a session that must have ended.
    pub(super) async fn notice(&self, token: &Token, what: &str) -> EndNotice {
        match self.peek(token).await {
            Resolved::Ended(notice) => notice,
            other => self.broken(&format!("{what}: expected an end notice, found {other:?}")),
        }
    }

    pub(super) async fn create(&self, create: &Create) -> Created {
        self.answered(Box::pin(self.store.create(create)).await)
    }

    pub(super) async fn made(&self, create: &Create, what: &str) -> NewSession {
        match self.create(create).await {
            Created::Created(made) => *made,
            other => self.broken(&format!("{what}: expected a new session, found {other:?}")),
        }
    }

    pub(super) async fn rejected(&self, create: &Create, what: &str) {
        let created = self.create(create).await;
        self.holds(
            matches!(created, Created::Rejected),
            &format!("{what}: expected a rejection, found {created:?}"),
        );
    }

    pub(super) async fn too_old(&self, create: &Create, what: &str) {
        let created = self.create(create).await;
        self.holds(
            matches!(created, Created::TooOld),
            &format!("{what}: expected `Created::TooOld`, found {created:?}"),
        );
    }

    pub(super) async fn create_ended(&self, create: &Create, what: &str) {
        let created = self.create(create).await;
        self.holds(
            matches!(created, Created::Ended),
            &format!("{what}: expected `Created::Ended`, found {created:?}"),
        );
    }

    pub(super) async fn rotate(&self, rotate: &Rotate) -> Rotated {
        self.answered(Box::pin(self.store.rotate(rotate)).await)
    }

    pub(super) async fn save(&self, save: &Save) -> Saved {
        self.answered(Box::pin(self.store.save(save)).await)
    }

    pub(super) async fn forget(&self, forget: &Forget) {
        self.answered(self.store.forget(forget).await);
    }

    pub(super) async fn end(&self, end: &End) -> Ended {
        self.answered(Box::pin(self.store.end(end)).await)
    }

    /// Ends sessions, and checks how many were live and which data came back.
    pub(super) async fn ends(&self, end: &End, count: usize, data: Option<Data>, what: &str) {
        let ended = match self.end(end).await {
            Ended::Ended { ids, now, data, .. } => (ids.len(), now, data),
            other => self.broken(&format!("{what}: expected `Ended::Ended`, found {other:?}")),
        };
        self.same(ended, (count, self.now(), data), what);
    }
}

/// The session set of one user or one guest session.
pub(super) struct SessionSet<'a> {
    trial: &'a Trial,
    pub(super) user: Option<UserId>,
    pub(super) tag: Tag,
}

impl<'a> SessionSet<'a> {
    pub(super) fn trial(&self) -> &'a Trial {
        self.trial
    }
}

impl SessionSet<'_> {
    pub(super) fn token(&self) -> Token {
        self.trial.random(Token::random(self.tag))
    }

    /// A token whose session id begins with this character of base64url.
    pub(super) fn token_named(&self, first: char) -> Token {
        let text = self.token().encode();
        let (tag, rest) = text.split_at(16);
        let (_, rest) = rest.split_at(1);
        self.trial.random(format!("{tag}{first}{rest}").parse())
    }

    /// A token of the same session with another secret.
    pub(super) fn forged(&self, token: &Token) -> Token {
        let (text, other) = (token.encode(), self.token().encode());
        let secret = other.split_at(32).1;
        let name = text.split_at(32).0;
        self.trial.random(format!("{name}{secret}").parse())
    }

    /// The arguments of a sign-in with this token, authenticated now.
    pub(super) fn create_for(&self, token: &Token) -> Create {
        let now = Authenticated::At(self.trial.now());
        let mut create = Create::new(token, self.user.clone(), now);
        create.lifetime = Lifetime::new(IDLE, ABSOLUTE);
        create
    }

    /// A new session.
    pub(super) async fn signs_in(&self) -> Token {
        let token = self.token();
        self.trial.made(&self.create_for(&token), "a sign-in").await;
        token
    }

    /// The listed sessions, by id.
    pub(super) async fn listed(&self) -> Vec<Record> {
        let list = List::new(self.tag);
        let mut listed = self
            .trial
            .answered(Box::pin(self.trial.store.list(&list)).await);
        listed.sort_by_key(|record| record.id);
        listed
    }

    /// Checks that exactly these sessions are listed, with the records that `resolve` returns.
    pub(super) async fn lists_exactly(&self, tokens: &[&Token], what: &str) {
        let mut wanted = Vec::new();
        for token in tokens {
            wanted.push(self.trial.live(token, what).await.record);
        }
        wanted.sort_by_key(|record| record.id);
        self.trial.same(self.listed().await, wanted, what);
    }

    pub(super) fn end_one(&self, token: &Token) -> End {
        self.end(Which::One(token.session_id()))
    }

    pub(super) fn end(&self, which: Which) -> End {
        End::new(self.tag, which, EndReason::Revoked)
    }

    /// The arguments to set one key.
    pub(super) fn sets(&self, token: &Token, key: &str, value: &'static str) -> Save {
        Save::new(self.tag, token.session_id(), set(key, value))
    }

    /// Saves, and returns the new revision.
    pub(super) async fn saves(&self, save: &Save, what: &str) -> u64 {
        match self.trial.save(save).await {
            Saved::Saved { revision } => revision,
            other => self
                .trial
                .broken(&format!("{what}: expected `Saved::Saved`, found {other:?}")),
        }
    }
}

/// The arguments to resolve a token without counting as activity.
pub(super) fn quiet(token: &Token) -> Resolve {
    let mut resolve = Resolve::new(token.clone());
    resolve.activity = false;
    resolve
}

/// Another call that asks for the same.
pub(super) fn another(end: &End) -> End {
    let mut other = end.clone();
    other.call = End::new(end.tag, end.which, end.reason).call;
    other
}

pub(super) fn set(key: &str, value: &'static str) -> Changes {
    let mut changes = Changes::default();
    changes.set(key, value);
    changes
}

pub(super) fn ids<'a>(records: impl IntoIterator<Item = &'a Record>) -> Vec<SessionId> {
    records.into_iter().map(|record| record.id).collect()
}

pub(super) fn ids_of(tokens: &[&Token]) -> Vec<SessionId> {
    tokens.iter().map(|token| token.session_id()).collect()
}
