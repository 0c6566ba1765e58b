//! Number 24: what began before a moment has ended.

use std::time::Duration;

use super::trial::{IDLE, MS, Trial, ids, ids_of, quiet, set};
use crate::{
    model::{Arrival, Client, EndReason, LastSeen, Lifetime, Limit},
    store::{
        Authenticated, Created, End, Ended, List, ManualClock, NoteClient, Renewal, Resolved,
        Rotate, Rotated, Salt, Save, Saved, SessionStore, Timestamp, Token, Which,
    },
};

/// Number 24: what began before `not_before` is not live, in any call.
pub async fn ends_what_began_before<St: SessionStore>(make: impl AsyncFn(ManualClock) -> St) {
    let trial = Trial::new(24, make).await;
    its_tokens_get_the_reason(&trial).await;
    what_was_proven_before_is_over(&trial).await;
    a_sign_in_leaves_notices(&trial).await;
    a_refused_sign_in_changes_nothing(&trial).await;
    nothing_changes_it(&trial).await;
    a_clock_that_is_behind_makes_live_sessions(&trial).await;
    a_clock_that_is_behind_does_not_end_what_is_proven_again(&trial).await;
}

/// The answer to this token, where sessions from before this moment have ended.
async fn resolved(trial: &Trial, token: &Token, not_before: Timestamp) -> Resolved {
    let mut resolve = quiet(token);
    resolve.not_before = Some(not_before);
    trial.resolve(&resolve).await
}

async fn is_over(trial: &Trial, token: &Token, not_before: Timestamp, what: &str) {
    match resolved(trial, token, not_before).await {
        Resolved::Ended(notice) => trial.same(
            (notice.reason, notice.ended_at, notice.by),
            (EndReason::Everyone, not_before.time(), None),
            what,
        ),
        other => trial.broken(&format!("{what}: expected an end notice, found {other:?}")),
    }
}

pub(super) async fn is_live(trial: &Trial, token: &Token, not_before: Timestamp, what: &str) {
    let found = resolved(trial, token, not_before).await;
    trial.holds(matches!(found, Resolved::Live(_)), what);
}

async fn its_tokens_get_the_reason(trial: &Trial) {
    for session_set in [trial.user(), trial.guest()] {
        let (began, token) = (trial.now(), session_set.signs_in().await);
        trial.live(&token, "a new session").await;
        let salt = Salt::from_bytes([1; 16]);
        let next = token.successor(&salt);
        let rotate = Rotate::new(&token, &next, Renewal::Derived(salt));
        trial.rotate(&rotate).await;
        trial.clock.advance(MS);
        let moment = began.plus(MS);

        is_over(trial, &next, moment, "the token of an ended session").await;
        is_over(trial, &token, moment, "its previous token").await;
        let forged = resolved(trial, &session_set.forged(&next), moment).await;
        trial.holds(
            matches!(forged, Resolved::Unknown),
            "a token with another secret is unknown",
        );
        is_live(
            trial,
            &next,
            began,
            "a session from exactly `not_before` is live",
        )
        .await;

        let mut list = List::new(session_set.tag);
        list.not_before = Some(moment);
        let listed = trial.answered(trial.store.list(&list).await);
        trial.same(ids(&listed), ids_of(&[]), "the list with `not_before`");
        is_over(trial, &next, moment, "its token after a list").await;

        trial.clock.advance(IDLE);
        let expired = resolved(trial, &next, moment).await;
        trial.holds(
            matches!(expired, Resolved::Unknown | Resolved::Ended(_)),
            "an ended session that expired too is not live",
        );
    }
}

async fn what_was_proven_before_is_over(trial: &Trial) {
    let session_set = trial.user();
    let proven = trial.now();
    trial.clock.advance(MS + MS);
    let moment = proven.plus(MS);
    let token = session_set.token();
    let mut create = session_set.create_for(&token);
    create.authenticated = Authenticated::At(proven);

    // On a server that does not know the moment yet.
    let made = trial.made(&create, "a sign-in").await;
    trial.same(
        (made.record.created_at, made.record.authenticated_at),
        (trial.now(), proven),
        "when it was created and authenticated",
    );
    is_over(
        trial,
        &token,
        moment,
        "a sign-in that was proven before `not_before` and created after it",
    )
    .await;
    is_live(
        trial,
        &token,
        proven,
        "it is live where all ended before it was proven",
    )
    .await;

    let token = session_set.token();
    create = session_set.create_for(&token);
    create.authenticated = Authenticated::At(proven);
    create.not_before = Some(moment);
    trial
        .rejected(&create, "a sign-in that was proven before `not_before`")
        .await;
    create.arrived_after = Some(moment);
    trial
        .rejected(
            &create,
            "its first step was before `not_before`, whenever its last one came",
        )
        .await;
    trial.unknown(&token, "a rejected sign-in").await;
}

