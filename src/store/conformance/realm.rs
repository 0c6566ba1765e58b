//! Number 20: sessions of several realms share a session set, and do not see each other.

use std::time::Duration;

use super::trial::{MS, SessionSet, Trial, ids, ids_of};
use crate::{
    model::{ClientClass, EndReason, Limit, Realm, SessionId, Token},
    store::{
        Authenticated, Create, Created, End, Ended, List, ManualClock, Offer, Redeem, Resolve,
        Resolved, SessionStore, Ticketed, UNCOUNTED_MAX, Which,
    },
};

/// Number 20: sessions of several realms share a session set, and do not see each other.
pub async fn keeps_realms_apart<St: SessionStore>(make: impl AsyncFn(ManualClock) -> St) {
    let trial = Trial::new(20, make).await;
    a_token_is_valid_in_its_realm_only(&trial).await;
    limits_are_those_of_a_realm(&trial).await;
    a_list_and_an_end_of_one_leave_out_other_realms(&trial).await;
    ends_of_several_and_cutoffs_cross_all_realms(&trial).await;
    a_ticket_ends_no_session_of_another_realm(&trial).await;
    four_tickets_are_kept_in_each_realm(&trial).await;
}

fn admin() -> Realm {
    Realm::named("admin")
}

/// A sign-in in a realm, a millisecond later than the one before.
fn asks(trial: &Trial, session_set: &SessionSet<'_>, realm: Realm) -> (Token, Create) {
    trial.clock.advance(MS);
    let token = session_set.token();
    let create = session_set.create_for(&token).within(&token, realm);
    (token, create)
}

async fn signs_in(trial: &Trial, session_set: &SessionSet<'_>, realm: Realm) -> Token {
    let (token, create) = asks(trial, session_set, realm);
    trial.made(&create, "a sign-in in a realm").await;
    token
}

async fn resolved(trial: &Trial, token: &Token, realm: Realm) -> Resolved {
    let resolve = Resolve::within(token.clone(), realm);
    trial.resolve(&resolve).await
}

async fn listed(
    trial: &Trial,
    session_set: &SessionSet<'_>,
    within: Option<Realm>,
) -> Vec<SessionId> {
    let mut list = List::new(session_set.tag);
    list.within = within;
    let mut found = ids(&trial.answered(Box::pin(trial.store.list(&list)).await));
    found.sort();
    found
}

fn sorted(tokens: &[&Token]) -> Vec<SessionId> {
    let mut ids = ids_of(tokens);
    ids.sort();
    ids
}

async fn a_token_is_valid_in_its_realm_only(trial: &Trial) {
    for session_set in [trial.user(), trial.guest()] {
        for (own, other) in [(Realm::NONE, admin()), (admin(), Realm::NONE)] {
            let token = signs_in(trial, &session_set, own).await;

            let found = resolved(trial, &token, own).await;
            trial.holds(
                matches!(&found, Resolved::Live(found) if found.record.is_in(own)),
                &format!("a token is valid in its realm, found {found:?}"),
            );
            for other in [other, Realm::named("another")] {
                let found = resolved(trial, &token, other).await;
                trial.holds(
                    matches!(found, Resolved::Unknown),
                    &format!("a token is unknown in another realm, found {found:?}"),
                );
            }
            trial.end(&session_set.end_one(&token)).await;
            let found = resolved(trial, &token, other).await;
            trial.holds(
                matches!(found, Resolved::Unknown),
                &format!("an ended token is unknown in another realm, found {found:?}"),
            );
        }
    }
}

async fn limits_are_those_of_a_realm(trial: &Trial) {
    let session_set = trial.user();
    let phone = ClientClass::new(1);
    let site = signs_in(trial, &session_set, Realm::NONE).await;
    let first = signs_in(trial, &session_set, admin()).await;
    for limit in [
        Limit::at_most(2),
        Limit::at_most(2).refuse(),
        Limit::at_most(9).of_class(phone, 1),
    ] {
        let (token, mut create) = asks(trial, &session_set, admin());
        create.limit = limit;
        create.class = phone;
        let made = trial
            .made(&create, "a sign-in below the limit of its realm")
            .await;
        trial.same(ids(&made.evicted), ids_of(&[]), "the evicted sessions");
        trial.end(&session_set.end_one(&token)).await;
    }

    let (second, mut create) = asks(trial, &session_set, admin());
    create.limit = Limit::at_most(1);
    let made = trial
        .made(&create, "a sign-in at the limit of its realm")
        .await;

    trial.same(ids(&made.evicted), ids_of(&[&first]), "the evicted session");
    let all = listed(trial, &session_set, None).await;
    trial.same(all, sorted(&[&site, &second]), "the list of all realms");

    let uncounted = async |realm: Realm| {
        let (token, mut create) = asks(trial, &session_set, realm);
        create.counts = false;
        let made = trial.made(&create, "a sign-in that does not count").await;
        (token, ids(&made.evicted))
    };
    for _ in 0..UNCOUNTED_MAX {
        uncounted(admin()).await;
    }
    let (_, evicted) = uncounted(Realm::NONE).await;
    trial.same(
        evicted,
        ids_of(&[]),
        "the uncounted sessions evicted in another realm",
    );
}

