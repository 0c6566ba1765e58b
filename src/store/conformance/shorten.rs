//! Number 18: a shorter lifetime.

use std::time::Duration;

use super::trial::{ABSOLUTE, IDLE, MS, SessionSet, Trial, set};
use crate::{
    model::{Client, LastSeen, Lifetime, Proof},
    store::{
        Authenticated, Changes, Data, ManualClock, NoteClient, Renewal, Rotate, Save, Saved,
        SessionStore, Timestamp, Token,
    },
};

/// A tenth of the lifetime of sessions in these tests.
const SHORT: Lifetime = Lifetime::new(Duration::from_secs(60), Duration::from_secs(180));

/// Number 18: `save` with `shorten` sets the shorter of the stored and the given lifetime, part by part.
pub async fn shortens_and_never_prolongs<St: SessionStore>(make: impl AsyncFn(ManualClock) -> St) {
    let trial = Trial::new(18, make).await;
    both_parts_become_shorter(&trial).await;
    neither_part_becomes_longer(&trial).await;
    data_is_saved_in_the_same_step(&trial).await;
    nothing_changes_where_it_is_not_saved(&trial).await;
    an_idle_session_may_expire_at_once(&trial).await;
    the_shorter_lifetime_is_kept_beside_the_last_client(&trial).await;
    a_re_authentication_makes_no_part_longer(&trial).await;
}

/// Shortens the session, and returns revision, idle time and deadline.
async fn shorten(
    session_set: &SessionSet<'_>,
    trial: &Trial,
    token: &Token,
    to: Lifetime,
) -> (u64, Duration, Timestamp) {
    let mut save = Save::new(session_set.tag, token.session_id(), Changes::default());
    save.shorten = Some(to);
    match trial.save(&save).await {
        Saved::Shortened {
            revision,
            idle,
            deadline,
        } => (revision, idle, deadline),
        other => trial.broken(&format!(
            "a save with `shorten`: expected `Saved::Shortened`, found {other:?}"
        )),
    }
}

async fn both_parts_become_shorter(trial: &Trial) {
    for session_set in [trial.user(), trial.guest()] {
        let token = session_set.signs_in().await;
        let before = trial.live(&token, "a new session").await;

        trial.clock.advance(MS * 250);
        let now = trial.now();
        let shortened = shorten(&session_set, trial, &token, SHORT).await;

        let deadline = now.plus(SHORT.absolute());
        let wanted = (before.record.revision, SHORT.idle(), deadline);
        trial.same(
            shortened,
            wanted,
            "revision, idle time and deadline of a shorter lifetime",
        );
        let wanted = before.record.shortened(SHORT, now);
        let found = trial.live(&token, "a shortened session").await;
        trial.same(
            (found.record.idle, found.record.deadline),
            (SHORT.idle(), deadline),
            "the two parts of the lifetime",
        );
        trial.same(
            found.record.lifetime(),
            SHORT,
            "the lifetime after a re-authentication",
        );
        trial.same(found.record, wanted, "the record but for its lifetime");
        trial.same(found.data, before.data, "the data");
        let again = shorten(&session_set, trial, &token, SHORT).await;
        trial.same(again.2, deadline, "the deadline after the same save again");

        trial
            .touch(&token, "a session within the shorter lifetime")
            .await;
        for _ in 0..2 {
            trial.clock.advance(SHORT.idle() - MS);
            trial
                .touch(&token, "an active session within the shorter idle time")
                .await;
        }
        trial.clock.advance(SHORT.idle() - MS);
        trial
            .live(&token, "a session just before the shorter deadline")
            .await;
        trial.clock.advance(MS * 3);
        trial
            .unknown(&token, "a session after the shorter deadline")
            .await;
        trial.same(
            session_set.listed().await,
            Vec::new(),
            "the list after the shorter deadline",
        );
    }
}

async fn neither_part_becomes_longer(trial: &Trial) {
    let session_set = trial.user();
    let token = session_set.signs_in().await;
    let deadline = trial.now().plus(ABSOLUTE);
    let longer = Lifetime::new(IDLE * 2, ABSOLUTE * 2);
    let idle_only = Lifetime::new(SHORT.idle(), ABSOLUTE * 2);

    let (_, idle, ends) = shorten(&session_set, trial, &token, longer).await;
    trial.same(
        (idle, ends),
        (IDLE, deadline),
        "idle time and deadline after a save of a longer lifetime",
    );
    let (_, idle, ends) = shorten(&session_set, trial, &token, idle_only).await;
    trial.same(
        (idle, ends),
        (SHORT.idle(), deadline),
        "idle time and deadline after a save of a shorter idle time",
    );
    let (_, idle, ends) = shorten(&session_set, trial, &token, Lifetime::default()).await;
    trial.same(
        (idle, ends),
        (SHORT.idle(), deadline),
        "idle time and deadline after another longer lifetime",
    );
}

async fn data_is_saved_in_the_same_step(trial: &Trial) {
    let session_set = trial.user();
    let token = session_set.signs_in().await;
    let mut save = session_set.sets(&token, "cart", "apple");
    save.shorten = Some(SHORT);

    let saved = trial.save(&save).await;

    let wanted = Saved::Shortened {
        revision: 1,
        idle: SHORT.idle(),
        deadline: trial.now().plus(SHORT.absolute()),
    };
    trial.same(
        saved,
        wanted,
        "the outcome of a save of data and a shorter lifetime",
    );
    let found = trial.live(&token, "a shortened session").await;
    let data = Data::default().apply(&set("cart", "apple"));
    let wanted = (data, 1, SHORT.idle());
    trial.same(
        (found.data, found.record.revision, found.record.idle),
        wanted,
        "the stored data and lifetime",
    );
}

