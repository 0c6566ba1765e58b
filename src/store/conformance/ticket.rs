//! Number 4 for tickets.

use std::time::Duration;

use super::trial::{MS, SessionSet, Trial, ids_of, set};
use crate::{
    model::{EndReason, Limit, Token},
    store::{Create, Created, Ended, Offer, Redeem, SessionStore, Ticketed, Which},
};

/// Only the layer reads these. A store returns them as they are.
fn terms_offered() -> Vec<u8> {
    (0..=u8::MAX).rev().cycle().take(2_000).collect()
}

pub(super) async fn tickets_work_once(trial: &Trial) {
    a_ticket_makes_room_once(trial).await;
    a_ticket_works_for_five_minutes_and_four_are_kept(trial).await;
    a_ticket_keeps_the_time_of_authentication(trial).await;
    a_ticket_is_no_session(trial).await;
    a_ticket_keeps_its_terms(trial).await;
    a_forged_ticket_leaves_nothing(trial).await;
    only_a_sign_in_with_it_uses_a_ticket(trial).await;
}

fn create_for(session_set: &SessionSet<'_>, token: &Token) -> Create {
    let mut create = session_set.create_for(token);
    create.limit = Limit::at_most(1).refuse();
    create
}

/// The token of the ticket of a refused sign-in.
async fn refused(trial: &Trial, session_set: &SessionSet<'_>) -> Token {
    let (token, ticket) = (session_set.token(), session_set.token());
    let mut create = create_for(session_set, &token);
    create.offer = Some(Offer {
        ticket: stored(&ticket),
        terms: terms_offered(),
    });
    let refused = trial.create(&create).await;
    let is_so = matches!(refused, Created::LimitReached(_));
    trial.holds(
        is_so,
        &format!("a sign-in at a refusing limit is refused, found {refused:?}"),
    );
    ticket
}

fn stored(ticket: &Token) -> Ticketed {
    Ticketed {
        id: ticket.session_id(),
        digest: ticket.digest(),
    }
}

async fn redeems(
    trial: &Trial,
    session_set: &SessionSet<'_>,
    ticket: &Token,
    ends: Option<&Token>,
) -> (Token, Created) {
    let token = session_set.token();
    let mut create = create_for(session_set, &token);
    create.redeem = Some(Redeem {
        ticket: stored(ticket),
        ends: ends.map(Token::session_id),
    });
    (token, trial.create(&create).await)
}

async fn a_ticket_makes_room_once(trial: &Trial) {
    let session_set = trial.user();
    let previous = session_set.signs_in().await;
    let ticket = refused(trial, &session_set).await;
    let (_, still) = redeems(trial, &session_set, &ticket, None).await;
    trial.holds(
        matches!(still, Created::LimitReached(_)),
        "a ticket without a session to end is refused",
    );
    let (_, forged) = redeems(
        trial,
        &session_set,
        &session_set.forged(&ticket),
        Some(&previous),
    )
    .await;
    trial.holds(
        matches!(forged, Created::NoTicket),
        "a ticket with another secret does not work",
    );

    let (token, made) = redeems(trial, &session_set, &ticket, Some(&previous)).await;

    let Created::Created(made) = made else {
        trial.broken(&format!(
            "a ticket with a session to end: expected a session, found {made:?}"
        ));
    };
    let ended: Vec<_> = made.evicted.iter().map(|record| record.id).collect();
    trial.same(
        ended,
        ids_of(&[&previous]),
        "the sessions that ended for it",
    );
    let notice = trial.notice(&previous, "the chosen session").await;
    trial.same(
        notice.reason,
        EndReason::Revoked,
        "the reason in the notice",
    );
    let (_, again) = redeems(trial, &session_set, &ticket, Some(&token)).await;
    trial.holds(
        matches!(again, Created::NoTicket),
        "a ticket does not work twice",
    );
    session_set.lists_exactly(&[&token], "the list").await;
}

async fn a_ticket_works_for_five_minutes_and_four_are_kept(trial: &Trial) {
    let session_set = trial.user();
    let previous = session_set.signs_in().await;
    let oldest = refused(trial, &session_set).await;
    trial.clock.advance(MS);
    let mut tickets = Vec::new();
    for _ in 0..4 {
        tickets.push(refused(trial, &session_set).await);
        trial.clock.advance(MS);
    }
    let (_, fifth) = redeems(trial, &session_set, &oldest, Some(&previous)).await;
    trial.holds(
        matches!(fifth, Created::NoTicket),
        "the oldest of five tickets does not work",
    );
    trial.clock.advance(Duration::from_secs(300) - 2 * MS);

    let [first, second, _, last] = &tickets[..] else {
        trial.broken("expected four tickets");
    };
    for late in [first, second] {
        let (_, made) = redeems(trial, &session_set, late, Some(&previous)).await;
        trial.holds(
            matches!(made, Created::NoTicket),
            "a ticket does not work after five minutes",
        );
    }
    let (_, made) = redeems(trial, &session_set, last, Some(&previous)).await;
    let in_time = matches!(made, Created::Created(_));
    trial.holds(
        in_time,
        &format!("a ticket works just before that, found {made:?}"),
    );
}

