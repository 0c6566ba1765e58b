//! Number 21: the client of the last request.

use super::trial::{IDLE, MS, SessionSet, Trial};
use crate::{
    model::{Client, EndReason, Hints, LastSeen, Proof},
    store::{
        ManualClock, NoteClient, Record, Renewal, Rotate, Salt, SessionStore, Timestamp, Token,
    },
};

/// Number 21: `note_client` notes the client of a request, once.
pub async fn notes_the_last_client<St: SessionStore>(make: impl AsyncFn(ManualClock) -> St) {
    let trial = Trial::new(21, make).await;
    a_client_is_noted_and_nothing_else_changes(&trial).await;
    of_parallel_requests_one_notes_its_client(&trial).await;
    only_a_live_session_has_a_last_client(&trial).await;
    a_notice_names_the_client_of_the_sign_in(&trial).await;
}

fn seen(agent: &str, at: Timestamp) -> LastSeen {
    let hints = Hints::new().with_platform(Some(b"\"Linux\""));
    let client = Client::new()
        .with_address("2001:db8::7".parse().ok())
        .with_user_agent(Some(agent.as_bytes()))
        .with_hints(hints);
    let mut seen = LastSeen::new(client, at);
    seen.doubted = Some(at);
    seen
}

async fn noted(trial: &Trial, note: &NoteClient, wanted: bool, what: &str) {
    let found = trial.answered(Box::pin(trial.store.note_client(note)).await);
    trial.same(found, wanted, what);
}

/// The record of a session whose token was sent.
async fn used(trial: &Trial, token: &Token) -> Record {
    trial.touch(token, "a new session").await;
    trial.live(token, "a used session").await.record
}

async fn a_client_is_noted_and_nothing_else_changes(trial: &Trial) {
    for proof in [Proof::new(), Proof::new().with_methods(["pwd"])] {
        for persistent in [true, false] {
            let session_set = trial.user();
            let token = session_set.token();
            let mut create = session_set.create_for(&token);
            create.proof.clone_from(&proof);
            create.persistent = persistent;
            trial.made(&create, "a sign-in").await;
            let before = used(trial, &token).await;
            trial.same(before.last_seen(), None, "the last client of a new session");
            trial.clock.advance(MS);

            let (mut wanted, mut read) = (before.clone(), before.clone());
            for agent in ["first", "second"] {
                let last = seen(agent, trial.now());
                let note = NoteClient::new(session_set.tag, read, last.clone());
                noted(trial, &note, true, "a client that is noted").await;
                noted(trial, &note, true, "the same call again").await;
                wanted = wanted.with_last_seen(last);
                read = trial.live(&token, "the session").await.record;
                trial.same(read.clone(), wanted.clone(), "the record");
            }
            let listed = session_set.listed().await;
            trial.same(listed, vec![wanted.clone()], "the list");

            // It stays where the token changes.
            let salt = Salt::from_bytes([3; 16]);
            let next = token.successor(&salt);
            let rotate = Rotate::new(&token, &next, Renewal::Derived(salt));
            trial.rotate(&rotate).await;
            let rotated = trial.touch(&next, "the new token").await.record;
            trial.same(rotated.last_seen(), wanted.last_seen(), "the last client");
            trial.same(rotated.proof(), before.proof(), "the proof");
            trial.same(
                rotated.client(),
                before.client(),
                "the client of the sign-in",
            );
        }
    }
}

async fn of_parallel_requests_one_notes_its_client(trial: &Trial) {
    let session_set = trial.user();
    let token = session_set.signs_in().await;
    let read = used(trial, &token).await;
    let (one, other) = (seen("one", trial.now()), seen("other", trial.now()));

    let note = |last: &LastSeen| NoteClient::new(session_set.tag, read.clone(), last.clone());
    noted(trial, &note(&one), true, "the first of two requests").await;
    noted(trial, &note(&other), false, "the second of two requests").await;

    let after = trial.live(&token, "the session").await.record;
    trial.same(after.last_seen(), Some(&one), "the last client");
}

async fn only_a_live_session_has_a_last_client(trial: &Trial) {
    let session_set = trial.user();
    let (token, other) = (session_set.signs_in().await, session_set.signs_in().await);
    let read = used(trial, &token).await;
    let note = NoteClient::new(session_set.tag, read, seen("late", trial.now()));
    let elsewhere = NoteClient {
        tag: trial.user().tag,
        ..note.clone()
    };
    noted(trial, &elsewhere, false, "a client in another session set").await;

    let end = session_set.end_one(&token);
    trial.ends(&end, 1, None, "an end of one session").await;
    noted(trial, &note, false, "a client of an ended session").await;
    trial.notice(&token, "the ended session").await;

    let read = used(trial, &other).await;
    trial.clock.advance(IDLE);
    let note = NoteClient::new(session_set.tag, read, seen("late", trial.now()));
    noted(trial, &note, false, "a client of an expired session").await;
    trial.unknown(&other, "the expired session").await;
}

/// However long the last client is.
async fn a_notice_names_the_client_of_the_sign_in(trial: &Trial) {
    for length in [1, 100, 500] {
        let session_set: SessionSet<'_> = trial.user();
        let (token, by) = (session_set.signs_in().await, session_set.signs_in().await);
        let causing = used(trial, &by).await;
        let last = seen(&"x".repeat(length), trial.now());
        let note = NoteClient::new(session_set.tag, causing.clone(), last);
        noted(trial, &note, true, "a client that is noted").await;

        let mut end = session_set.end_one(&token);
        (end.by, end.reason) = (Some(by.session_id()), EndReason::Revoked);
        trial.ends(&end, 1, None, "an end of one session").await;

        let notice = trial.notice(&token, "the ended session").await;
        let wanted = Some(causing.client());
        trial.same(notice.by_client(), wanted, "the client in the notice");
    }
}
