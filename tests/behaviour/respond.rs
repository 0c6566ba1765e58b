//! Errors of handlers as responses: the same status and reason as the layer's own.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use axum::response::IntoResponse;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use tonic::{Code, Status};
use tower_user_sessions::{
    CommitError, Limit, Login, MissingSession, Rejection, RejectionKind, Session, SessionError,
    SessionErrorKind, SessionLayer, UserSessions, UserSessionsError,
    store::{StoreError, StoreErrorKind},
};

use crate::common::{
    http::{Client, ids, store, user},
    log::Log,
};

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

async fn answer(error: impl IntoResponse) -> Answer {
    let (head, body) = error.into_response().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer {
        status: head.status,
        headers: head.headers,
        body: serde_json::from_slice(&body).unwrap(),
    }
}

/// Checks the problem document and the gRPC status of an error that is made twice.
async fn check<E>(make: impl Fn() -> E, status: u16, reason: &str, code: Code)
where
    E: IntoResponse + Into<Status> + Into<Rejection> + std::fmt::Debug,
{
    let error = make();
    let answer = answer(make()).await;
    assert_eq!(answer.status.as_u16(), status, "{error:?}");
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(answer.body["status"], status, "{error:?}");
    assert_eq!(answer.body["reason"], reason, "{error:?}");
    let retry = answer.headers.contains_key("retry-after");
    assert_eq!(retry, status == 503, "{error:?}");
    let rejection: Rejection = make().into();
    assert_eq!(
        (rejection.status().as_u16(), rejection.reason()),
        (status, reason)
    );
    let grpc: Status = error.into();
    assert_eq!((grpc.code(), grpc.message()), (code, reason));
}

#[tokio::test]
async fn a_session_error_is_a_problem_of_its_kind() {
    use SessionErrorKind as Kind;
    for (kind, status, reason, code) in [
        (Kind::Closed, 500, "not_stored", Code::Internal),
        (Kind::Decode, 500, "not_read", Code::Internal),
        (Kind::Encode, 500, "not_stored", Code::Internal),
        (Kind::Ended, 401, "not_signed_in", Code::Unauthenticated),
        (Kind::GuestsOff, 401, "not_signed_in", Code::Unauthenticated),
        (Kind::KeyTooLong, 500, "not_stored", Code::Internal),
        (
            Kind::NotSignedIn,
            401,
            "not_signed_in",
            Code::Unauthenticated,
        ),
        (Kind::Random, 500, "not_stored", Code::Internal),
        (Kind::Ticket, 401, "no_ticket", Code::Unauthenticated),
        (Kind::TooLarge, 413, "not_stored", Code::Internal),
        (Kind::Unavailable, 503, "unavailable", Code::Unavailable),
    ] {
        check(|| SessionError::from(kind), status, reason, code).await;
    }
}

#[tokio::test]
async fn a_commit_error_is_the_answer_that_the_layer_gives() {
    let out = || StoreError::new(StoreErrorKind::Timeout);
    let rules: [(fn() -> CommitError, u16, &str, Code); 10] = [
        (|| CommitError::Closed, 500, "not_stored", Code::Internal),
        (
            || CommitError::Conflict,
            503,
            "unavailable",
            Code::Unavailable,
        ),
        (
            || CommitError::Disabled,
            403,
            "sign_in_disabled",
            Code::PermissionDenied,
        ),
        (
            || CommitError::Ended,
            401,
            "not_signed_in",
            Code::Unauthenticated,
        ),
        (
            || CommitError::NoTicket,
            401,
            "no_ticket",
            Code::Unauthenticated,
        ),
        (
            || CommitError::Rejected,
            401,
            "sign_in_void",
            Code::Unauthenticated,
        ),
        (
            || CommitError::TokenReplaced,
            401,
            "not_signed_in",
            Code::Unauthenticated,
        ),
        (
            || CommitError::TooOld,
            401,
            "sign_in_too_old",
            Code::Unauthenticated,
        ),
        (|| CommitError::TooLarge, 413, "not_stored", Code::Internal),
        (
            || CommitError::Update(SessionErrorKind::Decode.into()),
            500,
            "not_stored",
            Code::Internal,
        ),
    ];
    for (make, status, reason, code) in rules {
        check(make, status, reason, code).await;
    }
    check(
        || CommitError::from(out()),
        503,
        "unavailable",
        Code::Unavailable,
    )
    .await;
}

