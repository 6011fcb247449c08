use std::path::Path;

use http::Method;
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn request(event: serde_json::Value) -> Result<Request<Bytes>, BadEvent> {
    serde_json::from_value::<Event>(event).unwrap().try_into()
}

async fn answered(event: serde_json::Value, response: Response<Bytes>) -> serde_json::Value {
    let event: Event = serde_json::from_value(event).unwrap();
    let response = std::sync::Mutex::new(Some(response));
    let answer = answer(event, |_| {
        let response = response.lock().unwrap().take().unwrap();
        async move { response }
    });
    serde_json::to_value(answer.await).unwrap()
}

#[track_caller]
fn uri(event: serde_json::Value, expect: &str) {
    let mut event = event;
    event["httpMethod"] = "GET".into();
    assert_eq!(request(event).unwrap().uri().to_string(), expect);
}

#[test]
fn every_front_door_hands_over_the_same_request() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/notification-receiver");
    let mut bodies = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let event: Event = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let request = Request::try_from(event).unwrap();
        assert_eq!((request.method(), request.uri().path()), (&Method::POST, "/notifications"), "{}", path.display());
        assert_eq!(request.headers()["x-tfe-notification-signature"].len(), 128, "{}", path.display());
        assert_eq!(request.headers().get_all("content-type").iter().count(), 1, "{}", path.display());
        bodies.push(request.into_body());
    }
    assert_eq!(bodies.len(), 5);
    assert!(bodies[0].starts_with(b"{\"payload_version\":1"));
    assert!(bodies.windows(2).all(|two| two[0] == two[1]));
}

#[test]
fn header_names_have_any_case_and_null_is_no_value() {
    let event = json!({"httpMethod": "POST", "headers": {"X-TFE-Notification-SIGNATURE": "a", "X-Null": null,
        "bad name": "b", "x-bad-value": "a\nb", "x-umlaut": "ü"}, "multiValueHeaders": null, "body": null});
    let request = request(event).unwrap();
    assert_eq!(request.headers()["x-tfe-notification-signature"], "a");
    assert_eq!(request.headers().len(), 2);
    assert!(request.body().is_empty());
}

