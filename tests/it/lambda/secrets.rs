//! Secrets that the environment only names.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sluice_aws::secrets::{resolve, resolve_lists};
use sluice_domain::SecretRef;
use sluice_domain::ports::Bell;
use sluice_local::store::Embedded;
use tokio::net::TcpListener;
use tokio::sync::Barrier;

use super::emulator::free_address;
use super::runtime::{RuntimeApi, Told};
use super::{LATER, Vars, aws, events, vars};

const ARN: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:sluice-AbCdEf";

/// A service that keeps secrets, and remembers how it was asked.
#[derive(Clone)]
struct Keeper {
    asked: Arc<Mutex<Vec<(HeaderMap, Value)>>>,
    both: Arc<Barrier>,
}

impl Keeper {
    async fn start() -> (Self, String) {
        let keeper = Self { asked: Arc::default(), both: Arc::new(Barrier::new(2)) };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().route("/", post(ask)).with_state(keeper.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (keeper, url)
    }

    fn asked(&self) -> Vec<(HeaderMap, Value)> {
        self.asked.lock().unwrap().clone()
    }
}

async fn ask(State(keeper): State<Keeper>, headers: HeaderMap, body: Bytes) -> (StatusCode, String) {
    let body: Value = serde_json::from_slice(&body).unwrap();
    let name = body["Name"].as_str().or(body["SecretId"].as_str()).unwrap().to_owned();
    let times = {
        let mut asked = keeper.asked.lock().unwrap();
        asked.push((headers, body.clone()));
        asked.iter().filter(|(_, earlier)| *earlier == body).count()
    };
    let bad = |code: &str| json!({"__type": code, "message": "User: x is not authorized"});
    let (status, answer) = match name.as_str() {
        "/one" | "/two" => {
            // Neither is answered before both have asked.
            keeper.both.wait().await;
            (200, json!({"Parameter": {"Value": format!("value of {name}")}}))
        }
        "/late" if times < 3 => (500, json!({})),
        "/throttled" if times < 2 => (400, bad("ThrottlingException")),
        "/late" | "/throttled" => (200, json!({"Parameter": {"Value": "at last"}})),
        "/denied" => (400, bad("AccessDeniedException")),
        "/broken" => (400, bad("com.amazonaws.ssm#InvalidKeyId")),
        "/empty" => (200, json!({"Parameter": {"Value": "\n"}})),
        ARN => (200, json!({"SecretString": "next-token\n demo-token,\n"})),
        _ if body.get("SecretId").is_some() => (400, bad("ResourceNotFoundException")),
        _ => (400, bad("ParameterNotFound")),
    };
    (StatusCode::from_u16(status).unwrap(), answer.to_string())
}

fn at(url: &str) -> Vars {
    let mut all = aws("http://127.0.0.1:9");
    all.extend(vars(&[
        ("AWS_ENDPOINT_URL_SSM", url),
        ("AWS_ENDPOINT_URL_SECRETS_MANAGER", url),
        ("AWS_SESSION_TOKEN", "session"),
    ]));
    all
}

fn secrets(secrets: &[&str]) -> Vec<SecretRef> {
    secrets.iter().map(|secret| SecretRef::parse(secret).unwrap()).collect()
}

#[tokio::test]
async fn secrets_at_hand_need_neither_network_nor_settings() {
    let resolved = resolve(&Vars::new(), secrets(&["one", "two"])).await.unwrap();
    assert_eq!(resolved.iter().map(ExposeSecret::expose_secret).collect::<Vec<_>>(), ["one", "two"]);
    let error = resolve(&Vars::new(), secrets(&["one", "ssm:/two"])).await.unwrap_err();
    assert!(error.to_string().starts_with("AWS_REGION is not set"), "{error}");
}

#[tokio::test]
async fn secrets_are_fetched_at_the_same_time_and_come_in_order() {
    let (keeper, url) = Keeper::start().await;
    let resolved = resolve(&at(&url), secrets(&["ssm:/one", "plain", "ssm:/two"])).await.unwrap();
    let resolved: Vec<_> = resolved.iter().map(ExposeSecret::expose_secret).collect();
    assert_eq!(resolved, ["value of /one", "plain", "value of /two"]);
    for (headers, body) in keeper.asked() {
        assert_eq!(body["WithDecryption"], json!(true));
        assert_eq!(headers["x-amz-target"], "AmazonSSM.GetParameter");
    }
}

#[tokio::test]
async fn what_is_asked_is_signed_with_every_header_that_counts() {
    let (keeper, url) = Keeper::start().await;
    resolve_lists(&at(&url), secrets(&[&format!("secretsmanager:{ARN}")])).await.unwrap();
    let (headers, body) = keeper.asked().remove(0);
    assert_eq!(body, json!({"SecretId": ARN}));
    let authorization = headers["authorization"].to_str().unwrap();
    assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=local/"), "{authorization}");
    // The ARN's region, not the function's own.
    assert!(authorization.contains("/eu-west-1/secretsmanager/aws4_request, "), "{authorization}");
    let signed = authorization.split_once("SignedHeaders=").unwrap().1.split_once(',').unwrap().0;
    assert_eq!(signed, "content-type;host;x-amz-date;x-amz-security-token;x-amz-target");
    assert!(signed.split(';').all(|name| headers.contains_key(name)), "{headers:?}");
    assert_eq!(headers["host"], url.strip_prefix("http://").unwrap());
}

#[tokio::test]
async fn a_secret_may_list_several() {
    let (_keeper, url) = Keeper::start().await;
    let lists = secrets(&["first", &format!("secretsmanager:{ARN}")]);
    let resolved = resolve_lists(&at(&url), lists).await.unwrap();
    assert_eq!(
        resolved.iter().map(ExposeSecret::expose_secret).collect::<Vec<_>>(),
        ["first", "next-token", "demo-token"]
    );
}

#[tokio::test]
async fn trouble_that_passes_is_waited_for() {
    let (keeper, url) = Keeper::start().await;
    for late in ["ssm:/late", "ssm:/throttled"] {
        let resolved = resolve(&at(&url), secrets(&[late])).await.unwrap();
        assert_eq!(resolved[0].expose_secret(), "at last");
    }
    assert_eq!(keeper.asked().len(), 5);
}

#[tokio::test]
async fn an_error_names_the_place_and_what_to_do() {
    let (keeper, url) = Keeper::start().await;
    let why = "User: x is not authorized";
    for (secret, expect) in [
        ("ssm:/absent", "ssm:/absent does not exist in us-east-1: create it, or name another".to_owned()),
        (
            "secretsmanager:absent",
            "secretsmanager:absent does not exist in us-east-1: create it, or name another".to_owned(),
        ),
        (
            "ssm:/denied",
            format!(
                "ssm:/denied may not be read: allow the function's role ssm:GetParameter on it, and kms:Decrypt on \
                 its key (AccessDeniedException: {why})"
            ),
        ),
        ("ssm:/broken", format!("ssm:/broken cannot be read: the service answers 400 InvalidKeyId: {why}")),
        ("ssm:/empty", "ssm:/empty holds no text".to_owned()),
    ] {
        let error = resolve(&at(&url), secrets(&["hunter2", secret])).await.unwrap_err();
        assert_eq!(error.to_string(), expect);
    }
    assert_eq!(keeper.asked().len(), 5, "none of that is tried again");
    let nowhere = format!("http://{}", free_address());
    let error = resolve(&at(&nowhere), secrets(&["ssm:/one"])).await.unwrap_err();
    assert_eq!(error.to_string(), format!("ssm:/one cannot be fetched: {nowhere} does not answer"));
    let error = resolve(&at("nonsense"), secrets(&["ssm:/one"])).await.unwrap_err();
    assert_eq!(error.to_string(), "ssm:/one cannot be fetched: nonsense is not the URL of an endpoint");
}

#[tokio::test]
async fn a_function_takes_its_tokens_from_where_they_are_kept() {
    const FUNCTION: &str = "notification-receiver";
    let (_keeper, url) = Keeper::start().await;
    let store = Embedded::open(None).await.unwrap();
    let settings = |token: &str| {
        let mut all = at(&url);
        all.extend(aws(&store.endpoint));
        all.extend(vars(&[("WORKSPACE_DEPENDENCIES_TABLE", "sluice"), ("NOTIFICATION_TOKEN", token)]));
        all
    };
    let mut lambda = RuntimeApi::start().await;
    let _running = lambda.run(FUNCTION, settings(&format!("secretsmanager:{ARN}")));
    let answer = lambda.answer(events(FUNCTION)["function-url"].to_string()).await;
    assert_eq!(answer["statusCode"], json!(202));
    assert_eq!(store.table.due(sluice_domain::Queue::Index, LATER, 10).await.unwrap().len(), 1);

    let mut lambda = RuntimeApi::start().await;
    let running = lambda.run(FUNCTION, settings("ssm:/denied"));
    let Told::InitError(error) = lambda.told().await else { panic!("no error") };
    assert!(error["errorMessage"].as_str().unwrap().starts_with("ssm:/denied may not be read"), "{error}");
    assert_eq!(running.ended().await, Some(1));
}