async fn nothing_changes_where_it_is_not_saved(trial: &Trial) {
    let session_set = trial.user();
    let token = session_set.signs_in().await;
    let ended = session_set.signs_in().await;
    trial.end(&session_set.end_one(&ended)).await;
    let before = trial.live(&token, "a new session").await.record;

    let mut late = session_set.sets(&token, "cart", "apple");
    (late.shorten, late.expect) = (Some(SHORT), Some(before.revision + 1));
    let conflict = Saved::Conflict {
        revision: before.revision,
        data: Data::default(),
    };
    trial.same(
        trial.save(&late).await,
        conflict,
        "a save with `shorten` that expects another revision",
    );
    let mut large = session_set.sets(&token, "cart", "apple");
    (large.shorten, large.data_limit) = (Some(SHORT), 1);
    trial.same(
        trial.save(&large).await,
        Saved::TooLarge,
        "a save with `shorten` over the data limit",
    );
    let mut save = Save::new(session_set.tag, ended.session_id(), Changes::default());
    save.shorten = Some(SHORT);
    trial.same(
        trial.save(&save).await,
        Saved::Ended,
        "a save with `shorten` to an ended session",
    );
    trial.notice(&ended, "the ended session after that").await;

    let after = trial.live(&token, "a session").await.record;
    trial.same(after, before, "the record after refused saves");
}

async fn an_idle_session_may_expire_at_once(trial: &Trial) {
    let session_set = trial.user();
    let token = session_set.signs_in().await;
    trial.clock.advance(SHORT.idle());

    shorten(&session_set, trial, &token, SHORT).await;

    trial
        .unknown(
            &token,
            "a session that was idle for longer than its new idle time",
        )
        .await;
    let save = session_set.sets(&token, "cart", "apple");
    trial.same(
        trial.save(&save).await,
        Saved::Ended,
        "a save to that session",
    );
}

async fn the_shorter_lifetime_is_kept_beside_the_last_client(trial: &Trial) {
    for proof in [Proof::new(), Proof::new().with_methods(["pwd"])] {
        for first in [true, false] {
            let session_set = trial.user();
            let token = session_set.token();
            let mut create = session_set.create_for(&token);
            create.proof.clone_from(&proof);
            trial.made(&create, "a sign-in").await;
            trial.touch(&token, "a new session").await;
            let mut wanted = trial.live(&token, "a used session").await.record;
            let longer = Lifetime::new(SHORT.idle(), SHORT.absolute() * 2);
            let lifetimes = [longer, SHORT, longer];
            for (at, to) in lifetimes.into_iter().enumerate() {
                if first == (at == 0) {
                    let agent = Some(&b"curl"[..]);
                    let last = LastSeen::new(Client::new().with_user_agent(agent), trial.now());
                    let note = NoteClient::new(session_set.tag, wanted.clone(), last.clone());
                    let noted = trial.answered(trial.store.note_client(&note).await);
                    trial.holds(noted, "a client of a shortened session is noted");
                    let again = trial.answered(trial.store.note_client(&note).await);
                    trial.holds(again, "the same call again is the same");
                    wanted = wanted.with_last_seen(last);
                }
                shorten(&session_set, trial, &token, to).await;
                wanted = wanted.shortened(to, trial.now());
                let found = trial.live(&token, "a shortened session").await;
                trial.same(found.record, wanted.clone(), "the record");
            }
            trial.same(wanted.lifetime(), SHORT, "the shortest lifetime");

            let next = trial.random(token.renewed());
            // As a request asks that read the record before.
            let proven = Renewal::Proven {
                authenticated: Authenticated::At(trial.now()),
                lifetime: Lifetime::new(IDLE, ABSOLUTE),
            };
            trial.rotate(&Rotate::new(&token, &next, proven)).await;
            let found = trial
                .live(&next, "a session after a re-authentication")
                .await;
            trial.same(found.record.lifetime(), SHORT, "the lifetime");
            trial.same(
                found.record.last_seen(),
                wanted.last_seen(),
                "the last client",
            );
        }
    }
}

/// Another request may shorten the lifetime after the one that re-authenticates has read the record.
async fn a_re_authentication_makes_no_part_longer(trial: &Trial) {
    let made = Lifetime::new(IDLE, ABSOLUTE);
    let longer = Lifetime::new(IDLE * 2, ABSOLUTE * 2);
    for (shortens, asked, wanted) in [
        (None, longer, made),
        (None, SHORT, SHORT),
        (Some(SHORT), made, SHORT),
        (Some(SHORT), longer, SHORT),
    ] {
        let session_set = trial.user();
        let token = session_set.signs_in().await;
        trial.clock.advance(MS * 250);
        if let Some(to) = shortens {
            shorten(&session_set, trial, &token, to).await;
        }
        trial.clock.advance(MS * 250);

        let next = trial.random(token.renewed());
        let proven = Renewal::Proven {
            authenticated: Authenticated::At(trial.now()),
            lifetime: asked,
        };
        trial.rotate(&Rotate::new(&token, &next, proven)).await;

        let found = trial.live(&next, "a session after a re-authentication");
        let record = found.await.record;
        trial.same(
            (record.idle, record.deadline, record.lifetime()),
            (wanted.idle(), trial.now().plus(wanted.absolute()), wanted),
            "idle time, deadline and lifetime after a re-authentication",
        );
    }
}
