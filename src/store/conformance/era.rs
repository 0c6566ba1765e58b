//! Number 25: all sessions ended while the clock was ahead, and it was set back.

use std::time::Duration;

use super::{
    everyone::is_live,
    trial::{ABSOLUTE, IDLE, MS, SessionSet, Trial, ids, ids_of, quiet},
};
use crate::{
    model::{Arrival, EndReason, Lifetime, Limit},
    store::{
        Authenticated, Create, Created, EndEveryone, List, Offer, Redeem, Renewal, Resolved,
        Rotate, Rotated, SessionStore, Ticketed, Timestamp, Token,
    },
};

const AHEAD: Duration = Duration::from_secs(13 * 60 * 60);
const MINUTE: Duration = Duration::from_secs(60);

/// What was made while the clock was ahead.
struct Ahead<'a> {
    session_set: SessionSet<'a>,
    /// A session from before the end of all, and one from after it.
    sessions: [Token; 2],
    ticket: Ticketed,
}

pub(super) async fn a_clock_that_was_ahead_begins_an_era(trial: &Trial) {
    let store = &trial.store;
    if store.horizon().is_none() {
        return;
    }
    // The moment of the trial before is in the past then.
    trial.clock.advance(MINUTE);
    let real = trial.now();
    let old = trial.user().signs_in().await;
    trial.clock.advance(AHEAD);
    let session_set = trial.user();
    let before = session_set.signs_in().await;
    let moment = trial.answered(store.end_everyone(EndEveryone::Now).await);
    let ahead = is_ahead(trial, session_set, before, moment).await;

    trial.clock.set(real);
    let kept = trial.answered(store.everyone(None).await);
    let kept = match kept {
        Some(kept) if kept.era() > moment.era() => kept,
        // A store that very many trials shared.
        _ if moment.era().next().is_none() => return,
        other => trial.broken(&format!(
            "a moment in the future: expected one of a new era, found {other:?}"
        )),
    };
    trial.same(kept.time(), real, "the first moment of the era");
    let known = trial.answered(store.everyone(Some(moment)).await);
    trial.same(known, Some(kept), "it, where the one before is known");

    users_sign_in(trial, kept).await;
    on_a_tie_the_era_does_not_count(trial, kept).await;
    let mut resolve = quiet(&old);
    resolve.not_before = Some(kept);
    let found = trial.resolve(&resolve).await;
    trial.holds(
        !matches!(found, Resolved::Live(_)),
        "a session from before the end of all is not live",
    );
    what_was_made_ahead_is_over(trial, &ahead, kept).await;
    // The time comes at which it was made.
    trial.clock.set(real.plus(AHEAD).plus(MS));
    what_was_made_ahead_is_over(trial, &ahead, kept).await;

    let again = trial.answered(store.end_everyone(EndEveryone::Now).await);
    trial.holds(
        again.era() == kept.era() && again.time() > trial.now(),
        "the moment moves on in its era",
    );
}

async fn is_ahead<'a>(
    trial: &Trial,
    session_set: SessionSet<'a>,
    before: Token,
    moment: Timestamp,
) -> Ahead<'a> {
    let after = session_set.token();
    let create = made_at(&session_set, &after, moment);
    trial.made(&create, "a sign-in after the end of all").await;
    let ticket = session_set.token();
    let ticket = Ticketed {
        id: ticket.session_id(),
        digest: ticket.digest(),
    };
    let mut create = made_at(&session_set, &session_set.token(), moment);
    create.limit = Limit::at_most(1).refuse();
    create.offer = Some(Offer {
        ticket,
        terms: Vec::new(),
    });
    let refused = trial.create(&create).await;
    trial.holds(
        matches!(refused, Created::LimitReached(_)),
        &format!("a sign-in at a refusing limit is refused, found {refused:?}"),
    );
    Ahead {
        session_set,
        sessions: [before, after],
        ticket,
    }
}

