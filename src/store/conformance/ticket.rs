//! Number 4, of tickets.

use std::time::Duration;

use super::trial::{Corner, MS, Trial, ids_of};
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

fn asks<St: SessionStore>(corner: &Corner<'_, St>, token: &Token) -> Create {
    let mut create = corner.asks(token);
    create.limit = Limit::at_most(1).refuse();
    create
}

/// A refused sign-in: the token of its ticket.
async fn refused<St: SessionStore>(trial: &Trial<St>, corner: &Corner<'_, St>) -> Token {
    let (token, ticket) = (corner.token(), corner.token());
    let mut create = asks(corner, &token);
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
    corner: &Corner<'_, St>,
    ticket: &Token,
    ends: Option<&Token>,
) -> (Token, Created) {
    let token = corner.token();
    let mut create = asks(corner, &token);
    create.redeem = Some(Redeem {
        ticket: stored(ticket),
        ends: ends.map(Token::session_id),
    });
    (token, trial.create(&create).await)
}

async fn it_makes_room_once<St: SessionStore>(trial: &Trial<St>) {
    let corner = trial.user();
    let former = corner.signs_in().await;
    let ticket = refused(trial, &corner).await;
    let (_, still) = redeems(trial, &corner, &ticket, None).await;
    trial.holds(matches!(still, Created::LimitReached(_)), "without room");
    let (_, forged) = redeems(trial, &corner, &corner.forged(&ticket), Some(&former)).await;
    trial.holds(matches!(forged, Created::NoTicket), "a forged one");

    let (token, made) = redeems(trial, &corner, &ticket, Some(&former)).await;

    let Created::Created(made) = made else {
        trial.broken(&format!("redeemed: {made:?}"));
    };
    let ended: Vec<_> = made.evicted.iter().map(|record| record.id).collect();
    trial.same(ended, ids_of(&[&former]), "the chosen one ends");
    let notice = trial.notice(&former, "of the chosen one").await;
    trial.same(notice.reason, EndReason::Revoked, "why it ended");
    let (_, again) = redeems(trial, &corner, &ticket, Some(&token)).await;
    trial.holds(matches!(again, Created::NoTicket), "a second time");
    corner
        .holds_exactly(&[&token], "the one that was let in")
        .await;
}

async fn it_is_good_for_five_minutes_and_four_at_a_time<St: SessionStore>(trial: &Trial<St>) {
    let corner = trial.user();
    let former = corner.signs_in().await;
    let oldest = refused(trial, &corner).await;
    trial.clock.advance(MS);
    let mut tickets = Vec::new();
    for _ in 0..4 {
        tickets.push(refused(trial, &corner).await);
        trial.clock.advance(MS);
    }
    let (_, fifth) = redeems(trial, &corner, &oldest, Some(&former)).await;
    trial.holds(
        matches!(fifth, Created::NoTicket),
        "a fifth is one too many",
    );
    trial.clock.advance(Duration::from_secs(300) - 2 * MS);

    let [first, second, _, last] = &tickets[..] else {
        trial.broken("four were left");
    };
    for late in [first, second] {
        let (_, made) = redeems(trial, &corner, late, Some(&former)).await;
        trial.holds(matches!(made, Created::NoTicket), "five minutes later");
    }
    let (_, made) = redeems(trial, &corner, last, Some(&former)).await;
    let in_time = matches!(made, Created::Created(_));
    trial.holds(in_time, &format!("a moment before that: {made:?}"));
}

async fn it_keeps_the_time_of_its_proof<St: SessionStore>(trial: &Trial<St>) {
    let corner = trial.user();
    corner.signs_in().await;
    let ticket = refused(trial, &corner).await;
    trial.clock.advance(MS);
    trial.end(&corner.end(Which::All)).await;
    trial.clock.advance(MS);

    let (_, made) = redeems(trial, &corner, &ticket, None).await;

    trial.holds(
        matches!(made, Created::Void),
        &format!("after a cut: {made:?}"),
    );
}

async fn it_is_worth_nothing_else<St: SessionStore>(trial: &Trial<St>) {
    let corner = trial.user();
    let only = corner.signs_in().await;
    let ticket = refused(trial, &corner).await;

    trial.unknown(&ticket, "it opens no session").await;
    let ended = trial.end(&corner.end_one(&ticket)).await;
    trial.holds(matches!(ended, Ended::Unknown), "it is none that ends");
    corner.holds_exactly(&[&only], "it is not listed").await;
    let other = trial.user();
    other.signs_in().await;
    let (_, made) = redeems(trial, &other, &ticket, None).await;
    trial.holds(matches!(made, Created::NoTicket), "nor another user's");
}
