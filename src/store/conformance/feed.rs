//! Number 27: what a store with a feed reports.

use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use super::{
    join::sleep,
    trial::{IDLE, MS, SessionSet, Trial, set},
};
use crate::{
    model::{Client, EndReason, LastSeen, Lifetime, Limit, SessionId, Tag, clock::Monotonic},
    store::{
        Changes, End, EndEveryone, Feed, FeedInterest, FeedMessage, FeedNews, FeedReader,
        ManualClock, NoteClient, Offer, Redeem, Renewal, Resolved, Rotate, Salt, Save,
        SessionStore, Ticketed, Token, Which,
    },
};

/// How long a message may take, on a machine under load.
const MOST: Duration = Duration::from_secs(10);

/// How long it may take until messages arrive at all.
const TRUSTED: Duration = Duration::from_secs(30);

const GRACE: Duration = Duration::from_secs(30);

/// More than one message names.
const MANY: usize = 18;

/// Number 27: a store with a feed reports what changed. Stores that do not have one are left out.
pub async fn reports_what_changes<St: SessionStore>(make: impl AsyncFn(ManualClock) -> St) {
    let trial = Trial::new(27, make).await;
    let Some(feed) = trial.store.feed() else {
        return;
    };
    let reader = Reader::of(&trial, feed);
    each_end_is_reported(&reader).await;
    many_ends_are_reported(&reader).await;
    ends_for_a_sign_in_are_reported(&reader).await;
    a_reuse_is_reported(&reader).await;
    changes_are_reported(&reader).await;
    an_end_of_everyone_is_reported(&reader).await;
}

#[derive(Default)]
struct Heard(Mutex<Vec<FeedMessage>>);

impl FeedReader for Heard {
    fn message(&self, message: &FeedMessage) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.push(message.clone());
    }

    fn epoch_changed(&self) {}
}

/// Reads the feed of the store under test.
struct Reader<'a> {
    trial: &'a Trial,
    feed: Feed,
    heard: Arc<Heard>,
    _interest: FeedInterest,
}

impl<'a> Reader<'a> {
    fn of(trial: &'a Trial, feed: Feed) -> Self {
        let heard = Arc::<Heard>::default();
        let reader: Arc<dyn FeedReader> = heard.clone();
        let interest = feed.read_by(Weak::clone(&Arc::downgrade(&reader)));
        Self {
            trial,
            feed,
            heard,
            _interest: interest,
        }
    }

    /// Waits until messages about this session set can be trusted.
    async fn trusts(&self, tag: Tag) {
        let began = Monotonic::now();
        loop {
            self.feed.hold(tag, Duration::from_secs(600));
            if self.feed.state(tag).trusted {
                return;
            }
            if began.elapsed() > TRUSTED {
                self.trial.broken("a feed that is read is not trusted");
            }
            sleep(MS * 10).await;
        }
    }

    /// A session set whose messages are trusted.
    async fn user(&self) -> SessionSet<'a> {
        let session_set = self.trial.user();
        self.trusts(session_set.tag).await;
        session_set
    }

    fn has(&self, wanted: &impl Fn(&FeedMessage) -> bool) -> bool {
        let heard = self.heard.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.iter().any(wanted)
    }

    async fn hears(&self, wanted: impl Fn(&FeedMessage) -> bool, what: &str) {
        let began = Monotonic::now();
        while !self.has(&wanted) {
            if began.elapsed() > MOST {
                self.trial.broken(&format!("{what} is not reported"));
            }
            sleep(MS * 10).await;
        }
    }

    /// A message makes readers look at this session, and has the reason if it has one.
    async fn hears_of_the_end(&self, tag: Tag, id: SessionId, reason: EndReason, what: &str) {
        let wanted = |message: &FeedMessage| {
            message.tag == tag
                && match &message.news {
                    FeedNews::Ended(all) => all.contains(&(id, reason)),
                    FeedNews::EndedAllBut(kept, why) => *kept != id && *why == reason,
                    FeedNews::LookAgain => true,
                    _ => false,
                }
        };
        self.hears(wanted, what).await;
    }

    async fn hears_of(&self, tag: Tag, id: SessionId, news: FeedNews, what: &str) {
        let wanted = |message: &FeedMessage| {
            message.tag == tag && [&news, &FeedNews::LookAgain].contains(&&message.news)
        };
        self.hears(wanted, &format!("{what} of session {id}")).await;
    }
}

async fn each_end_is_reported(reader: &Reader<'_>) {
    for reason in [
        EndReason::LoggedOut,
        EndReason::Revoked,
        EndReason::Administrator,
        EndReason::Undelivered,
        EndReason::Rejected,
        EndReason::Disabled,
    ] {
        for all in [false, true] {
            let session_set = reader.user().await;
            let token = session_set.signs_in().await;
            let id = token.session_id();
            let which = if all { Which::All } else { Which::One(id) };
            reader
                .trial
                .ends(&End::new(session_set.tag, which, reason), 1, None, "an end")
                .await;
            let what = format!("an end for the reason {reason:?}");
            reader
                .hears_of_the_end(session_set.tag, id, reason, &what)
                .await;
        }
    }
}

