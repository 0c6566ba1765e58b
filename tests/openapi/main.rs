//! docs/openapi.json says what `DeviceApi` answers: every operation meets every situation, each answer is as
//! documented, and each documented answer is given.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod document;
mod world;

use std::{collections::BTreeSet, time::Duration};

use serde_json::json;
use tower::Layer;
use tower_user_sessions::{
    DeviceApi, MemoryStore, OnOutage, SessionId, SessionLayer,
    store::{ManualClock, Timestamp},
};

use self::{
    document::{Answer, Document},
    world::{Berlin, Client, Down, send, sign_in},
};

const HOUR: Duration = Duration::from_secs(60 * 60);

/// The operations, as the file names them.
const OPERATIONS: [&str; 6] = [
    "get /",
    "delete /{id}",
    "post /logout-others",
    "post /logout-all",
    "get /current",
    "post /current",
];

struct World {
    prefix: String,
    layer: SessionLayer,
    clock: ManualClock,
}

impl World {
    fn new(document: &Document) -> Self {
        let clock = ManualClock::at(Timestamp::from_millis(1_764_000_000_000));
        let store = MemoryStore::builder().clock(clock.clone()).build();
        Self {
            prefix: document.prefix().to_owned(),
            layer: SessionLayer::new(store),
            clock,
        }
    }

    fn api(&self) -> DeviceApi {
        DeviceApi::at(&self.prefix).geo(Berlin)
    }

    /// `delete /{id}` as a request for this session.
    fn line(&self, operation: &str, id: SessionId) -> String {
        let (method, path) = operation.split_once(' ').unwrap();
        let path = path.replace("{id}", &id.to_string());
        format!("{} {}{path}", method.to_uppercase(), self.prefix)
    }

    async fn answer(&self, line: &str, client: &Client, headers: &[(&str, &str)]) -> Answer {
        let service = self
            .layer
            .clone()
            .reply_with(|_| panic!("the API had to answer"));
        send(service.layer(self.api()), line, Some(client), headers).await
    }

    /// What is answered to one operation in each situation.
    async fn answers(&self, operation: &str) -> Vec<Answer> {
        let client = sign_in(&self.layer, "alice", true).await;
        let phone = sign_in(&self.layer, "alice", false).await;
        let stranger = sign_in(&self.layer, "bob", true).await;
        let line = self.line(operation, phone.id);
        let ended = sign_in(&self.layer, "carol", true).await;
        let other = sign_in(&self.layer, "carol", true).await;
        let end_others = self.line("post /logout-others", other.id);
        self.answer(&end_others, &other, &[]).await;
        let other_origin = [
            ("origin", "https://evil.test"),
            ("sec-fetch-site", "cross-site"),
        ];
        let signed_in = self
            .layer
            .clone()
            .reply_with(|_| panic!("the API had to answer"));
        let outage = SessionLayer::new(Down)
            .on_outage(OnOutage::Guest)
            .reply_with(|_| panic!("the API had to answer"));

        let mut answers = vec![
            self.answer(&self.line(operation, stranger.id), &client, &[])
                .await,
            self.answer(&line, &client, &other_origin).await,
            send(signed_in.layer(self.api()), &line, None, &[]).await,
            self.answer(&line, &ended, &[]).await,
            send(self.api(), &line, Some(&client), &[]).await,
            send(outage.layer(self.api()), &line, Some(&client), &[]).await,
        ];
        self.clock.advance(HOUR);
        let strict = self.api().require_fresh(HOUR / 2);
        answers.push(send(signed_in.layer(strict), &line, Some(&client), &[]).await);
        answers.push(self.answer(&line, &client, &[]).await);
        let own = self.line(operation, client.id);
        answers.push(self.answer(&own, &client, &[]).await);
        answers
    }
}

#[tokio::test]
async fn every_answer_is_documented_and_every_documented_answer_is_given() {
    let document = Document::read();
    let (mut seen, mut names) = (BTreeSet::new(), BTreeSet::new());

    for operation in OPERATIONS {
        let world = World::new(&document);
        for answer in world.answers(operation).await {
            names.extend(answer.names());
            let name = document.check(operation, &answer);
            seen.insert(name.unwrap_or_else(|complaint| panic!("{complaint}: {answer:?}")));
        }
    }
    let world = World::new(&document);
    let client = sign_in(&world.layer, "alice", true).await;
    for line in ["PUT /", "GET /logout-all", "GET /no/path"] {
        let line = line.replace(" /", &format!(" {}/", world.prefix));
        let answer = world.answer(&line, &client, &[]).await;
        seen.insert(document.check("*", &answer).unwrap());
    }

    assert_eq!(seen, document.answers());
    if !cfg!(debug_assertions) {
        names.insert("detail".to_owned());
    }
    let never: Vec<_> = document.optional().difference(&names).cloned().collect();
    assert_eq!(never, [""; 0]);
}

