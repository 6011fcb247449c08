//! A way to the table on which requests about one item come to nothing, so that one record of a batch fails.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::gate::sequence_number;
use super::{Vars, vars};
use crate::serve::client;

/// What keys have in them of which the table answers nothing.
const MARK: &str = "broken";

/// Keys of works that there are not, about which the table could not tell.
pub(super) const RUN: (&str, &str) = ("RUN#app.terraform.io/acme/broken/run-1", "RUN");
pub(super) const CREATE: (&str, &str) = ("WS#app.terraform.io/acme/broken", "CREATE");
const RESULT: &str = "GATE#taskrs-broken@guard";
pub(super) const CHECK: (&str, &str) = (RESULT, "CHECK#upstream");
pub(super) const JOB: (&str, &str) = (RESULT, "JOB#scan");
pub(super) const RELAY: (&str, &str) = (RESULT, "RELAY");

/// The variables, with that way to the table in them.
pub(super) async fn broken(mut settings: Vars) -> Vars {
    const ENDPOINT: &str = "AWS_ENDPOINT_URL_DYNAMODB";
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(pass).with_state(settings[ENDPOINT].clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    settings.extend(vars(&[(ENDPOINT, &url)]));
    settings
}

async fn pass(State(endpoint): State<String>, headers: HeaderMap, body: Bytes) -> Response {
    if String::from_utf8_lossy(&body).contains(MARK) {
        let error = json!({ "__type": "com.amazonaws.dynamodb.v20120810#InternalServerError" });
        return (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response();
    }
    let mut request = client().post(endpoint).body(body);
    for name in ["content-type", "x-amz-target", "x-amz-date", "authorization"] {
        request = request.header(name, &headers[name]);
    }
    let answer = request.send().await.unwrap();
    let status = StatusCode::from_u16(answer.status().as_u16()).unwrap();
    (status, answer.bytes().await.unwrap()).into_response()
}

/// The answer without the failure of the record at `at`, which has to be in it.
#[track_caller]
pub(super) fn apart_from(at: usize, mut answer: Value) -> Value {
    let failure = json!({ "itemIdentifier": sequence_number(at) });
    let failures = answer["batchItemFailures"].as_array_mut().expect("an answer to a batch");
    let found = failures.iter().position(|it| *it == failure);
    failures.remove(found.unwrap_or_else(|| panic!("the record at {at} has not failed: {failures:?}")));
    answer
}
