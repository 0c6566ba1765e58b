//! Number 17: disabled users.

use std::time::Duration;

use super::trial::{MS, SessionSet, Trial};
use crate::{
    model::EndReason,
    store::{Created, End, ManualClock, SessionStore, Which},
};

/// Longer than a store keeps the cutoff of the same call.
const BARRED: Duration = Duration::from_secs(3 * 24 * 60 * 60);

/// Number 17: `create` for a disabled user answers [`Created::Disabled`], until the time is over or the
/// user is enabled.
pub async fn disables_and_enables_users<St: SessionStore>(make: impl AsyncFn(ManualClock) -> St) {
    let trial = Trial::new(17, make).await;
    a_disabled_user_cannot_sign_in(&trial).await;
    an_enabled_user_can_sign_in_at_once(&trial).await;
    other_users_are_not_disabled(&trial).await;
    only_another_time_changes_it(&trial).await;
}

fn bar(session_set: &SessionSet<'_>, duration: Duration) -> End {
    let mut end = End::new(session_set.tag, Which::All, EndReason::Disabled);
    end.bar = Some(duration);
    end
}

async fn is_disabled(trial: &Trial, session_set: &SessionSet<'_>) -> bool {
    let token = session_set.token();
    let created = trial.create(&session_set.create_for(&token)).await;
    matches!(created, Created::Disabled)
}

async fn a_disabled_user_cannot_sign_in(trial: &Trial) {
    let session_set = trial.user();
    let token = session_set.signs_in().await;
    trial
        .ends(
            &bar(&session_set, BARRED),
            1,
            None,
            "the sessions of a user who is disabled",
        )
        .await;
    let notice = trial.notice(&token, "a session of a disabled user").await;
    trial.same(
        notice.reason,
        EndReason::Disabled,
        "the reason in the notice",
    );
    trial.clock.advance(BARRED - MS);

    // A store may delete after a call what it no longer needs.
    for what in ["the user is still disabled", "and also for the next call"] {
        trial.holds(is_disabled(trial, &session_set).await, what);
    }
    trial.holds(
        session_set.listed().await.is_empty(),
        "the refused sign-in made no session",
    );
    trial.clock.advance(MS);
    session_set.signs_in().await;
}

async fn an_enabled_user_can_sign_in_at_once(trial: &Trial) {
    let session_set = trial.user();
    trial.end(&bar(&session_set, BARRED)).await;
    trial.clock.advance(MS);
    trial.end(&bar(&session_set, Duration::ZERO)).await;
    trial.clock.advance(MS);

    session_set.signs_in().await;
}

async fn other_users_are_not_disabled(trial: &Trial) {
    let (barred, other) = (trial.user(), trial.user());

    trial.end(&bar(&barred, BARRED)).await;

    trial.holds(
        is_disabled(trial, &barred).await,
        "the disabled user cannot sign in",
    );
    trial.holds(
        !is_disabled(trial, &other).await,
        "the other user can sign in",
    );
}

async fn only_another_time_changes_it(trial: &Trial) {
    let session_set = trial.user();
    let support = session_set.token();
    let mut create = session_set.create_for(&support);
    create.counts = false;
    trial.made(&create, "a sign-in that does not count").await;
    let mut disables = bar(&session_set, BARRED);
    disables.spare_uncounted = true;
    trial
        .ends(&disables, 0, None, "an end that spares the only session")
        .await;
    trial.clock.advance(MS);

    trial.live(&support, "the spared session").await;
    let end = session_set.end_one(&support);
    for end in [end, session_set.end(Which::All)] {
        let listed = session_set.listed().await.len();
        trial.holds(
            is_disabled(trial, &session_set).await,
            "a user stays disabled, with a session or without",
        );
        trial
            .ends(&end, listed, None, "an end of what is left")
            .await;
        trial.clock.advance(MS);
    }
    trial.holds(
        is_disabled(trial, &session_set).await,
        "an end of all sessions enables no user",
    );

    trial.end(&bar(&session_set, MS * 2)).await;
    trial.clock.advance(MS);
    trial.holds(
        is_disabled(trial, &session_set).await,
        "the user is disabled for a shorter time",
    );
    trial.clock.advance(MS);
    session_set.signs_in().await;
}