async fn a_ticket_keeps_the_time_of_authentication(trial: &Trial) {
    let session_set = trial.user();
    let previous = session_set.signs_in().await;
    let (proven, ticket) = (trial.now(), refused(trial, &session_set).await);
    trial.clock.advance(Duration::from_secs(60));
    let (token, _) = redeems(trial, &session_set, &ticket, Some(&previous)).await;
    let made = trial.live(&token, "the session of a ticket").await.record;
    trial.same(
        made.authenticated_at,
        proven,
        "when the user of a ticket authenticated",
    );
    let ticket = refused(trial, &session_set).await;
    trial.clock.advance(MS);
    trial.end(&session_set.end(Which::All)).await;
    trial.clock.advance(MS);

    let (_, made) = redeems(trial, &session_set, &ticket, None).await;

    trial.holds(
        matches!(made, Created::Rejected),
        &format!("a ticket from before a cutoff is rejected, found {made:?}"),
    );
}

async fn a_ticket_is_no_session(trial: &Trial) {
    let session_set = trial.user();
    let only = session_set.signs_in().await;
    let ticket = refused(trial, &session_set).await;

    trial.unknown(&ticket, "a ticket used as a token").await;
    let ended = trial.end(&session_set.end_one(&ticket)).await;
    trial.holds(
        matches!(ended, Ended::Unknown),
        "a ticket cannot be ended like a session",
    );
    session_set.lists_exactly(&[&only], "the list").await;
    let other = trial.user();
    other.signs_in().await;
    let (_, made) = redeems(trial, &other, &ticket, None).await;
    trial.holds(
        matches!(made, Created::NoTicket),
        "a ticket does not work for another user",
    );
}

/// The terms that `ticket` returns for this ticket in this session set.
async fn terms(trial: &Trial, session_set: &SessionSet<'_>, ticket: &Token) -> Option<Vec<u8>> {
    let ticket = stored(ticket);
    trial.answered(Box::pin(trial.store.ticket(session_set.tag, &ticket)).await)
}

async fn a_ticket_keeps_its_terms(trial: &Trial) {
    let session_set = trial.user();
    let previous = session_set.signs_in().await;
    let ticket = refused(trial, &session_set).await;
    let wanted = Some(terms_offered());
    for _ in 0..2 {
        let found = terms(trial, &session_set, &ticket).await;
        trial.same(found, wanted.clone(), "the terms of a ticket");
    }
    let forged = session_set.forged(&ticket);
    let found = terms(trial, &session_set, &forged).await;
    trial.same(found, None, "the terms of a ticket with another secret");
    let found = terms(trial, &session_set, &previous).await;
    trial.same(found, None, "the terms of a token that is no ticket");
    let other = trial.user();
    other.signs_in().await;
    let found = terms(trial, &other, &ticket).await;
    trial.same(found, None, "the terms of another user's ticket");

    redeems(trial, &session_set, &ticket, Some(&previous)).await;

    let found = terms(trial, &session_set, &ticket).await;
    trial.same(found, None, "the terms of a used ticket");
    let late = refused(trial, &session_set).await;
    trial.clock.advance(Duration::from_secs(300) - MS);
    let found = terms(trial, &session_set, &late).await;
    trial.same(
        found,
        wanted,
        "the terms of a ticket 1 ms before five minutes",
    );
    trial.clock.advance(MS);
    let found = terms(trial, &session_set, &late).await;
    trial.same(found, None, "the terms of a ticket after five minutes");
}

async fn a_forged_ticket_leaves_nothing(trial: &Trial) {
    let session_set = trial.user();
    let forged = session_set.token();
    let found = terms(trial, &session_set, &forged).await;
    trial.same(found, None, "the terms of a forged ticket");
    let (token, made) = redeems(trial, &session_set, &forged, None).await;
    trial.holds(
        matches!(made, Created::NoTicket),
        "a forged ticket does not work",
    );
    session_set.lists_exactly(&[], "the list").await;
    // An entry under one of these ids would stand in the way.
    for token in [&forged, &token] {
        let create = session_set.create_for(token);
        trial
            .made(&create, "a sign-in with an id that a forged ticket named")
            .await;
    }
}

async fn only_a_sign_in_with_it_uses_a_ticket(trial: &Trial) {
    let session_set = trial.user();
    let previous = session_set.signs_in().await;
    let ticket = refused(trial, &session_set).await;
    trial.clock.advance(MS);
    let other = session_set.signs_in().await;
    trial.end(&session_set.end_one(&other)).await;

    let mut create = create_for(&session_set, &session_set.token());
    create.redeem = Some(Redeem {
        ticket: stored(&ticket),
        ends: Some(previous.session_id()),
    });
    (create.changes, create.data_limit) = (set("cart", "apple"), 1);
    let large = trial.create(&create).await;
    trial.holds(
        matches!(large, Created::TooLarge),
        &format!("a `create` with more data than its limit is refused, found {large:?}"),
    );
    let (_, made) = redeems(trial, &session_set, &ticket, Some(&previous)).await;
    trial.holds(
        matches!(made, Created::Created(_)),
        &format!("a ticket works after other sign-ins, found {made:?}"),
    );
}
