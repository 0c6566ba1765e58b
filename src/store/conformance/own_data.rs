//! Number 8: each session has its own data, whatever happens to the others of its session set.

use super::trial::{ABSOLUTE, IDLE, MS, SessionSet, Trial, ids, ids_of, set};
use crate::{
    model::{Client, EndReason, LastSeen, Lifetime, Limit},
    store::{
        Changes, Data, Forget, Look, NoteClient, Renewal, Rotate, Rotated, Salt, Save, Saved,
        SessionStore, Token, Touch, Which,
    },
};

const KEY: &str = "mine";

/// As long as each other, so that they differ in nothing but their bytes.
const VALUES: [&str; 5] = ["one", "two", "six", "ten", "few"];

pub(super) async fn stays_with_its_session(trial: &Trial) {
    it_stays_while_its_session_changes(trial).await;
    it_stays_while_others_come_and_go(trial).await;
    it_stays_until_its_session_expires(trial).await;
    a_new_session_has_that_of_the_one_it_replaces(trial).await;
    an_outcome_has_that_of_its_session(trial).await;
}

/// Five sessions of one set with data of their own, and one without.
struct Owners<'a> {
    session_set: SessionSet<'a>,
    /// Each token, and the value of its session.
    owners: Vec<(Token, Option<&'static str>)>,
}

impl<'a> Owners<'a> {
    /// Those with data have the same revision.
    async fn of(session_set: SessionSet<'a>) -> Self {
        let trial = session_set.trial();
        let mut owners = vec![(session_set.signs_in().await, None)];
        for value in VALUES {
            trial.clock.advance(MS);
            let token = session_set.signs_in().await;
            let save = session_set.sets(&token, KEY, value);
            session_set.saves(&save, "the first data").await;
            owners.push((token, Some(value)));
        }
        let made = Self {
            session_set,
            owners,
        };
        made.have_their_own("six sign-ins").await;
        made
    }

    fn trial(&self) -> &'a Trial {
        self.session_set.trial()
    }

    /// The session with this value.
    fn token(&self, value: &str) -> Token {
        let owner = self.owners.iter().find(|(_, of)| *of == Some(value));
        match owner {
            Some((token, _)) => token.clone(),
            None => self.trial().broken("a session of the test is missing"),
        }
    }

    /// The session with this value is not live any more.
    fn leaves(&mut self, value: &str) -> Token {
        let token = self.token(value);
        self.owners.retain(|(_, of)| *of != Some(value));
        token
    }

    async fn have_their_own(&self, after: &str) {
        let live = self.session_set.listed().await.len();
        self.trial()
            .same(live, self.owners.len(), "the number of live sessions");
        let what = format!("the data of each session after {after}");
        for (token, value) in &self.owners {
            let found = self.trial().live(token, &what).await;
            self.trial().same(text(&found.data), owned(*value), &what);
        }
    }
}

/// Readable, because the data of the wrong session is what a report has to name.
fn text(data: &Data) -> Option<String> {
    let value = data.get(KEY)?;
    Some(String::from_utf8_lossy(&value).into_owned())
}

fn owned(value: Option<&str>) -> Option<String> {
    value.map(str::to_owned)
}

async fn it_stays_while_its_session_changes(trial: &Trial) {
    for session_set in [trial.user(), trial.guest()] {
        let mut all = Owners::of(session_set).await;
        let tag = all.session_set.tag;
        for value in VALUES {
            let token = all.token(value);
            let id = token.session_id();
            trial.clock.advance(MS);
            let record = trial.touch(&token, "a session with data").await.record;

            let last = LastSeen::new(Client::new().with_user_agent(Some(b"other")), trial.now());
            let note = NoteClient::new(tag, record, last);
            let noted = trial.answered(Box::pin(trial.store.note_client(&note)).await);
            trial.holds(noted, "a client is noted");
            let touch = Touch::new(tag, id, MS);
            trial.answered(Box::pin(trial.store.touch(&touch)).await);
            trial.look(&Look::new(tag, [id])).await;
            let mut shorten = Save::new(tag, id, Changes::default());
            shorten.shorten = Some(Lifetime::new(IDLE - MS, ABSOLUTE));
            let shortened = trial.save(&shorten).await;
            trial.holds(
                matches!(shortened, Saved::Shortened { .. }),
                &format!("a lifetime is shortened, found {shortened:?}"),
            );
            all.have_their_own("an activity, a note, a look and a shorter lifetime")
                .await;

            let salt = Salt::from_bytes([7; 16]);
            let next = token.successor(&salt);
            let rotate = Rotate::new(&token, &next, Renewal::Derived(salt));
            let rotated = trial.rotate(&rotate).await;
            trial.holds(
                matches!(rotated, Rotated::Rotated(_)),
                &format!("the session has its new token, found {rotated:?}"),
            );
            for (owner, _) in all
                .owners
                .iter_mut()
                .filter(|(owner, _)| owner.session_id() == id)
            {
                owner.clone_from(&next);
            }
            all.have_their_own("a new token").await;
        }
        for (value, new) in VALUES.into_iter().zip(["1st", "2nd", "3rd", "4th", "5th"]) {
            let token = all.token(value);
            let save = all.session_set.sets(&token, KEY, new);
            all.session_set.saves(&save, "other data").await;
            for (_, of) in all.owners.iter_mut().filter(|(_, of)| *of == Some(value)) {
                *of = Some(new);
            }
            all.have_their_own("a save to one of them").await;
        }
    }
}