#[tokio::test]
async fn an_error_of_a_users_sessions_is_a_problem_too() {
    let out = || StoreError::new(StoreErrorKind::Denied);
    check(
        || UserSessionsError::CallerEnded,
        401,
        "not_signed_in",
        Code::Unauthenticated,
    )
    .await;
    check(
        || UserSessionsError::Unknown,
        403,
        "not_yours",
        Code::PermissionDenied,
    )
    .await;
    check(
        || UserSessionsError::from(out()),
        503,
        "unavailable",
        Code::Unavailable,
    )
    .await;
}

#[tokio::test]
async fn a_missing_session_is_an_internal_error() {
    for missing in [MissingSession::NoLayer, MissingSession::NotResolved] {
        check(|| missing, 500, "no_session", Code::Internal).await;
    }
}

/// What axum makes of a handler's result.
fn respond(result: Result<(), impl IntoResponse>) -> axum::response::Response {
    result.into_response()
}

#[tokio::test]
async fn a_sign_in_at_the_limit_is_a_409_with_the_sessions_and_a_ticket_that_works() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store.clone()).limit(Limit::at_most(1).refuse());
    let phone = Client::new(&layer).log_in("alice").await;
    let mut laptop = Client::new(&layer);

    let refused = laptop.send(|session| async move {
        async fn sign_in(session: Session) -> Result<(), CommitError> {
            session.log_in(user("alice")).unwrap();
            session.commit().await?;
            Ok(())
        }
        let (head, body) = respond(sign_in(session).await).into_parts();
        (head.status, body.collect().await.unwrap().to_bytes())
    });
    let (status, body) = refused.await.value();
    let body: Value = serde_json::from_slice(&body).unwrap();
    let ticket = body["ticket"].as_str().unwrap().to_owned();
    let by_ticket = laptop.send(move |session| {
        let login = Login::by_ticket(ticket.parse().unwrap(), Some(phone));
        async move { session.log_in_with(login).unwrap() }
    });

    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(body["reason"], "limit_reached");
    assert_eq!(body["sessions"][0]["id"], phone.to_string());
    assert_eq!(by_ticket.await.status, StatusCode::OK);
    assert!(!ids(&store, "alice").await.contains(&phone));
}

/// The handler that the docs show: four kinds of errors, one `?`.
async fn all_of_it(session: Session) -> Result<usize, Rejection> {
    session.insert("last", "this")?;
    session.commit().await?;
    let sessions = session.user_sessions().ok_or(MissingSession::NoLayer)?;
    Ok(sessions.end_others().await?)
}

#[tokio::test]
async fn one_handler_may_return_all_of_them_as_a_rejection() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store.clone());
    Client::signed_in(&layer, "alice").await;
    let mut client = Client::signed_in(&layer, "alice").await;

    let ended = client.send(|session| async move { all_of_it(session).await.unwrap() });
    let ended = ended.await.value();
    let gone = client.send(move |session| {
        let sessions = UserSessions::new(store.clone(), user("alice"));
        async move {
            sessions.end_all().await.unwrap();
            all_of_it(session).await.unwrap_err().kind()
        }
    });

    assert_eq!(ended, 1);
    assert_eq!(gone.await.value(), RejectionKind::NotSignedIn);
}

#[tokio::test]
async fn the_log_has_the_cause_and_what_to_look_at_and_so_has_the_body_in_debug_builds() {
    let log = Log::start();
    let refused = StoreError::new(StoreErrorKind::Denied).with_source("WRONGPASS");

    let answer = answer(UserSessionsError::from(refused)).await;
    let wrong_type = SessionError::from(SessionErrorKind::Decode);
    let text = wrong_type.to_string();
    let status = respond(Err(wrong_type)).status();

    let [warning] = &log.at("WARN")[..] else {
        panic!("{}", log.text());
    };
    assert!(warning.contains("WRONGPASS") && warning.contains("check user, password"));
    let detail = answer.body["detail"].as_str();
    assert_eq!(detail.is_some(), cfg!(debug_assertions));
    assert!(detail.is_none_or(|detail| detail.contains("check user, password")));
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(log.at("ERROR")[0].contains(&text));
}

#[tokio::test]
async fn what_the_client_did_is_no_failure_in_the_log() {
    let log = Log::start();

    for error in [
        CommitError::Disabled,
        CommitError::Ended,
        CommitError::Rejected,
        CommitError::TokenReplaced,
    ] {
        answer(error).await;
    }
    answer(UserSessionsError::Unknown).await;
    answer(SessionError::from(SessionErrorKind::NotSignedIn)).await;

    assert_eq!(log.text(), "");
}
