//! Number 4, of tickets.

use std::time::Duration;

use super::trial::{MS, SessionSet, Trial, ids_of};
use crate::{
    model::{EndReason, Limit, Token},
    store::{Create, Created, Ended, Redeem, SessionStore, Ticketed, Which},
};

pub(super) async fn is_left_by_a_refusal_and_works_once<St: SessionStore>(trial: &Trial<St>) {
    it_makes_room_once(trial).await;
    it_is_good_for_five_minutes_and_four_at_a_time(trial).await;
    it_keeps_the_time_of_its_proof(trial).await;
    it_is_worth_nothing_else(trial).await;
}

fn asks<St: SessionStore>(session_set: &SessionSet<'_, St>, token: &Token) -> Create {
    let mut create = session_set.asks(token);
    create.limit = Limit::at_most(1).refuse();
    create
}

/// A refused sign-in: the token of its ticket.
async fn refused<St: SessionStore>(trial: &Trial<St>, session_set: &SessionSet<'_, St>) -> Token {
    let (token, ticket) = (session_set.token(), session_set.token());
    let mut create = asks(session_set, &token);
    create.offer = Some(stored(&ticket));
    let refused = trial.create(&create).await;
    let is_so = matches!(refused, Created::LimitReached(_));
    trial.holds(is_so, &format!("a sign-in at the limit: {refused:?}"));
    ticket
}

fn stored(ticket: &Token) -> Ticketed {
    Ticketed {
        id: ticket.session_id(),
        digest: ticket.digest(),
    }
}

async fn redeems<St: SessionStore>(
    trial: &Trial<St>,
    session_set: &SessionSet<'_, St>,
    ticket: &Token,
    ends: Option<&Token>,
) -> (Token, Created) {
    let token = session_set.token();
    let mut create = asks(session_set, &token);
    create.redeem = Some(Redeem {
        ticket: stored(ticket),
        ends: ends.map(Token::session_id),
    });
    (token, trial.create(&create).await)
}

async fn it_makes_room_once<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.user();
    let previous = session_set.signs_in().await;
    let ticket = refused(trial, &session_set).await;
    let (_, still) = redeems(trial, &session_set, &ticket, None).await;
    trial.holds(matches!(still, Created::LimitReached(_)), "without room");
    let (_, forged) = redeems(
        trial,
        &session_set,
        &session_set.forged(&ticket),
        Some(&previous),
    )
    .await;
    trial.holds(matches!(forged, Created::NoTicket), "a forged one");

    let (token, made) = redeems(trial, &session_set, &ticket, Some(&previous)).await;

    let Created::Created(made) = made else {
        trial.broken(&format!("redeemed: {made:?}"));
    };
    let ended: Vec<_> = made.evicted.iter().map(|record| record.id).collect();
    trial.same(ended, ids_of(&[&previous]), "the chosen one ends");
    let notice = trial.notice(&previous, "of the chosen one").await;
    trial.same(notice.reason, EndReason::Revoked, "why it ended");
    let (_, again) = redeems(trial, &session_set, &ticket, Some(&token)).await;
    trial.holds(matches!(again, Created::NoTicket), "a second time");
    session_set
        .holds_exactly(&[&token], "the one that was let in")
        .await;
}

async fn it_is_good_for_five_minutes_and_four_at_a_time<St: SessionStore>(trial: &Trial<St>) {
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
        "a fifth is one too many",
    );
    trial.clock.advance(Duration::from_secs(300) - 2 * MS);

    let [first, second, _, last] = &tickets[..] else {
        trial.broken("four were left");
    };
    for late in [first, second] {
        let (_, made) = redeems(trial, &session_set, late, Some(&previous)).await;
        trial.holds(matches!(made, Created::NoTicket), "five minutes later");
    }
    let (_, made) = redeems(trial, &session_set, last, Some(&previous)).await;
    let in_time = matches!(made, Created::Created(_));
    trial.holds(in_time, &format!("a moment before that: {made:?}"));
}

async fn it_keeps_the_time_of_its_proof<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.user();
    session_set.signs_in().await;
    let ticket = refused(trial, &session_set).await;
    trial.clock.advance(MS);
    trial.end(&session_set.end(Which::All)).await;
    trial.clock.advance(MS);

    let (_, made) = redeems(trial, &session_set, &ticket, None).await;

    trial.holds(
        matches!(made, Created::Rejected),
        &format!("after a cutoff: {made:?}"),
    );
}

async fn it_is_worth_nothing_else<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.user();
    let only = session_set.signs_in().await;
    let ticket = refused(trial, &session_set).await;

    trial.unknown(&ticket, "it opens no session").await;
    let ended = trial.end(&session_set.end_one(&ticket)).await;
    trial.holds(matches!(ended, Ended::Unknown), "it is none that ends");
    session_set
        .holds_exactly(&[&only], "it is not listed")
        .await;
    let other = trial.user();
    other.signs_in().await;
    let (_, made) = redeems(trial, &other, &ticket, None).await;
    trial.holds(matches!(made, Created::NoTicket), "nor another user's");
}