async fn a_list_and_an_end_of_one_leave_out_other_realms(trial: &Trial) {
    let session_set = trial.user();
    let site = signs_in(trial, &session_set, Realm::NONE).await;
    let office = signs_in(trial, &session_set, admin()).await;
    for (within, wanted) in [
        (Some(Realm::NONE), sorted(&[&site])),
        (Some(admin()), sorted(&[&office])),
        (Some(Realm::named("another")), Vec::new()),
        (None, sorted(&[&site, &office])),
    ] {
        let found = listed(trial, &session_set, within).await;
        trial.same(found, wanted, "the list of a realm");
    }

    for (token, other) in [(&office, Realm::NONE), (&site, admin())] {
        let mut end = session_set.end_one(token);
        end.within = Some(other);
        let ended = trial.end(&end).await;
        trial.same(
            ended,
            Ended::Unknown,
            "the end of a session of another realm",
        );
    }
    let found = resolved(trial, &office, admin()).await;
    trial.holds(
        matches!(found, Resolved::Live(_)),
        "a session outlives an end from another realm",
    );
    for (token, within) in [(&office, Some(admin())), (&site, None)] {
        let mut end = session_set.end_one(token);
        end.within = within;
        trial
            .ends(&end, 1, None, "the end of a session of this realm")
            .await;
    }
}

async fn ends_of_several_and_cutoffs_cross_all_realms(trial: &Trial) {
    let session_set = trial.user();
    let site = signs_in(trial, &session_set, Realm::NONE).await;
    let office = signs_in(trial, &session_set, admin()).await;
    let mut others = session_set.end(Which::Others(office.session_id()));
    others.within = Some(admin());
    others.caller = Some(office.session_id());
    trial.ends(&others, 1, None, "an end of all others").await;
    let left = listed(trial, &session_set, None).await;
    trial.same(
        left,
        sorted(&[&office]),
        "the list after an end of all others",
    );
    trial.unknown(&office, "a token in another realm").await;
    trial.notice(&site, "the session of the other realm").await;

    trial.clock.advance(MS);
    let mut all = End::new(session_set.tag, Which::All, EndReason::Disabled);
    all.within = Some(Realm::NONE);
    all.bar = Some(Duration::from_secs(600));
    trial.ends(&all, 1, None, "an end of all").await;
    for realm in [Realm::NONE, admin()] {
        let (_, create) = asks(trial, &session_set, realm);
        let created = trial.create(&create).await;
        trial.holds(
            matches!(created, Created::Disabled),
            &format!("a user is disabled in all realms, found {created:?}"),
        );
    }
    trial.clock.advance(MS);
    all.bar = Some(Duration::ZERO);
    let before = trial.now();
    trial.end(&all).await;
    for realm in [Realm::NONE, admin()] {
        let (_, mut create) = asks(trial, &session_set, realm);
        create.authenticated = Authenticated::At(before);
        trial
            .rejected(&create, "a sign-in from before the cutoff, in any realm")
            .await;
    }
}

/// A refused sign-in in a realm: its ticket.
async fn refused(trial: &Trial, session_set: &SessionSet<'_>, realm: Realm) -> Ticketed {
    let ticket = session_set.token();
    let ticket = Ticketed {
        id: ticket.session_id(),
        digest: ticket.digest_in(realm),
    };
    let (_, mut create) = asks(trial, session_set, realm);
    create.limit = Limit::at_most(1).refuse();
    create.offer = Some(Offer {
        ticket,
        terms: Vec::new(),
    });
    let created = trial.create(&create).await;
    trial.holds(
        matches!(created, Created::LimitReached(_)),
        &format!("a sign-in at a refusing limit is refused, found {created:?}"),
    );
    ticket
}

async fn a_ticket_ends_no_session_of_another_realm(trial: &Trial) {
    let session_set = trial.user();
    let site = signs_in(trial, &session_set, Realm::NONE).await;
    let office = signs_in(trial, &session_set, admin()).await;
    let ticket = refused(trial, &session_set, Realm::NONE).await;

    let redeems = async |ticket, ends: &Token| {
        let (_, mut create) = asks(trial, &session_set, Realm::NONE);
        create.limit = Limit::at_most(1).refuse();
        create.redeem = Some(Redeem {
            ticket,
            ends: Some(ends.session_id()),
        });
        trial.create(&create).await
    };
    let other = redeems(ticket, &office).await;
    let own = redeems(ticket, &site).await;

    trial.holds(
        matches!(other, Created::LimitReached(_)),
        &format!("a ticket makes no room in another realm, found {other:?}"),
    );
    trial.holds(
        matches!(own, Created::Created(_)),
        &format!("a ticket makes room in its realm, found {own:?}"),
    );
    let ticket = refused(trial, &session_set, Realm::NONE).await;
    for id in listed(trial, &session_set, Some(Realm::NONE)).await {
        trial.end(&session_set.end(Which::One(id))).await;
    }
    let roomy = redeems(ticket, &office).await;
    trial.holds(
        matches!(roomy, Created::Created(_)),
        &format!("a ticket works where there is room, found {roomy:?}"),
    );
    let left = listed(trial, &session_set, Some(admin())).await;
    trial.same(left, sorted(&[&office]), "the list of the other realm");
}

async fn four_tickets_are_kept_in_each_realm(trial: &Trial) {
    let session_set = trial.user();
    signs_in(trial, &session_set, Realm::NONE).await;
    signs_in(trial, &session_set, admin()).await;
    let first = refused(trial, &session_set, admin()).await;
    let mut tickets = Vec::new();
    for _ in 0..5 {
        tickets.push(refused(trial, &session_set, Realm::NONE).await);
    }

    let [oldest, second, ..] = &tickets[..] else {
        trial.broken("expected five tickets");
    };
    for (ticket, works) in [(&first, true), (oldest, false), (second, true)] {
        let terms = trial.answered(Box::pin(trial.store.ticket(session_set.tag, ticket)).await);
        trial.same(terms.is_some(), works, "whether a ticket works");
    }
}
