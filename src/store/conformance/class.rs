//! Number 3, of classes, of sessions that do not count and of devices.

use std::time::Duration;

use super::trial::{MS, SessionSet, Trial, ids, ids_of};
use crate::{
    model::{ClientClass, Limit, Token},
    store::{Create, SeenDevice, SessionStore, UNCOUNTED_MAX},
};

const PHONE: ClientClass = ClientClass::new(1);

pub(super) async fn has_its_own_limit<St: SessionStore>(trial: &Trial<St>) {
    the_own_class_is_trimmed_first(trial).await;
    what_does_not_count_takes_no_place(trial).await;
    a_device_is_seen_for_the_first_time_once(trial).await;
}

/// A session of this class, a moment later than all before.
fn of_class<St: SessionStore>(
    trial: &Trial<St>,
    session_set: &SessionSet<'_, St>,
    class: ClientClass,
) -> (Token, Create) {
    trial.clock.advance(MS);
    let token = session_set.token();
    let mut create = session_set.asks(&token);
    create.class = class;
    create.limit = Limit::at_most(3).of_class(PHONE, 1);
    (token, create)
}

async fn the_own_class_is_trimmed_first<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.user();
    let mut tokens = Vec::new();
    for class in [ClientClass::default(), PHONE, ClientClass::default()] {
        let (token, create) = of_class(trial, &session_set, class);
        trial.made(&create, "a sign-in").await;
        tokens.push(token);
    }

    let (phone, create) = of_class(trial, &session_set, PHONE);
    let made = trial.made(&create, "another phone").await;
    let (other, create) = of_class(trial, &session_set, ClientClass::default());
    let then = trial.made(&create, "one more in all").await;

    let [first, old_phone, third] = &tokens[..] else {
        trial.broken("three were made");
    };
    trial.same(
        ids(&made.evicted),
        ids_of(&[old_phone]),
        "the own class first",
    );
    trial.same(
        ids(&then.evicted),
        ids_of(&[first]),
        "then the least active of all",
    );
    session_set
        .holds_exactly(&[third, &phone, &other], "three")
        .await;
}

async fn what_does_not_count_takes_no_place<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.user();
    let uncounted = async || {
        let (token, mut create) = of_class(trial, &session_set, PHONE);
        create.counts = false;
        create.limit = Limit::at_most(1);
        (token, trial.made(&create, "one that does not count").await)
    };
    let (first, made) = uncounted().await;
    trial.holds(!made.record.counts, "it is marked");
    let (own, mut create) = of_class(trial, &session_set, PHONE);
    create.limit = Limit::at_most(1);
    let made = trial.made(&create, "one that counts").await;
    trial.same(
        ids(&made.evicted),
        ids_of(&[]),
        "it ends none that does not",
    );
    for _ in 1..UNCOUNTED_MAX {
        let (_, made) = uncounted().await;
        trial.same(ids(&made.evicted), ids_of(&[]), "up to sixteen");
    }

    let (_, made) = uncounted().await;

    trial.same(ids(&made.evicted), ids_of(&[&first]), "the seventeenth");
    trial.live(&own, "the one that counts").await;
}

async fn a_device_is_seen_for_the_first_time_once<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.user();
    let first_sight = async |device: u8| {
        let (_, mut create) = of_class(trial, &session_set, PHONE);
        let kept = Duration::from_secs(60);
        create.device = Some(SeenDevice {
            digest: [device; 12],
            kept,
        });
        trial
            .made(&create, "a sign-in on a device")
            .await
            .first_sight
    };

    trial.holds(first_sight(1).await, "the first sight");
    trial.holds(!first_sight(1).await, "the second");
    trial.holds(first_sight(2).await, "another device");
    trial.clock.advance(Duration::from_secs(60));
    trial.holds(first_sight(1).await, "forgotten");
    for device in 2..33 {
        first_sight(device).await;
    }
    trial.holds(!first_sight(1).await, "after 31 others");
    for device in 40..72 {
        first_sight(device).await;
    }
    trial.holds(first_sight(1).await, "after 32 others");
}
