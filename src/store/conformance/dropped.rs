//! Number 14 for futures that are dropped: wherever a call stops, all of its change happened or nothing.

use super::{
    join::poll_and_drop,
    trial::{IDLE, MS, Trial, ids, set},
};
use crate::{
    model::{Lifetime, Limit},
    store::{Authenticated, Data, Renewal, Resolved, Rotate, SessionStore, Which},
};

/// How often a call is polled before it is dropped. A call that changes something in two steps stops between them.
const POLLS: [usize; 6] = [1, 2, 3, 4, 6, 9];

pub(super) async fn leaves_no_partial_change(trial: &Trial) {
    for polls in POLLS {
        a_create_is_whole(trial, polls).await;
        a_save_is_whole(trial, polls).await;
        an_end_is_whole(trial, polls).await;
        a_re_authentication_is_whole(trial, polls).await;
    }
}

async fn a_create_is_whole(trial: &Trial, polls: usize) {
    let session_set = trial.user();
    let previous = session_set.signs_in().await;
    trial.clock.advance(MS);
    let other = session_set.signs_in().await;
    let token = session_set.token();
    let mut create = session_set.create_for(&token);
    create.limit = Limit::at_most(2);
    create.replaces = Some(previous.session_id());

    poll_and_drop(Box::pin(trial.store.create(&create)), polls).await;
    // It may run before this, after this or never.
    let live = ids(&session_set.listed().await);
    let [previous, other, new] =
        [&previous, &other, &token].map(|token| live.contains(&token.session_id()));
    trial.holds(
        // The old one, the new one, or neither if the new one was given up.
        other && !(previous && new),
        "a dropped `create` changed everything or nothing",
    );
}

async fn a_save_is_whole(trial: &Trial, polls: usize) {
    let session_set = trial.user();
    let token = session_set.signs_in().await;
    let mut save = session_set.sets(&token, "cart", "apple");
    save.changes.set("page", "3");
    poll_and_drop(Box::pin(trial.store.save(&save)), polls).await;
    let found = trial.live(&token, "the session of a dropped `save`").await;
    let whole = Data::default().apply(&save.changes);
    trial.holds(
        (found.record.revision, &found.data) == (0, &Data::default())
            || (found.record.revision, &found.data) == (1, &whole),
        "a dropped `save` stored all changes or none",
    );
}

async fn an_end_is_whole(trial: &Trial, polls: usize) {
    let user = trial.user();
    let tokens = [user.signs_in().await, user.signs_in().await];
    let mut create = user.create_for(&user.token());
    create.changes = set("cart", "apple");
    poll_and_drop(Box::pin(trial.store.end(&user.end(Which::All))), polls).await;
    let listed = user.listed().await.len();
    trial.holds(
        listed == 0 || listed == 2,
        "a dropped `end` ended all sessions or none",
    );
    if listed == 0 {
        let what = "a sign-in from before a dropped `end` that ended all sessions";
        trial.rejected(&create, what).await;
    }
    trial.end(&user.end(Which::All)).await;
    for token in &tokens {
        trial.notice(token, "a session after a second `end`").await;
    }
    trial
        .rejected(&create, "a sign-in from before the cutoff of that `end`")
        .await;
}

async fn a_re_authentication_is_whole(trial: &Trial, polls: usize) {
    let session_set = trial.user();
    let token = session_set.signs_in().await;
    trial.live(&token, "a new session").await;
    trial.clock.advance(MS);
    let next = trial.random(token.renewed());
    let proven = Renewal::Proven {
        authenticated: Authenticated::At(trial.now()),
        lifetime: Lifetime::new(IDLE / 2, IDLE),
    };
    let rotate = Rotate::new(&token, &next, proven);
    poll_and_drop(Box::pin(trial.store.rotate(&rotate)), polls).await;

    let [record] = &session_set.listed().await[..] else {
        trial.broken("the session of a dropped `rotate` is not listed");
    };
    let rotated = record.digest == next.digest();
    let wanted = if rotated { IDLE / 2 } else { IDLE };
    trial.same(
        (record.idle, record.authenticated_at == trial.now()),
        (wanted, rotated),
        "idle time and authentication after a dropped `rotate`, with or without a new token",
    );
    if rotated {
        trial.live(&next, "the new token").await;
        trial.notice(&token, "the token before it").await;
        return;
    }
    // It may run later.
    let found = trial.peek(&next).await;
    if !matches!(found, Resolved::Live(_)) {
        trial.rotate(&rotate).await;
        trial.live(&next, "the new token after another call").await;
    }
}