/// A sign-in on a server that knows the moment.
fn made_at(session_set: &SessionSet<'_>, token: &Token, moment: Timestamp) -> Create {
    let mut create = session_set.create_for(token);
    create.authenticated = Authenticated::On(Arrival::now());
    (create.not_before, create.arrived_after) = (Some(moment), Some(moment));
    create
}

async fn users_sign_in(trial: &Trial, kept: Timestamp) {
    let began = trial.now();
    let session_set = trial.user();
    let token = session_set.token();
    let create = made_at(&session_set, &token, kept);
    let record = trial.made(&create, "a sign-in in the era").await.record;
    trial.same(
        [
            record.created_at,
            record.authenticated_at,
            record.last_activity,
        ],
        [began; 3],
        "its times",
    );
    trial.same(record.deadline, began.plus(ABSOLUTE), "its deadline");

    trial.clock.advance(MINUTE);
    let mut create = made_at(&session_set, &session_set.token(), kept);
    // A node that learned the moment while the request was on its way.
    create.arrived_after = None;
    trial.made(&create, "a sign-in that arrived earlier").await;
    let (early, step) = (began.minus(MS), began.plus(MS));
    let mut create = made_at(&session_set, &session_set.token(), kept);
    create.authenticated = Authenticated::At(early);
    trial
        .rejected(&create, "a sign-in that was proven before the era")
        .await;
    let mut create = made_at(&session_set, &session_set.token(), kept);
    create.authenticated = Authenticated::At(step);
    let record = trial.made(&create, "a sign-in of two steps").await.record;
    trial.same(record.authenticated_at, step, "the time of its first step");

    let next = session_set.forged(&token);
    let renewal = Renewal::Proven {
        authenticated: Authenticated::At(trial.now()),
        lifetime: Lifetime::new(IDLE, ABSOLUTE),
    };
    let mut rotate = Rotate::new(&token, &next, renewal);
    rotate.not_before = Some(kept);
    match trial.rotate(&rotate).await {
        Rotated::Rotated(record) => trial.same(
            [record.authenticated_at, record.deadline],
            [trial.now(), trial.now().plus(ABSOLUTE)],
            "the times of a session that is proven again",
        ),
        other => trial.broken(&format!("it is proven again, found {other:?}")),
    }
    is_live(trial, &next, kept, "a session that is proven again is live").await;
}

/// A server that does not know the era yet makes sessions of the one before, and counts all.
async fn on_a_tie_the_era_does_not_count(trial: &Trial, kept: Timestamp) {
    let session_set = trial.user();
    let (first, last) = (session_set.token_named('-'), session_set.token_named('z'));
    trial
        .made(
            &made_at(&session_set, &first, kept),
            "a sign-in in the era, with the lowest id",
        )
        .await;
    trial
        .made(
            &session_set.create_for(&last),
            "a sign-in of the same moment in the era before",
        )
        .await;

    let mut create = session_set.create_for(&session_set.token());
    create.limit = Limit::at_most(2);
    let made = trial.made(&create, "a sign-in at the limit").await;

    trial.same(
        ids(&made.evicted),
        ids_of(&[&first]),
        "the evicted session of two from the same moment",
    );
}

async fn what_was_made_ahead_is_over(trial: &Trial, ahead: &Ahead<'_>, kept: Timestamp) {
    for token in &ahead.sessions {
        let mut resolve = quiet(token);
        resolve.not_before = Some(kept);
        let found = trial.resolve(&resolve).await;
        trial.holds(
            matches!(&found, Resolved::Ended(notice) if notice.reason == EndReason::Everyone),
            &format!("a session from before the era has ended, found {found:?}"),
        );
    }
    let mut list = List::new(ahead.session_set.tag);
    list.not_before = Some(kept);
    let listed = trial.answered(trial.store.list(&list).await);
    trial.same(
        listed,
        Vec::new(),
        "the list with sessions from before the era",
    );
    let mut create = made_at(&ahead.session_set, &ahead.session_set.token(), kept);
    create.redeem = Some(Redeem {
        ticket: ahead.ticket,
        ends: None,
    });
    trial
        .rejected(&create, "a sign-in with a ticket from before the era")
        .await;
}