#[tokio::test]
async fn every_method_of_a_documented_path_is_documented() {
    let document = Document::read();
    let world = World::new(&document);
    let client = sign_in(&world.layer, "alice", true).await;

    for (path, methods) in document.methods() {
        let line = world.line(&format!("put {path}"), client.id);
        let answer = world.answer(&line, &client, &[]).await;

        let allow = answer.headers["allow"].to_str().unwrap();
        // `GET` without the body.
        let allowed = allow.split(", ").filter(|method| *method != "HEAD");
        assert_eq!(
            allowed.map(ToOwned::to_owned).collect::<BTreeSet<_>>(),
            methods,
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_list_without_places_is_as_documented_too() {
    let document = Document::read();
    let world = World::new(&document);
    let client = sign_in(&world.layer, "alice", true).await;
    let api = world
        .layer
        .clone()
        .reply_with(|_| panic!("the API had to answer"));
    let api = api.layer(DeviceApi::at(&world.prefix));

    let answer = send(api, &world.line("get /", client.id), Some(&client), &[]).await;

    assert_eq!(answer.body["sessions"][0]["location"], json!(null));
    assert_eq!(document.check("get /", &answer), Ok("get / 200".to_owned()));
}

async fn list(document: &Document) -> Answer {
    let world = World::new(document);
    let client = sign_in(&world.layer, "alice", true).await;
    world
        .answer(&world.line("get /", client.id), &client, &[])
        .await
}

#[tokio::test]
async fn a_property_that_is_not_documented_is_a_complaint() {
    let document = Document::read();
    let mut answer = list(&document).await;
    answer.body["sessions"][0]["device"]["new"] = json!(1);

    let complaint = document.check("get /", &answer).unwrap_err();

    assert!(complaint.starts_with("/sessions/0/device: "), "{complaint}");
}

#[tokio::test]
async fn a_property_that_is_missing_or_of_another_kind_is_a_complaint() {
    let document = Document::read();
    let session = "/components/schemas/Session/properties/createdAt";
    let answer = list(&document).await;

    let stale = document.with(session, json!({ "type": "integer" }));

    let complaint = stale.check("get /", &answer).unwrap_err();
    assert!(
        complaint.starts_with("/sessions/0/createdAt: "),
        "{complaint}"
    );
    let required = json!(["id", "name"]);
    let stale = Document::read().with("/components/schemas/Session/required", required);
    assert!(stale.check("get /", &answer).is_err());
}

#[tokio::test]
async fn an_answer_of_another_status_header_or_media_type_is_a_complaint() {
    let document = Document::read();
    let check = |answer: &Answer| document.check("get /", answer).unwrap_err();

    let mut answer = list(&document).await;
    answer.headers.insert("x-new", "1".parse().unwrap());
    assert_eq!(check(&answer), "x-new is not documented");
    let mut answer = list(&document).await;
    answer.headers.remove("cache-control");
    assert_eq!(check(&answer), "Cache-Control is missing");
    let mut answer = list(&document).await;
    answer
        .headers
        .insert("content-type", "text/html".parse().unwrap());
    assert_eq!(
        check(&answer),
        "content type \"text/html\" is not documented"
    );
    let mut answer = list(&document).await;
    answer.status = http::StatusCode::CREATED;
    assert_eq!(check(&answer), "get / is not documented to answer 201");
}

#[test]
fn every_schema_is_a_json_schema() {
    let schema_of_schemas = json!({ "$ref": "https://json-schema.org/draft/2020-12/schema" });
    let complaints =
        |schema: &serde_json::Value| document::check(schema_of_schemas.clone(), schema);

    for (name, schema) in Document::read().schemas() {
        assert_eq!(complaints(schema), Ok(()), "{name}");
    }
    assert!(complaints(&json!({ "type": "text" })).is_err());
}

#[test]
fn text_that_is_no_date_is_a_complaint() {
    let schema = json!({ "type": "string", "format": "date-time" });

    let complaint = document::check(schema, &json!("yesterday")).unwrap_err();

    assert!(complaint.contains("date-time"), "{complaint}");
}