async fn many_ends_are_reported(reader: &Reader<'_>) {
    for count in [2, MANY] {
        let session_set = reader.user().await;
        let mut tokens = Vec::new();
        for _ in 0..=count {
            tokens.push(session_set.signs_in().await);
        }
        let kept = tokens.swap_remove(0);
        let others = session_set.end(Which::Others(kept.session_id()));
        let what = "an end of all other sessions";
        reader.trial.ends(&others, count, None, what).await;
        for token in &tokens {
            reader
                .hears_of_the_end(session_set.tag, token.session_id(), others.reason, what)
                .await;
        }
    }
}

async fn ends_for_a_sign_in_are_reported(reader: &Reader<'_>) {
    let (trial, session_set) = (reader.trial, reader.user().await);
    let (evicted, replaced) = (session_set.signs_in().await, session_set.signs_in().await);
    let mut create = session_set.create_for(&session_set.token());
    create.limit = Limit::at_most(1);
    create.replaces = Some(replaced.session_id());
    trial.made(&create, "a sign-in at the limit").await;
    for (token, reason) in [
        (&evicted, EndReason::Evicted),
        (&replaced, EndReason::Replaced),
    ] {
        let what = format!("a session that ends for a sign-in, for the reason {reason:?}");
        reader
            .hears_of_the_end(session_set.tag, token.session_id(), reason, &what)
            .await;
    }

    let ticket = session_set.token();
    let ticket = Ticketed {
        id: ticket.session_id(),
        digest: ticket.digest(),
    };
    let chosen = create.id;
    create = session_set.create_for(&session_set.token());
    create.limit = Limit::at_most(1).refuse();
    create.offer = Some(Offer {
        ticket,
        terms: Vec::new(),
    });
    trial.create(&create).await;
    create = session_set.create_for(&session_set.token());
    create.limit = Limit::at_most(1).refuse();
    create.redeem = Some(Redeem {
        ticket,
        ends: Some(chosen),
    });
    trial.made(&create, "a sign-in with a ticket").await;
    let what = "a session that ends for a ticket";
    reader
        .hears_of_the_end(session_set.tag, chosen, EndReason::Revoked, what)
        .await;
}

async fn rotates(trial: &Trial, token: &Token) -> Token {
    let salt = Salt::from_bytes([8; 16]);
    let next = token.successor(&salt);
    let mut rotate = Rotate::new(token, &next, Renewal::Derived(salt));
    (rotate.grace, rotate.reuse_ends) = (GRACE, true);
    trial.rotate(&rotate).await;
    next
}

async fn a_reuse_is_reported(reader: &Reader<'_>) {
    let (trial, session_set) = (reader.trial, reader.user().await);
    let token = session_set.signs_in().await;
    trial.live(&token, "a new session").await;
    let next = rotates(trial, &token).await;
    trial.live(&next, "the new token").await;
    trial.clock.advance(GRACE);
    let reused = trial.peek(&token).await;
    trial.holds(
        matches!(&reused, Resolved::Reused(reused) if reused.ended),
        &format!("a previous token after its time is reuse, found {reused:?}"),
    );
    let (id, reason) = (token.session_id(), EndReason::TokenReuse);
    reader
        .hears_of_the_end(session_set.tag, id, reason, "an end by a reused token")
        .await;
}

async fn changes_are_reported(reader: &Reader<'_>) {
    let trial = reader.trial;
    let new = async || {
        let session_set = reader.user().await;
        let token = session_set.signs_in().await;
        trial.touch(&token, "a new session").await;
        (session_set.tag, token)
    };
    let (tag, token) = new().await;
    let id = token.session_id();
    let mut shorten = Save::new(tag, id, Changes::default());
    shorten.shorten = Some(Lifetime::new(IDLE / 2, IDLE));
    trial.save(&shorten).await;
    reader
        .hears_of(tag, id, FeedNews::Written(id), "a shorter lifetime")
        .await;
    if !reader.feed.reports_writes() {
        return;
    }

    let (tag, token) = new().await;
    let id = token.session_id();
    trial.save(&Save::new(tag, id, set("cart", "apple"))).await;
    reader
        .hears_of(tag, id, FeedNews::Written(id), "new data")
        .await;
    let (tag, token) = new().await;
    let id = token.session_id();
    let record = trial.live(&token, "the session").await.record;
    let last = LastSeen::new(Client::new().with_user_agent(Some(b"other")), trial.now());
    let note = NoteClient::new(tag, record, last);
    trial.answered(Box::pin(trial.store.note_client(&note)).await);
    reader
        .hears_of(tag, id, FeedNews::Written(id), "a noted client")
        .await;
    let (tag, token) = new().await;
    let id = token.session_id();
    rotates(trial, &token).await;
    reader
        .hears_of(tag, id, FeedNews::Renewed(id), "a new token")
        .await;
}

async fn an_end_of_everyone_is_reported(reader: &Reader<'_>) {
    let trial = reader.trial;
    if trial.store.horizon().is_none() {
        return;
    }
    let moment = trial.answered(trial.store.end_everyone(EndEveryone::Now).await);
    let wanted = |message: &FeedMessage| match message.news {
        FeedNews::Everyone(reported) => reported >= moment,
        _ => false,
    };
    reader.hears(wanted, "an end of all users' sessions").await;
}