async fn a_sign_in_leaves_notices(trial: &Trial) {
    let session_set = trial.user();
    let (first, second) = (session_set.signs_in().await, session_set.signs_in().await);
    let moment = trial.now().plus(MS);
    trial.clock.advance(Duration::from_secs(60));

    let token = session_set.token();
    let mut create = session_set.create_for(&token);
    create.limit = Limit::at_most(2).refuse();
    create.not_before = Some(moment);
    create.replaces = Some(first.session_id());
    let made = trial.made(&create, "a sign-in after all have ended").await;

    trial.same(
        (ids(&made.evicted), made.replaced),
        (ids_of(&[]), None),
        "the sessions that ended for it",
    );
    for token in [&first, &second] {
        let notice = trial.notice(token, "a session that ended with all").await;
        trial.same(
            (notice.reason, notice.ended_at),
            (EndReason::Everyone, moment),
            "its notice",
        );
    }
    session_set.lists_exactly(&[&token], "the list").await;
}

async fn a_refused_sign_in_changes_nothing(trial: &Trial) {
    let session_set = trial.user();
    let over = session_set.signs_in().await;
    trial.clock.advance(MS);
    let (moment, other) = (trial.now(), session_set.signs_in().await);
    trial.live(&other, "a session that began later").await;
    let mut create = session_set.create_for(&session_set.token());
    create.limit = Limit::at_most(1).refuse();
    create.not_before = Some(moment);

    for data_limit in [create.data_limit, 1] {
        if data_limit == 1 {
            create.limit = Limit::at_most(2);
            create.data_limit = data_limit;
            create.changes = set("key", "value");
        }
        let refused = trial.create(&create).await;

        trial.holds(
            matches!(refused, Created::LimitReached(_) | Created::TooLarge),
            &format!("a sign-in over a limit is refused, found {refused:?}"),
        );
        is_over(trial, &over, moment, "a session that ended with all").await;
        is_live(trial, &other, moment, "a session that began later stays").await;
    }
}

async fn nothing_changes_it(trial: &Trial) {
    let session_set = trial.user();
    let token = session_set.signs_in().await;
    let record = trial.live(&token, "a new session").await.record;
    let moment = trial.now().plus(MS);
    let id = token.session_id();

    let mut save = Save::new(session_set.tag, id, set("key", "value"));
    save.not_before = Some(moment);
    trial.same(trial.save(&save).await, Saved::Ended, "a save");

    let salt = Salt::from_bytes([2; 16]);
    let mut rotate = Rotate::new(&token, &token.successor(&salt), Renewal::Derived(salt));
    rotate.not_before = Some(moment);
    let rotated = trial.rotate(&rotate).await;
    trial.holds(matches!(rotated, Rotated::Ended), "it gets no new token");

    let last = LastSeen::new(
        Client::new().with_user_agent(Some(b"Other/1.0")),
        trial.now(),
    );
    let mut note = NoteClient::new(session_set.tag, record, last);
    note.not_before = Some(moment);
    let noted = trial.answered(trial.store.note_client(&note).await);
    trial.holds(!noted, "its client is not noted");

    let mut end = End::new(session_set.tag, Which::Others(id), EndReason::Revoked);
    (end.caller, end.not_before) = (Some(id), Some(moment));
    trial.same(
        trial.end(&end).await,
        Ended::CallerEnded,
        "an end that it asks for",
    );

    let found = trial.live(&token, "where all ended before it began").await;
    trial.same(
        (found.record.revision, found.record.last_seen().is_some()),
        (0, false),
        "what was stored",
    );
}

async fn a_clock_that_is_behind_makes_live_sessions(trial: &Trial) {
    let moment = trial.now().plus(Duration::from_secs(5));
    for authenticated in [
        Authenticated::On(Arrival::now()),
        Authenticated::After(trial.now()),
        Authenticated::At(moment),
    ] {
        let session_set = trial.user();
        let token = session_set.token();
        let mut create = session_set.create_for(&token);
        create.authenticated = authenticated;
        create.not_before = Some(moment);
        create.arrived_after = Some(moment);

        let made = trial.made(&create, "a sign-in after all have ended").await;
        trial.same(
            (
                made.record.created_at,
                made.record.authenticated_at,
                made.record.last_activity,
            ),
            (moment, moment, trial.now()),
            "its times, with a clock that is behind",
        );
        is_live(
            trial,
            &token,
            moment,
            "a session that begins after all have ended is live",
        )
        .await;
    }

    let guests = trial.guest();
    let token = guests.token();
    let mut create = guests.create_for(&token);
    create.authenticated = Authenticated::On(Arrival::now());
    (create.not_before, create.arrived_after) = (Some(moment), Some(moment));
    trial
        .made(&create, "a guest session after all have ended")
        .await;
    is_live(trial, &token, moment, "it is live").await;
}

async fn a_clock_that_is_behind_does_not_end_what_is_proven_again(trial: &Trial) {
    let session_set = trial.user();
    let moment = trial.now().plus(Duration::from_secs(5));
    let token = session_set.token();
    let mut create = session_set.create_for(&token);
    create.authenticated = Authenticated::On(Arrival::now());
    (create.not_before, create.arrived_after) = (Some(moment), Some(moment));
    trial.made(&create, "a sign-in after all have ended").await;

    let next = session_set.forged(&token);
    let proven = Renewal::Proven {
        authenticated: Authenticated::On(Arrival::now()),
        lifetime: Lifetime::new(IDLE, IDLE),
    };
    let mut rotate = Rotate::new(&token, &next, proven);
    rotate.not_before = Some(moment);
    trial.rotate(&rotate).await;
    is_live(
        trial,
        &next,
        moment,
        "a session that is proven again is live",
    )
    .await;
}