#[test]
fn several_values_of_a_header_are_kept() {
    let event = json!({"httpMethod": "POST", "headers": {"Accept": "b"}, "multiValueHeaders": {"Accept": ["a", "b"], "X": null}});
    let request = request(event).unwrap();
    assert_eq!(request.headers().get_all("accept").iter().collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn what_is_not_base64_is_refused() {
    for body in ["%%%", "YQ", "Y Q=="] {
        let event = json!({"httpMethod": "POST", "body": body, "isBase64Encoded": true});
        assert_eq!(request(event).unwrap_err(), BadEvent::Base64);
    }
    assert_eq!(request(json!({"httpMethod": "POST", "isBase64Encoded": true})).unwrap().body(), "");
}

#[test]
fn an_event_of_another_kind_is_refused() {
    for event in [json!({}), json!({"httpMethod": "two words"}), json!({"Records": [], "requestContext": null})] {
        assert_eq!(request(event).unwrap_err(), BadEvent::Method);
    }
}

#[test]
fn a_path_is_a_path_whatever_it_holds() {
    uri(json!({}), "/");
    uri(json!({"path": "/a b/ü{}?#\u{0}"}), "/a%20b/%C3%BC%7B%7D%3F%23%00");
    uri(json!({"path": "run-tasks/a%2Fb"}), "/run-tasks/a%2Fb");
    let v2 = |stage: &str, path: &str| json!({"version": "2.0", "rawPath": path, "requestContext": {"stage": stage}});
    uri(v2("$default", "/graph.svg"), "/graph.svg");
    uri(v2("prod", "/prod/graph.svg"), "/graph.svg");
    uri(v2("prod", "/product"), "/product");
    uri(v2("prod", "/prod"), "/");
}

#[test]
fn a_query_is_handed_on() {
    uri(json!({"rawPath": "/", "rawQueryString": "a=b%20c&d"}), "/?a=b%20c&d");
    uri(json!({"rawPath": "/", "rawQueryString": ""}), "/");
    uri(json!({"path": "/", "queryStringParameters": {"a": "b c%", "n": null}}), "/?a=b%20c%25");
    let many =
        json!({"path": "/", "queryStringParameters": {"a": "2"}, "multiValueQueryStringParameters": {"a": ["1", "2"]}});
    uri(many, "/?a=1&a=2");
    let elb = json!({"path": "/", "queryStringParameters": {"a": "b%20c"}, "requestContext": {"elb": {"targetGroupArn": "x"}}});
    uri(elb, "/?a=b%20c");
}

#[tokio::test(flavor = "current_thread")]
async fn each_front_door_gets_the_answer_it_wants() {
    let response = || {
        let builder = Response::builder().status(202).header("x-a", "1").header("x-a", "2");
        builder.header("set-cookie", "a=b").header("set-cookie", "c=d").body(Bytes::from_static(b"{}")).unwrap()
    };
    let v2 = json!({"version": "2.0", "rawPath": "/", "requestContext": {"http": {"method": "POST"}}});
    assert_eq!(
        answered(v2, response()).await,
        json!({"statusCode": 202, "headers": {"x-a": "1, 2"}, "cookies": ["a=b", "c=d"], "body": "{}", "isBase64Encoded": false})
    );
    let v1 = json!({"httpMethod": "POST", "path": "/", "headers": {}, "multiValueHeaders": {}});
    assert_eq!(
        answered(v1, response()).await,
        json!({"statusCode": 202, "multiValueHeaders": {"x-a": ["1", "2"], "set-cookie": ["a=b", "c=d"]}, "body": "{}",
               "isBase64Encoded": false})
    );
    let elb = json!({"httpMethod": "POST", "path": "/", "headers": {}, "requestContext": {"elb": {}}});
    assert_eq!(
        answered(elb, empty(StatusCode::OK)).await,
        json!({"statusCode": 200, "headers": {}, "body": "", "isBase64Encoded": false})
    );
}

#[tokio::test(flavor = "current_thread")]
async fn bytes_that_are_no_text_travel_as_base64() {
    let event = json!({"version": "2.0", "requestContext": {"http": {"method": "GET"}}});
    let answer = answered(event.clone(), Response::new(Bytes::from_static(b"\xff\x00"))).await;
    assert_eq!((&answer["body"], &answer["isBase64Encoded"]), (&json!("/wA="), &json!(true)));
    let packed = Response::builder().header("content-encoding", "gzip").body(Bytes::from_static(b"a")).unwrap();
    assert_eq!(answered(event, packed).await["isBase64Encoded"], json!(true));
}

#[tokio::test(flavor = "current_thread")]
async fn no_answer_of_four_megabytes_is_more_than_lambda_hands_back() {
    let event = json!({"version": "2.0", "requestContext": {"http": {"method": "GET"}}});
    for (pattern, base64) in
        [("{\"a\":\"some text\"}", false), ("\"", true), ("\n", true), ("\u{1}", true), ("x", false)]
    {
        let body = pattern.repeat((4 << 20) / pattern.len());
        let answer = answered(event.clone(), Response::new(Bytes::from(body.clone()))).await;
        assert_eq!(answer["isBase64Encoded"], json!(base64), "{pattern}");
        assert!(answer.to_string().len() < 6_291_556, "{pattern}");
        if !base64 {
            assert_eq!(answer["body"], json!(body));
        }
    }
}

#[tokio::test(flavor = "current_thread")]
async fn an_event_that_is_no_request_is_answered_400() {
    let answer = answered(json!({"key1": "value1"}), empty(StatusCode::OK)).await;
    assert_eq!(answer, json!({"statusCode": 400, "headers": {}, "body": "", "isBase64Encoded": false}));
}

#[test]
fn a_fault_asks_the_sender_to_come_again() {
    for (fault, retry_after) in [
        (Fault::TRANSIENT, Some("1")),
        (Fault::Transient { after_ms: Some(2_001) }, Some("3")),
        (Fault::Permanent, None),
    ] {
        let response = not_taken(fault);
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers().get(RETRY_AFTER).map(|value| value.to_str().unwrap()), retry_after);
    }
}

proptest! {
    #[test]
    fn no_event_panics(
        method in ".{0,8}",
        path in ".{0,20}",
        raw in proptest::option::of(".{0,20}"),
        query in proptest::option::of(".{0,20}"),
        headers in proptest::collection::btree_map(".{0,10}", ".{0,10}", 0..4),
        body in proptest::option::of(".{0,20}"),
        base64: bool,
    ) {
        let event = json!({"httpMethod": method, "path": path, "rawPath": raw, "rawQueryString": query,
            "headers": headers, "queryStringParameters": headers, "body": body, "isBase64Encoded": base64,
            "requestContext": {"stage": method}});
        // A path that API Gateway could have received makes a URI; nothing panics in any case.
        if let Err(bad) = request(event) {
            prop_assert!(bad == BadEvent::Method || bad == BadEvent::Base64, "{bad}");
        }
    }
}