async fn it_stays_while_others_come_and_go(trial: &Trial) {
    for session_set in [trial.user(), trial.guest()] {
        let mut all = Owners::of(session_set).await;
        // From the middle and from both ends.
        for value in ["six", "one", "few"] {
            let token = all.leaves(value);
            let end = all.session_set.end_one(&token);
            trial.ends(&end, 1, None, "an end of one session").await;
            all.have_their_own("an end of one of them").await;
        }

        let new = all.session_set.token();
        let mut create = all.session_set.create_for(&new);
        create.changes = set(KEY, "new");
        trial.made(&create, "a sign-in with data").await;
        all.owners.push((new.clone(), Some("new")));
        all.have_their_own("another sign-in").await;

        let ended = all.leaves("ten");
        let end = all.session_set.end_one(&ended);
        trial.ends(&end, 1, None, "an end of one session").await;
        let forget = Forget::new(all.session_set.tag, ended.session_id(), ended.digest());
        trial.forget(&forget).await;
        all.have_their_own("a notice that is forgotten").await;

        let others = all.session_set.end(Which::Others(new.session_id()));
        trial.ends(&others, 2, None, "an end of all others").await;
        all.owners.retain(|(_, of)| *of == Some("new"));
        all.have_their_own("an end of all others").await;
    }

    let mut all = Owners::of(trial.user()).await;
    let (token, _) = (all.session_set.token(), trial.clock.advance(MS));
    for (owner, of) in &all.owners {
        if *of != Some("two") {
            trial.touch(owner, "a session in use").await;
        }
    }
    let mut create = all.session_set.create_for(&token);
    create.limit = Limit::at_most(6);
    let made = trial.made(&create, "a sign-in at the limit").await;
    let evicted = all.leaves("two");
    trial.same(
        ids(&made.evicted),
        ids_of(&[&evicted]),
        "the evicted session",
    );
    all.owners.push((token, None));
    all.have_their_own("a sign-in that evicts one of them")
        .await;
}

async fn it_stays_until_its_session_expires(trial: &Trial) {
    for session_set in [trial.user(), trial.guest()] {
        let mut all = Owners::of(session_set).await;
        for value in ["ten", "one"] {
            let expired = all.leaves(value);
            for _ in 0..2 {
                trial.clock.advance(IDLE * 7 / 10);
                for (owner, _) in &all.owners {
                    trial.touch(owner, "a session in use").await;
                }
            }
            trial
                .unknown(&expired, "a session that was not in use")
                .await;
            all.have_their_own("one of them has expired").await;
        }
    }
}

async fn a_new_session_has_that_of_the_one_it_replaces(trial: &Trial) {
    for session_set in [trial.user(), trial.guest()] {
        let mut all = Owners::of(session_set).await;
        for value in ["six", "few", "one"] {
            let (previous, token) = (all.leaves(value), all.session_set.token());
            let mut create = all.session_set.create_for(&token);
            create.replaces = Some(previous.session_id());

            let made = trial.made(&create, "a sign-in that replaces").await;
            let again = trial.made(&create, "the same sign-in again").await;

            for data in [&made.data, &again.data] {
                trial.same(text(data), owned(Some(value)), "the data that it keeps");
            }
            let notice = trial.notice(&previous, "the replaced session").await;
            trial.same(
                notice.reason,
                EndReason::Replaced,
                "the reason in the notice",
            );
            all.owners.insert(1, (token, Some(value)));
            all.have_their_own("a sign-in that replaces one of them")
                .await;
        }
    }
}

async fn an_outcome_has_that_of_its_session(trial: &Trial) {
    let all = Owners::of(trial.guest()).await;
    for value in VALUES {
        let token = all.token(value);
        let mut save = all.session_set.sets(&token, KEY, "late");
        save.expect = Some(7);
        match trial.save(&save).await {
            Saved::Conflict { data, .. } => {
                trial.same(text(&data), owned(Some(value)), "the data of a conflict");
            }
            other => trial.broken(&format!(
                "a save that expects another revision: found {other:?}"
            )),
        }
        let mut end = all.session_set.end_one(&token);
        end.read_at = Some(7);
        let data = Data::default().apply(&set(KEY, value));
        let what = "an end of a session with other data than was read";
        trial.ends(&end, 0, Some(data), what).await;
        all.have_their_own("calls that changed nothing").await;
    }
}
